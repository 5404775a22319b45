"""Memory that is mapped from a file: shared with everybody who maps it, private where it is written to."""

from __future__ import annotations

import mmap
import os
import sys
import weakref

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


def _copied(fd: int, size: int) -> memoryview:
    view, at = memoryview(bytearray(size)), 0
    while at < size:
        count = os.preadv(fd, [view[at:]], at)
        if not count:
            raise EOFError(f"{at} bytes instead of {size}")
        at += count
    return view
