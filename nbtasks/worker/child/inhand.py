"""What a child has in hand."""

from __future__ import annotations

from collections import deque

from nbtasks.worker.jobs.job import Job


class InHand:
    """The jobs of a child: the one that it runs, and those that wait. Any thread may look."""

    def __init__(self) -> None:
        self.current: Job | None = None
        self.waiting: deque[Job] = deque()

    def all(self) -> list[Job]:
        """Return all of them, the current one last."""
        current = self.current
        return [*self.waiting, current] if current is not None else list(self.waiting)
