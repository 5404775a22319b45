"""The per-user signing key, made on first use.

Everything that is unpickled must carry a signature by an accepted key. Processes of one user on one machine
share this file; other machines get the key through ``NBTASKS_KEY`` or a connection file.
"""

from __future__ import annotations

import os
from pathlib import Path

from nbtasks.core.errors import ConfigError
from nbtasks.wire.signing import decode_key, encode_key, new_key

from . import hindrance
from .folder import check_private, check_secret, state_folder

KEY_FILE = "key"
#: A key takes 44 bytes: anything longer is another kind of file.
_MAX_BYTES = 4096


def key_path() -> Path:
    """Return where the per-user key is, or will be.

    Raises:
        ConfigError: the state folder cannot be used.
    """
    return state_folder() / KEY_FILE


def user_key() -> bytes:
    """Return the per-user key, made where there is none.

    Raises:
        ConfigError: the file is not ours alone, or holds no key; the message names the file and what to do.
    """
    path = key_path()
    try:
        text = read_private(path)
    except FileNotFoundError:
        _make(path)
        text = read_private(path)
    try:
        return decode_key(text)
    except ConfigError:
        raise ConfigError(
            f"the key file {path} does not hold a key (32 bytes of base64url). Put the right key back, or "
            "remove the file to have a new one made: what was signed with the old key is refused from then on"
        ) from None


def read_private(path: Path, mounted: bool = False) -> str:
    """Return the text of a file that only its owner, this user, may read.

    Args:
        mounted: it may also be root's, and readable for a group.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it cannot be read, others may read it, or somebody else owns it.
    """
    try:
        with path.open("rb") as file:
            # The open file is checked, not its name: nobody can exchange it in between.
            facts = os.fstat(file.fileno())
            if mounted:
                check_secret(path, facts)
            else:
                check_private(path, facts, wanted_mode="600")
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner may read, complete at the moment it appears.

    Raises:
        FileExistsError: there is one already; it stays as it is.
        ConfigError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
            _publish(draft, path)
        finally:
            draft.unlink()
    except FileExistsError:
        raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {hindrance.explain(error)}") from error


def _publish(draft: Path, path: Path) -> None:
    # A link, unlike a rename, never replaces what another process has put there first.
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:
        _copy(draft, path)


def _copy(draft: Path, path: Path) -> None:
    """Do the same on a file system without hard links, where a reader may see the file half-written."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(draft.read_text(encoding="utf-8"))


def _make(path: Path) -> None:
    try:
        write_private(path, encode_key(new_key()) + "\n")
    except FileExistsError:
        # Another process made it in this very moment: its key is ours.
        return
