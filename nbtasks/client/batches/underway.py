"""Where calls are that have begun and not ended, or wait for their next try."""

from __future__ import annotations

import time
from collections.abc import Iterable

from nbtasks.core.events import Progressed, Retried, Started

from .seen import Progress, Running
from .tries import Tries


class UnderWay:
    """Of one batch.

    Attributes:
        running: call -> where it runs, and since when.
        progress: call -> how far it is.
        tries: earlier ones, and when the next ones come.
    """

    def __init__(self) -> None:
        self.running: dict[int, Running] = {}
        self.progress: dict[int, Progress] = {}
        self.tries = Tries()

    def begin(self, event: Started, worker: str, child: int | None) -> None:
        """A call has begun."""
        self.running[event.index] = Running(worker, time.time() - event.ago_s, event.attempt, child)

    def get_on(self, event: Progressed) -> None:
        """A call has told how far it is."""
        self.progress[event.index] = Progress.of(event)

    def begin_again(self, event: Retried, worker: str, child: int | None) -> None:
        """A try has ended, and another one is to follow."""
        self.tries.note(event, worker, child, self.running.pop(event.index, None))
        self.progress.pop(event.index, None)

    def over(self, indexes: Iterable[int]) -> None:
        """Calls have ended, or are back in their queue."""
        if self.running or self.progress or self.tries.due:
            for index in indexes:
                self.running.pop(index, None)
                self.progress.pop(index, None)
                self.tries.over(index)
