"""Resident memory of a process."""

from __future__ import annotations

import os
from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 where it is gone or the platform does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return _own_peak() if pid == os.getpid() else 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _own_peak() -> int:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
