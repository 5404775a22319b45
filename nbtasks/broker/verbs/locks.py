"""Locks: who holds them, who waits for them, and what becomes of those that a dead process held.

A holder is known by a name, and by the consumer that it runs in: a worker's child, or a client. It holds a lock until
it gives it back, or until its worker, or its client, has lost its lease; nobody guesses how long that may take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from nbtasks.core.lock import Lock
from nbtasks.core.occupancy import Occupancy

from .entry import Entry

#: Locks that one verb gives back or looks at, so that it keeps nobody waiting; and that are looked at, at all; and of
#: each, those that are shown who hold it or wait for it.
MOST_AT_ONCE = 50
MOST_LOCKS = 20_000
MOST_SHOWN = 5
#: Seconds after which one who waits is asked whether it still does.
LOOK_S = 0.2
_MOST_TITLE = 150


@dataclass(frozen=True)
class Turn:
    """What becomes of a call that asks for its locks.

    Attributes:
        token: it has them; grows with each that takes them. None where it does not.
        waits: it waits in a line now; else somebody else has the call.
    """

    token: int | None = None
    waits: bool = False


def call_name(batch: str, index: int) -> str:
    """Return under which name a call holds locks."""
    return f"{batch}:{index}"


def name_of_lock(lock_id: str) -> str:
    """Return the name that an id stands for, for people."""
    return unquote(lock_id)


def title_of(text: str) -> str:
    """Return what is shown of a holder, as it is sent."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_MOST_TITLE]


class CallLocks(Protocol):
    """Takes locks for calls, as one consumer, from a delivery."""

    def take(self, entry: Entry, index: int, lane: str, title: str, locks: Sequence[Lock]) -> Turn:
        """Take the locks of a call that is about to start, all of them; or end its entry: it comes when it is its turn.

        One step. Asked again by a call that has them, it has them, with another token. Where others fill one of the
        locks, the call gets a place in its line, in the order of asking, and holds none of the others meanwhile.
        When it is its turn, who gives the lock back queues it in ``lane`` as returned work, and the lock is kept for it
        for some seconds. May be said again.

        Args:
            entry: what it came with, in which it is alone.
            lane: that it comes back to.
            title: what is shown of it.
        """


class Locks(Protocol):
    """All else that is done with locks. Each token is larger than all that the lock has given out before."""

    # -- of code that takes them by itself

    def acquire(self, lock: Lock, name: str, consumer: str, title: str, wait: bool) -> int | None:
        """Take a lock; returns the token, or None where it is not free. One step.

        Asked again by who has it, it has it, with another token.

        As many may hold it as the smallest capacity says that a holder, or who asks, names. Those in the line go first.

        Args:
            wait: have a place in the line then. Who waits asks again when it is told to, and now and then: a place
                that nobody asks from for a while is given up.
        """

    def await_turn(self, name: str, most_s: float, given_up: Callable[[], bool]) -> None:
        """Wait until who has a place in a line is told that it is its turn, for ``most_s`` seconds at most.

        Nothing else may be done over this line meanwhile; the connection is closed after it. It may end early; it
        never raises where the broker cannot be reached.

        Args:
            given_up: asked now and then; ends the wait.
        """

    def release(self, locks: Sequence[Lock], name: str, consumer: str) -> None:
        """Give locks back, or leave their lines, and tell those whose turn it is. May be said again."""

    def are_held(self, locks: Sequence[Lock], name: str, token: int) -> bool:
        """Whether somebody still holds what he has got with this token."""

    # -- of the dead

    def unlock(self, worker: str, consumer: str = "", guard: bool = False) -> int:
        """Give back what a consumer held, or all of a worker's; returns how many locks. May be said again.

        Args:
            guard: only while there is no lease for the worker; looked at in the same step.
        """

    def unlock_consumer(self, consumer: str) -> int:
        """Give back what one dead consumer held."""

    def unlock_all(self, workers: Sequence[str]) -> None:
        """Give back what workers and clients held that have no lease, of whom most held nothing."""

    def see_to_lines(self) -> int:
        """See that all lines get on, also where who should have seen to it has died; returns how many there are."""

    # -- looked at

    def occupancy(self, lock_id: str, capacity: int, address: str = "@", name: str = "") -> Occupancy:
        """Return who holds a lock.

        Args:
            capacity: how many may, as who waits says.
            address: of the queue of who waits; "@" of code that waits by itself.
            name: under which it waits.
        """
