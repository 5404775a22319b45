"""Locks that a call, or code of some process, holds, and whether it still does."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .lock import Lock


@dataclass(eq=False)
class Hold:
    """From the broker's grant on.

    Attributes:
        locks: what is held.
        name: under which.
        token: grows with each that gets a lock. A resource that refuses smaller ones than it has seen is safe from who
            has lost his.
        lapses: how often the worker's lease had been gone before the locks were asked for.
        lost_at: when it was noticed that they are lost (monotonic); None as long as they are not.
        looked_at: when the broker was last asked whether they are still held (monotonic).
    """

    locks: Sequence[Lock]
    name: str = field(repr=False)
    token: int
    lapses: int = field(default=0, repr=False)
    lost_at: float | None = field(default=None, repr=False)
    looked_at: float = field(default_factory=time.monotonic, repr=False)

    @property
    def is_lost(self) -> bool:
        """Whether somebody else may have a lock of it by now."""
        return self.lost_at is not None

    def __str__(self) -> str:
        names = ", ".join(repr(one.name) for one in self.locks)
        return f"lock {names}" if len(self.locks) == 1 else f"locks {names}"
