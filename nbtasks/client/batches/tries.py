"""Attempts at calls, and of those that are tried again: how the earlier ones ended, and when the next one comes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.core import states as st

if TYPE_CHECKING:
    from nbtasks.core.events import Retried

    from .seen import Running

#: Attempts of which a batch knows how they ended; of one call, the newest ones.
_MOST_KNOWN = 5_000
_MOST_OF_CALL = 20
_MOST_CHARACTERS = 500


@dataclass(frozen=True)
class Attempt:
    """One try at a call; what is not known of it is None.

    Attributes:
        number: counts tries and losses, from 1.
        child: the number of the worker's child.
        state: under Celery's names; RETRY for one that was followed by another by itself.
        error: what it raised, where another one followed.
    """

    number: int
    worker: str
    child: int | None
    state: str
    began_at: float | None
    ended_at: float | None = None
    seconds: float | None = None
    error: str = ""


class Tries:
    """Of one batch. Times are local epoch seconds."""

    def __init__(self) -> None:
        #: Call -> when it is tried again.
        self.due: dict[int, float] = {}
        self._ended: dict[int, list[Attempt]] = {}
        self._known = 0

    def earlier(self, index: int) -> tuple[Attempt, ...]:
        """Return the attempts of a call that were followed by others, oldest first, as far as they are known."""
        return tuple(self._ended.get(index, ()))

    def all(self) -> list[tuple[int, Attempt]]:
        """Return (call, attempt) of all attempts that were followed by others, as far as they are known."""
        return [(index, attempt) for index, ended in list(self._ended.items()) for attempt in list(ended)]

    def note(self, event: Retried, worker: str, child: int | None, running: Running | None) -> None:
        """An attempt has ended, and another one follows.

        Args:
            running: what was seen of it while it ran.
        """
        now = time.time()
        self.due[event.index] = now + event.delay_s
        if self._known >= _MOST_KNOWN:
            return
        number = event.attempt or (running.attempt if running is not None else 1)
        began_at = now - event.ago_s if event.ago_s else None
        if running is not None and began_at is None:
            began_at = running.started_at
        ended = self._ended.setdefault(event.index, [])
        ended.append(
            Attempt(
                number,
                worker,
                child,
                st.RETRY,
                began_at,
                now if began_at is None else min(now, began_at + event.ran_s),
                event.ran_s,
                event.reason[:_MOST_CHARACTERS],
            )
        )
        self._known += 1
        if len(ended) > _MOST_OF_CALL:
            del ended[0]
            self._known -= 1

    def add(self, index: int, attempt: Attempt) -> None:
        """A call has ended with this attempt, and was submitted again."""
        if self._known < _MOST_KNOWN:
            self._ended.setdefault(index, []).append(attempt)
            self._known += 1

    def take_back(self, index: int, attempt: Attempt) -> None:
        """It was not submitted again after all."""
        ended = self._ended.get(index, [])
        if attempt in ended:
            ended.remove(attempt)
            self._known -= 1

    def over(self, index: int) -> None:
        """A call does not wait for another attempt any more."""
        self.due.pop(index, None)
