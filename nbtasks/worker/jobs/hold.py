"""Locks that a call of this process holds, and whether it still does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from nbtasks.core.lock import Lock


@dataclass
class Hold:
    """Of one call, from the broker's grant on.

    Attributes:
        locks: what it holds.
        name: under which it holds them.
        token: grows with each that gets one.
        lapses: how often the worker's lease had been gone before they were asked for.
        lost_at: when it was noticed that they are lost (monotonic); None as long as they are not.
        looked_at: when the broker was last asked whether it still holds them (monotonic).
    """

    locks: Sequence[Lock]
    name: str
    token: int
    lapses: int
    lost_at: float | None = None
    looked_at: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        names = ", ".join(repr(one.name) for one in self.locks)
        return f"lock {names}" if len(self.locks) == 1 else f"locks {names}"
