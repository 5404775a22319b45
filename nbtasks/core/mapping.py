"""Memory that is mapped from a file: shared with everybody who maps it, private where it is written to."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import sys
import tempfile
import weakref
from pathlib import Path

#: From here on a mapping is cheaper than a copy.
MAP_BYTES = 512 * 1024
#: Before Python 3.13 every mapping holds a descriptor, and a process may not have many of those.
_MOST_MAPPINGS = sys.maxsize if sys.version_info >= (3, 13) else 256

_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def contents(fd: int, size: int) -> memoryview:
    """Return the ``size`` bytes of an open file, writable; what is written stays in this process.

    Raises:
        EOFError: the file is shorter.
    """
    if os.fstat(fd).st_size < size:
        raise EOFError(f"{os.fstat(fd).st_size} bytes instead of {size}")
    if size < MAP_BYTES or len(_mapped) >= _MOST_MAPPINGS:
        return _copied(fd, size)
    if sys.version_info >= (3, 13):
        mapping = mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE, trackfd=False)
    else:
        mapping = mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    _mapped.add(mapping)
    return memoryview(mapping)


def nameless_file(data: bytes | bytearray) -> int:
    """Return the descriptor of a file with these bytes, which goes with the descriptor."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("nbtasks-value", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def can_be_undone(view: memoryview) -> bool:
    """Whether what is written to what :func:`contents` has returned can be undone: if it is a mapping of Linux."""
    return isinstance(view.obj, mmap.mmap) and sys.platform == "linux"


class PrivatePages:
    """What this process has written to such a mapping."""

    def __init__(self, view: memoryview) -> None:
        assert isinstance(view.obj, mmap.mmap)
        self._mapping, self._faults = view.obj, -1
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._mapping))
        self._first, self._count = start // mmap.PAGESIZE, -(-len(self._mapping) // mmap.PAGESIZE)

    def undo(self) -> None:
        """Have the file's bytes again wherever something was written. Pages that were only read stay mapped."""
        faults = _faults()
        # To write to a page for the first time is a fault. Most calls write to memory that the process has already.
        if faults != self._faults and self._has_some():
            self._mapping.madvise(mmap.MADV_DONTNEED)
        self._faults = _faults()

    def _has_some(self) -> bool:
        try:
            with Path("/proc/self/pagemap").open("rb", buffering=0) as pages:
                pages.seek(8 * self._first)
                found = pages.read(8 * self._count)
        except OSError:
            return True
        return len(found) < 8 * self._count or bool(found[7::8].translate(None, _OF_FILE))


#: Last bytes of what the kernel says of a page that is the file's, or is not there: 0x80 stands for present, 0x40 for
#: swapped out, 0x20 for a file's.
_OF_FILE = bytes(byte for byte in range(256) if byte & 0x20 or not byte & 0xC0)


def _faults() -> int:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt + usage.ru_majflt


def _copied(fd: int, size: int) -> memoryview:
    view, at = memoryview(bytearray(size)), 0
    while at < size:
        count = os.preadv(fd, [view[at:]], at)
        if not count:
            raise EOFError(f"{at} bytes instead of {size}")
        at += count
    return view
