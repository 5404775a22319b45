"""How many CPUs this process may use: fewer than the machine has, in a container, a batch job or under taskset."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def usable_cpus(root: Path = _ROOT) -> int:
    """Return the number of CPUs that this process may use, at least 1.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([_allowed(), *quotas]))


def _allowed() -> int:
    # Newer Pythons can be told a number.
    count = getattr(os, "process_cpu_count", None)
    if count is not None:
        return count() or 1
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Return the limits, in CPUs, of the control groups that this process is in (Linux)."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", maxsplit=2)
        if not controllers:
            for group in _groups(root / "sys/fs/cgroup", place):
                yield from _quota(*_text(group / "cpu.max").split())
        elif "cpu" in controllers.split(","):
            for name in ("cpu", controllers):
                for group in _groups(root / "sys/fs/cgroup" / name, place):
                    yield from _quota(
                        _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us") or "100000"
                    )


def _groups(mount: Path, place: str) -> Iterator[Path]:
    """Return a group and those around it. What a container sees begins at its own, whatever the group is called."""
    group = mount / place.strip("/")
    while group != mount:
        yield group
        group = group.parent
    yield mount


def _quota(quota: str = "", period: str = "100000") -> Iterator[float]:
    try:
        if float(quota) > 0 and float(period) > 0:
            yield float(quota) / float(period)
    except ValueError:
        # No limit is a word.
        return


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, ValueError):
        return ""
