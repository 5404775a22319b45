"""Resident memory of a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process, 0 where it is gone or the platform does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_bytes().split()[1]
    except (OSError, IndexError):
        return _own_peak() if pid == os.getpid() else 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(usage: resource.struct_rusage) -> int:
    """Return the most resident memory that a process has had, from its ``rusage``."""
    return usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024


def _own_peak() -> int:
    import resource

    return peak_bytes(resource.getrusage(resource.RUSAGE_SELF))
