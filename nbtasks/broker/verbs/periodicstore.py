"""Periodic tasks on the broker: put, fired once for each due time, passed over, looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from nbtasks.core.due.periodic import DueRun

#: Periodic tasks that are looked at in one go, and at all, at most; bytes of one's frame.
MOST_AT_ONCE = 100
MOST_IN_ALL = 10_000
MOST_FRAME = 4 * 2**20
#: For how long it is remembered when a client has said that it is there (ms).
SAID_MS = 604_800_000
#: The last moment that makes sense (ms), some thousand years from now: later ones are none that a calendar has.
LAST_MS = 250_000_000_000_000
#: What came of a run: submitted; due times have moved on; it is not due yet; it is another version now, or gone; the
#: server does not have its function; the queue is full; the run before goes on; it pauses.
Fired = Literal["OK", "LATE", "EARLY", "CHANGED", "NOFN", "FULL", "BUSY", "WAIT"]


def sensible(moment_ms: int | None) -> int | None:
    """Return a moment in ms; None where it is none, or none that makes sense."""
    return moment_ms if moment_ms is not None and 0 <= moment_ms <= LAST_MS else None


@dataclass(frozen=True)
class DueTask:
    """One that is due.

    Attributes:
        due_ms: since when, in the server's time.
        version: SHA-1 of its frame, in hexadecimal digits.
        is_there: whoever it ends with.
        gone_since_ms: since when that is not there; 0 where nobody has noted it.
    """

    id: str
    due_ms: int
    version: str
    is_there: bool
    gone_since_ms: int


@dataclass(frozen=True)
class Agenda:
    """What is due.

    Attributes:
        elected: whether who asks is the one to see to it; None where nothing is due.
        now_ms: the server's time.
        next_ms: when something is due, or was; None where nothing ever is.
    """

    elected: bool | None
    now_ms: int
    next_ms: int | None
    tasks: tuple[DueTask, ...]


@dataclass(frozen=True)
class PeriodicStanding:
    """What has become of a periodic task.

    Attributes:
        frame: signed.
        next_ms: when it is due next, in the server's time; None while it pauses.
        paused_ms: since when it pauses; None where it does not.
        runs: how many there were.
        overlapped: due times that were passed over, for the run before went on.
        missed: due times that were passed over, for nobody was there to fire them.
        is_there: whoever it ends with.
        last: (due time in ms, batch, state code) of the last runs, the newest first; 0 where it goes on, 255 where it
            is not known any more.
    """

    id: str
    frame: bytes
    next_ms: int | None
    paused_ms: int | None
    runs: int
    overlapped: int
    missed: int
    is_there: bool
    last: tuple[tuple[int, str, int], ...]


class PeriodicStore(Protocol):
    """The periodic tasks of one namespace and key. Each verb is one step; moments are the server's clock, in ms.

    Attributes:
        key_id: of the key that their frames are signed with.
    """

    key_id: str

    def put(
        self,
        id: str,
        frame: bytes,
        timetable: str,
        function: str,
        function_frame: bytes,
        client: str,
        first_ms: int,
        ttl_ms: int,
    ) -> int | None:
        """Put one, or another version of one; returns when it is due next (ms), None where it pauses.

        Whatever has become of it stays. Its due time stays where it has the same timetable and did not end with another
        client before, and so does a pause. Supervisors are told (``sd``, see :meth:`Ordering.asked`).

        Args:
            frame: signed; :attr:`DueTask.version` is made of it, and tells versions apart.
            timetable: what is due when, as text that is only compared.
            function, function_frame: as in :meth:`Flush.batch`.
            client: with which it ends; empty for none.
            first_ms: when it is due first, where that is new.
            ttl_ms: for which its runs' results are kept.

        Raises:
            FunctionMissing: nothing was done; put it with the function's frame.
        """

    def agenda(self, beat: str, for_ms: int, most: int) -> Agenda:
        """Return what is due, where ``beat`` is elected to see to it for so many ms."""

    def frame(self, id: str) -> bytes | None:
        """Return the frame of one; None where there is none, or none of ours (more than 4 MiB)."""

    def fire(self, version: str, due_ms: int | None, next_ms: int | None, run: DueRun) -> tuple[Fired, str]:
        """Submit a run; returns what came of it, and the batch that is in the way where one is.

        Exactly once for each due time, whoever says it and however often: batch, calls and the next due time are one
        step. Where it was said before, ``LATE``.

        Args:
            version: of the frame that it was made of.
            due_ms: its due time; None for a run beside the timetable.
            next_ms: when it is due next.
        """

    def pass_over(
        self, id: str, due_ms: int, next_ms: int | None, missed: int = 0, is_gone: bool = False
    ) -> bool:
        """Move on to another due time; False where somebody else has.

        Args:
            missed: due times that are counted as such.
            is_gone: whoever it ends with.
        """

    def pause(self, id: str) -> bool:
        """Have one pause; False where there is none. One that pauses keeps the time since when it does."""

    def resume(self, id: str, next_ms: int) -> bool:
        """Have one go on; False where there is none. One that does not pause keeps its due time."""

    def remove(self, id: str, client: str = "") -> bool:
        """Remove one; False where there is none.

        Args:
            client: it must be one that ends with this.
        """

    def say_there(self, client: str, for_ms: int) -> tuple[int | None, int]:
        """Say that a client is there with which periodic tasks end.

        Returns when this was said before, and the server's time, in ms; None where it was not, or longer ago than a
        week. So whoever says it again and again knows whether the server still has what it had then.

        Args:
            for_ms: for how long it counts as there; 0: it has gone, and what it has said is forgotten.
        """

    def look(self, *ids: str) -> tuple[int, list[PeriodicStanding]]:
        """Return the server's time (ms), and what has become of some, or of all (ten thousand at most)."""
