"""Large values between processes of one machine: files beside an embedded server, which whoever reads them maps.

A file is written once, under a random name, and never changed. Arguments lie in memory (/dev/shm) where there is room,
else on disk: whoever has submitted them can send them again. Results lie on disk, where they survive what the server's
own data survive. The keeper moves what is in memory to the disk when it stops the server. A key in the server stands
for each file, so a file lives as long as that key.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from nbtasks.core.errors import ConfigError
from nbtasks.core.mapping import contents
from nbtasks.local.folder import private_folder
from nbtasks.wire.pickling import Parts
from nbtasks.wire.values import size_of

from .keeper.layout import HOME_LINK, KEEPER_SOCKET, MEMORY, VALUES_FOLDER
from .keeper.valuefolders import memory_folder
from .serverplace import socket_path
from .sockets import folder_of
from .sync import Sync

#: What is left free on a disk.
_DISK_RESERVE_BYTES = 2**30
#: So much of the memory that a file system may take is left to others: a container may have 64 MB in all.
_MEMORY_RESERVE = 0.5
_log = logging.getLogger("nbtasks")
_passed_over: set[Path] = set()
#: Buffers that one system call writes.
_MOST_BUFFERS = 512


class ValueFiles:
    """The files of one namespace.

    Args:
        folders: where files are, the last of them on disk; they are written into the first that has room.
        last: what is written is to last: it goes to the disk, and is synced there within the second.

    Attributes:
        place: tells whether another process sees the same files.
    """

    def __init__(self, folders: Sequence[Path], namespace: str, last: bool = False) -> None:
        self._folders = folders
        self._targets = folders[-1:] if last else folders
        self._sync = Sync() if last else None
        self._prefix = f"{namespace}~"
        facts = folders[-1].stat()
        self.place = f"{facts.st_dev:x}-{facts.st_ino:x}"

    @classmethod
    def beside(cls, url: str, namespace: str, last: bool = False) -> ValueFiles | None:
        """Return the files beside an embedded server; None where another server is used, or there may be none."""
        if not url.startswith("unix:"):
            return None
        sockets = socket_path(url).parent
        if not (sockets / KEEPER_SOCKET).exists():
            return None
        home = folder_of(sockets)
        folders = []
        memory = memory_folder(str(home))
        if memory is not None:
            try:
                private_folder(Path(memory).parent, follow=False)
                folders.append(private_folder(Path(memory), follow=False))
                with contextlib.suppress(OSError):
                    (folders[0] / HOME_LINK).symlink_to(home)
            except ConfigError:
                # Whoever has only results to write does not miss it.
                if not last:
                    _pass_over(Path(memory).parent)
        try:
            folders.append(private_folder(home / VALUES_FOLDER, follow=False))
        except ConfigError:
            return None
        return cls(folders, namespace, last)

    def write(self, name: str, parts: Parts) -> bool:
        """Write a new file; False where there is no room."""
        size = size_of(parts)
        for folder in self._targets:
            path = folder / (self._prefix + name)
            if _has_room(folder, size) and _written(path, parts, self._sync):
                return True
        return False

    def read(self, name: str, size: int) -> memoryview:
        """Return the bytes of a file, writable, changes being private.

        Raises:
            OSError: it is not there, or not ours alone.
            EOFError: it is too short.
        """
        fd = self._open(name)
        try:
            facts = os.fstat(fd)
            if facts.st_uid != os.getuid() or facts.st_mode & 0o077 or not stat.S_ISREG(facts.st_mode):
                raise PermissionError("it may be used by other users")
            return contents(fd, size)
        finally:
            os.close(fd)

    def has(self, name: str, size: int = 0) -> bool:
        """Whether a file of at least ``size`` bytes is there."""
        for folder in self._folders:
            with contextlib.suppress(OSError):
                facts = os.lstat(folder / (self._prefix + name))
                if stat.S_ISREG(facts.st_mode) and facts.st_size >= size:
                    return True
        return False

    def older_than(self, seconds: float) -> list[str]:
        """Return the names of the files that were written longer ago."""
        before, found = time.time() - seconds, []
        for folder in self._folders:
            # Somebody may have removed it.
            with contextlib.suppress(OSError):
                found += [
                    path.name.removeprefix(self._prefix)
                    for path in folder.iterdir()
                    if path.name.startswith(self._prefix) and _written_before(path, before)
                ]
        return found

    def remove(self, name: str) -> None:
        """Remove a file; who has it mapped keeps it."""
        for folder in self._folders:
            (folder / (self._prefix + name)).unlink(missing_ok=True)

    def _open(self, name: str) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        for folder in self._folders[:-1]:
            # It may have become somebody else's meanwhile.
            with contextlib.suppress(OSError):
                return os.open(folder / (self._prefix + name), flags)
        # The keeper moves files here, so here is looked last.
        return os.open(self._folders[-1] / (self._prefix + name), flags)


def _pass_over(place: Path) -> None:
    """Say once that a folder is not used that should be ours."""
    if place not in _passed_over:
        _passed_over.add(place)
        _log.warning(
            "large arguments are written to the disk, and not to the memory, for %s is not for this user alone; "
            "have it removed by whom it belongs to",
            place,
        )


def _written_before(path: Path, moment: float) -> bool:
    try:
        return path.stat().st_mtime < moment
    except OSError:
        return False


def _has_room(folder: Path, size: int) -> bool:
    try:
        facts = os.statvfs(folder)
    except OSError:
        return False
    free, total = facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize
    in_memory = str(folder).startswith(f"{MEMORY}/")
    return free - size >= (total * _MEMORY_RESERVE if in_memory else _DISK_RESERVE_BYTES)


def _written(path: Path, parts: Parts, sync: Sync | None) -> bool:
    """Write a file; it is removed again where that does not work."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        _write_all(fd, parts)
        if sync is not None:
            sync.soon(fd)
    except OSError:
        path.unlink(missing_ok=True)
        return False
    except BaseException:
        # Stop was pressed.
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    return True


def _write_all(fd: int, parts: Parts) -> None:
    waiting = [memoryview(part).cast("B") for part in parts if len(part)]
    while waiting:
        count = os.writev(fd, waiting[:_MOST_BUFFERS])
        while waiting and count >= len(waiting[0]):
            count -= len(waiting.pop(0))
        if count:
            waiting[0] = waiting[0][count:]
