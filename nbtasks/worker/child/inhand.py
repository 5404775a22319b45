"""What a child has in hand."""

from __future__ import annotations

from collections import deque

from nbtasks.worker.jobs.entriesinhand import EntriesInHand
from nbtasks.worker.jobs.hand import Hand
from nbtasks.worker.jobs.job import Job


class InHand:
    """The jobs of a child: the one that it runs, and those that wait. Any thread may look.

    Attributes:
        entries: that they are made of, and more: from the moment on at which one has come.
        shown: what its supervisor sees of them.
    """

    def __init__(self, shown: Hand) -> None:
        self.current: Job | None = None
        self.waiting: deque[Job] = deque()
        self.entries = EntriesInHand()
        self.shown = shown

    def all(self) -> list[Job]:
        """Return all of them, the current one last."""
        current = self.current
        return [*self.waiting, current] if current is not None else list(self.waiting)
