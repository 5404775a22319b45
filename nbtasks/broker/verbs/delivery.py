"""Queue verbs of a worker: take entries, finish calls, give calls to others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .entry import Entry
from .finish import Finish
from .locks import CallLocks

#: Entries of one consumer that are looked at.
MOST_HELD = 10_000


@dataclass(frozen=True)
class Aside:
    """Where calls go that a rate limit does not let start yet: into a lane, at a moment of the server's time.

    Attributes:
        due_ms: by the server's time as it is reckoned.
        limit: from :func:`limit_of`.
    """

    lane: str
    due_ms: int
    limit: str

    def __str__(self) -> str:
        return f"{self.lane} {self.due_ms} {self.limit}"


class Delivery(Protocol):
    """Takes, finishes and gives back entries for one consumer.

    An entry that was taken is the consumer's until it is finished, given, or given back on its behalf; no time limit
    takes it away, and nobody else gets it meanwhile. It stays so when the consumer's process dies, and when the server
    is restarted. A server that has lost who held what may deliver an entry again; then :meth:`may_have_begun` says so.

    Lanes are served by priority over all addresses: what is of a higher lane at any address goes first, and returned
    work (the lane's upper case, core/lanenames.py) before what is new in the same lane. Within a lane entries come in
    the order in which they were queued, all addresses taking turns as it may be.

    Attributes:
        consumer: as which it takes them.
    """

    consumer: str

    @property
    def connections(self) -> int:
        """Grows when what was in hand may not be any more: with each connection, and where a server had lost it."""

    def extend(self) -> None:
        """Take from the addresses that there are now: the list that it was made with may have grown."""

    def on_behalf_of(self, consumer: str, of_dead: str | None = None) -> Delivery:
        """Return the same queues seen as another consumer, to give back what a dead one held.

        Args:
            of_dead: id of its worker, which has no lease; once that has a lease again, :meth:`give` gives nothing back
                any more and returns False, in one step with the look at the lease.
        """

    def call_locks(self) -> CallLocks:
        """Return what takes locks for calls in this consumer's hands."""

    def prepare(self, now: float | None = None) -> None:
        """See that entries can be taken from these queues: those from before the first worker count too.

        Where the server may have forgotten who held what (it was started anew, restored, or somebody has written
        there), what was given out before is marked as :data:`LOST` in the same step as it can be given out again. May
        be said at any time. :meth:`take` and :meth:`wait` do it by themselves where they find that they must.

        Args:
            now: the server's time as it is reckoned, in epoch seconds. What is due by then is queued before that: so
                that it counts as given out where the server may have done so before it forgot.
        """

    # -- taking

    def take(self, most: int) -> list[Entry]:
        """Take up to ``most`` entries without waiting, of one lane only, the first in the order of service.

        Fewer may come than there are. Entries of which nothing is to be run (their batch is not known, or all their
        calls have ended) end here; of those that were not revoked ``on_copy`` is told. An entry is ``suspect`` where
        some of its calls may have ended or been revoked. Where the answer is lost, the entries are in hand all the
        same: :meth:`in_hand` has them.
        """

    def wait(
        self, block_ms: int, report: Finish | None = None, told: Callable[[], None] = lambda: None
    ) -> list[Entry]:
        """Wait up to ``block_ms`` for an entry, and take it: the first in the order of service where several wait.

        Returns one entry, or none where none came (or what came was not to be run). It is as :meth:`take` has it.

        Args:
            block_ms: at most the line's ``block_s``.
            report: is applied before the wait, as :meth:`finish` does it, in the same round trip where that saves one;
                it has no blobs.
            told: called when the broker has the report, which is before the wait.

        Raises:
            BrokerUnavailable: where ``told`` was not called, nobody knows whether the report was applied: tell it
                again. What was taken is in hand.
        """

    # -- whether what was taken is to be run

    def living(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those entries that have calls to run, suspect where some of them may be final.

        The others are copies of entries that were worked off; they end here, as in :meth:`take`.
        """

    def may_have_begun(self, entry: Entry) -> bool:
        """Whether calls of an entry may have been taken before, and the server has lost by whom."""

    # -- what is in hand

    def in_hand(self) -> list[Entry]:
        """Return every entry that this consumer holds, cut down to what it kept of each; all of them are suspect.

        For an audit after a lost connection, and of the dead. 10,000 entries a queue at most.
        """

    def forget(self) -> None:
        """Nothing is kept of this consumer any more, in those queues in which it holds nothing."""

    # -- being rid of it

    def finish(self, report: Finish) -> int:
        """Apply a report, the entries that are worked off among it; returns how many results were new.

        Blobs are stored first, then all else is one step, in the order of the report, entries last: so no entry is
        worked off whose results are not there. It may be said again: each result counts once, the first one wins, and
        an entry that has ended stays so. Events and notes may be told twice then.
        """

    def give(
        self,
        entry: Entry,
        pieces: Iterable[tuple[int, int, int]],
        kept: tuple[int, int] | None = None,
        end: int | None = None,
        aside: Aside | None = None,
    ) -> bool:
        """Give pieces of an entry to whoever takes them, and keep or end the rest; one step.

        Of calls that two have given at once (a child and its supervisor), the first one counts: pieces are cut down to
        what the entry still holds. What holds more than ``end`` says (the server has lost what was given before) is
        queued again from ``end`` on. Pieces are suspect where the entry's batch was revoked or their attempt is not the
        first, and in doubt where the entry was.

        Args:
            pieces: (first, count, attempt) of each.
            kept: (first, count) of the calls that stay with this consumer; None: the entry ends. Said again with the
                same ``kept``, it changes nothing and returns True.
            end: index after the last call that this consumer takes the entry to hold; less than the entry's own
                where some were given away before.
            aside: put the pieces aside rather than into the entry's lane for returned work, where they are queued at
                that moment; supervisors are told.

        Returns False when this consumer no longer holds the entry, or the dead have come back (see
        :meth:`on_behalf_of`); nothing was changed then.
        """
