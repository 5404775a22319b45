"""The private folder in which nbtasks keeps its state on this machine."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

from nbtasks.core.errors import ConfigError

HOME_VARIABLE = "NBTASKS_HOME"
_FULL = "make room on the disk, or "


def state_folder() -> Path:
    """Return the state folder, made with mode 0700 where it is missing.

    It is ``$NBTASKS_HOME``, else ``$XDG_STATE_HOME/nbtasks``, else ``~/.local/state/nbtasks``.

    Raises:
        ConfigError: it belongs to somebody else, others may read it, or it cannot be made.
    """
    return private_folder(_wanted())


def private_folder(path: Path, *, follow: bool = True) -> Path:
    """Return ``path``, made with mode 0700 where it is missing, after checking owner and mode.

    Args:
        path: the folder; its parents are made too.
        follow: whether ``path`` may be a symbolic link. Say False in folders that everybody may write to.

    Raises:
        ConfigError: it belongs to somebody else, others may read it, or it cannot be made.
    """
    try:
        _make(path)
        facts = path.stat() if follow else path.lstat()
    except OSError as error:
        raise ConfigError(
            f"the state folder {path} cannot be made: {error.strerror}; "
            f"{_FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else ''}"
            f"set {HOME_VARIABLE} to a folder that you may write to"
        ) from error
    if not stat.S_ISDIR(facts.st_mode):
        raise ConfigError(f"{path} is not a folder; move it away, or set {HOME_VARIABLE} to another folder")
    check_private(path, facts, wanted_mode="700")
    return path


def expanded(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path, with the home folder in the place of ``~``.

    Raises:
        ConfigError: there is no home folder, or the current folder is gone.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(
            f"this process has no home folder: HOME is not set, and user id {os.getuid()} is not in the list of users; "
            f"set {HOME_VARIABLE} to a folder that only this user may use"
        ) from None
    except OSError as error:
        raise ConfigError(f"the current folder is gone ({error.strerror}): change to another one") from error


def _make(path: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone, whatever its umask is."""
    if path.exists():
        return
    if path.parent != path:
        _make(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        # Another process was faster; or it is something else, which is seen by who looks at it.
        return
    path.chmod(0o700)


def check_private(path: Path, facts: os.stat_result, wanted_mode: str) -> None:
    """Check that a file or folder is ours alone, as ssh does with its keys.

    Raises:
        ConfigError: somebody else owns it, or others may use it; the message holds the command that helps.
    """
    if sys.platform == "win32":
        return
    if facts.st_uid != os.getuid():
        raise ConfigError(
            f"{path} belongs to user id {facts.st_uid}, and this process runs as {os.getuid()}; "
            f"set {HOME_VARIABLE} to a folder of your own"
        )
    mode = stat.S_IMODE(facts.st_mode)
    if mode & 0o077:
        raise ConfigError(
            f"{path} may be used by other users (mode {mode:o}); run: chmod {wanted_mode} {_quoted(path)}"
        )


def check_secret(path: Path, facts: os.stat_result) -> None:
    """Check that a file with a key is ours alone, or root's and at most readable for a group, as platforms mount them.

    In the second case only root can have put it there.

    Raises:
        ConfigError: others may read or write it; the message says what to do.
    """
    if sys.platform == "win32" or (facts.st_uid == 0 and not facts.st_mode & 0o027):
        return
    mode = stat.S_IMODE(facts.st_mode)
    if facts.st_uid == os.getuid():
        check_private(path, facts, wanted_mode="600")
        return
    owner = "root" if facts.st_uid == 0 else f"user id {facts.st_uid}"
    raise ConfigError(
        f"{path} belongs to {owner} and has mode {mode:o}: a file with a key must be yours with mode 600, or root's "
        "and readable for a group of yours at most, mode 440 (in Kubernetes: defaultMode: 0440, and fsGroup). Have the "
        "mode changed, or copy it: install -m 600 FILE COPY"
    )


def _quoted(path: Path) -> str:
    text = str(path)
    return (
        text
        if text.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum()
        else repr(text)
    )


def _wanted() -> Path:
    own = os.environ.get(HOME_VARIABLE)
    if own:
        return expanded(own)
    shared = os.environ.get("XDG_STATE_HOME")
    base = Path(shared) if shared and Path(shared).is_absolute() else expanded("~/.local/state")
    return base / "nbtasks"
