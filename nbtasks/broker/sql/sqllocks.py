"""Locks, which the leg does not have yet: nobody holds any, and nobody gets one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.locks import Turn
from nbtasks.core.lock import Lock
from nbtasks.core.occupancy import Occupancy

from .sqlrefusal import refuse

if TYPE_CHECKING:
    from .sqllink import SqlLink


class SqlCallLocks:
    """Takes locks for calls, as one consumer."""

    def __init__(self, line: SqlLink, consumer: str) -> None:
        self._line = line
        self._consumer = consumer

    def take(self, entry: Entry, index: int, lane: str, title: str, locks: Sequence[Lock]) -> Turn:
        """Take the locks of a call that is about to start."""
        raise refuse("locks")


class SqlLocks:
    """All else that is done with locks."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def acquire(self, lock: Lock, name: str, consumer: str, title: str, wait: bool) -> int | None:
        """Take a lock."""
        raise refuse("locks")

    def await_turn(self, name: str, most_s: float, given_up: Callable[[], bool]) -> None:
        """Wait for a turn."""
        raise refuse("locks")

    def release(self, locks: Sequence[Lock], name: str, consumer: str) -> None:
        """Give locks back."""

    def are_held(self, locks: Sequence[Lock], name: str, token: int) -> bool:
        """Whether somebody holds what he has got."""
        return False

    def unlock(self, worker: str, consumer: str = "", guard: bool = False) -> int:
        """Give back what a consumer held."""
        return 0

    def unlock_consumer(self, consumer: str) -> int:
        """Give back what one dead consumer held."""
        return 0

    def unlock_all(self, workers: Sequence[str]) -> None:
        """Give back what workers and clients held that have no lease."""

    def see_to_lines(self) -> int:
        """See that all lines get on: there are none."""
        return 0

    def occupancy(self, lock_id: str, capacity: int, address: str = "@", name: str = "") -> Occupancy:
        """Return who holds a lock."""
        return Occupancy(0, None, 0, ())
