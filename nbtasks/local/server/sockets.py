"""Where the sockets of an embedded server are: in its folder, or elsewhere where that has a path that none can have."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from nbtasks.core.errors import ConfigError
from nbtasks.local.folder import private_folder

from .keeper.unixsocket import connect

#: Bytes of a unix socket's path that every platform accepts.
PATH_BYTES = 103
#: Names and lengths of what is below a folder for temporary files.
_MOST_TEMPORARY_BYTES = 50
#: What is below them is made and checked as ours alone.
_SHORT = ("/tmp", "/var/tmp")  # noqa: S108
#: In a server's folder, a link to that of its sockets; and there, a link back.
SOCKETS_LINK = "sockets"
FOLDER_LINK = "folder"


def socket_folder(folder: Path, longest_name: int) -> Path:
    """Return the folder for the sockets of the server whose data are in ``folder``.

    Once it is chosen it stays, whatever TMPDIR says to the next user of the server.

    Raises:
        ConfigError: there is no place for them.
    """
    if _fits(folder, longest_name + 1):
        return folder
    link, reasons = folder / SOCKETS_LINK, []
    for shared in _places(link):
        try:
            # Others may write there, and may have been there first.
            private_folder(shared, follow=False)
            chosen = private_folder(shared / folder.name, follow=False)
            _point(chosen / FOLDER_LINK, folder)
            _point(link, chosen)
        except ConfigError as error:
            reasons.append(str(error))
        else:
            _sweep(shared)
            return chosen
    raise ConfigError(
        f"the path {folder} is too long for a socket, or is not UTF-8, and there is no other place for it "
        f"({'; '.join(reasons)}); set NBTASKS_HOME to a short path, or TMPDIR to a folder of your own"
    )


def folder_of(sockets: Path) -> Path:
    """Return the folder of the server whose sockets are in ``sockets``."""
    try:
        return (sockets / FOLDER_LINK).readlink()
    except OSError:
        return sockets


def _sweep(shared: Path) -> None:
    """Remove what belonged to servers whose folder was deleted meanwhile."""
    for place in shared.iterdir():
        link = place / FOLDER_LINK
        # What cannot be removed does not hinder this server.
        with contextlib.suppress(OSError):
            if link.is_symlink() and not link.exists() and not any(map(_answers, place.iterdir())):
                shutil.rmtree(place)


def _answers(path: Path) -> bool:
    """Whether somebody listens at a socket; its server may run on when its folder is out of sight."""
    if not path.is_socket():
        return False
    try:
        connect(os.fspath(path)).close()
    except ConnectionRefusedError:
        return False
    return True


def _fits(folder: Path, more: int) -> bool:
    try:
        # A URL names it, and those who read URLs take them for UTF-8.
        return len(str(folder).encode()) + more <= PATH_BYTES
    except UnicodeEncodeError:
        return False


def _places(link: Path) -> Iterator[Path]:
    """Yield the folders that may hold one for each server; the one that was chosen before comes first."""
    with contextlib.suppress(OSError):
        yield link.readlink().parent
    own = [os.environ.get("TMPDIR"), os.environ.get("XDG_RUNTIME_DIR")]
    for place in (*own, *_SHORT):
        if place and Path(place).is_absolute() and _fits(Path(place), PATH_BYTES - _MOST_TEMPORARY_BYTES):
            yield Path(place, f"nbtasks-{os.getuid()}")


def _point(link: Path, target: Path) -> None:
    """Make a symbolic link, or make it point elsewhere."""
    try:
        if not (link.is_symlink() and link.readlink() == target):
            draft = link.with_name(f".{link.name}.{os.getpid()}")
            draft.symlink_to(target)
            draft.replace(link)
    except OSError as error:
        raise ConfigError(f"{link} cannot be made: {error.strerror}") from error
