"""Locks that end with the process that has them, and with those that inherit them."""

from __future__ import annotations

import os


def take_lock(path: str) -> int | None:
    """Return a descriptor that holds the lock on ``path``, or None where somebody else has it."""
    import fcntl

    while True:
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError as error:
            os.close(fd)
            raise OSError(error.errno, "lock", path) from error
        if is_same_file(fd, path):
            return fd
        # A sweep removed the file between open and flock: this lock would exclude nobody.
        os.close(fd)


def is_same_file(fd: int, path: str) -> bool:
    """Tell whether ``path`` still names the file behind ``fd``."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False
