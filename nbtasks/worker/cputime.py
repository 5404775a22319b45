"""How many CPUs some processes keep busy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path


class CpuMeter:
    """Looks now and then at the processes of one worker."""

    def __init__(self) -> None:
        #: Process -> seconds of CPU time, as of the last look, and when that was (monotonic).
        self._used: dict[int, float] = {}
        self._looked_at = time.monotonic()

    def busy(self, pids: Iterable[int]) -> float | None:
        """Return how many CPUs they have kept busy since the last look; None where the platform does not tell."""
        used = {pid: seconds for pid in pids if (seconds := _cpu_seconds(pid)) is not None}
        now = time.monotonic()
        before, since_s = self._used, now - self._looked_at
        self._used, self._looked_at = used, now
        if not used:
            return None
        # What a new one has used is of this time; of one that has ended nobody knows any more.
        return round(
            sum(max(0.0, each - before.get(pid, 0.0)) for pid, each in used.items()) / max(since_s, 0.01), 2
        )


def _cpu_seconds(pid: int) -> float | None:
    try:
        # The name in brackets may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None
