"""What one report says: results, events, retries, entries that are worked off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .entry import Entry
from .operations import Part, cut

#: In the place of a limit: what is put aside may have begun.
DOUBT = "?"
#: Records of results up to this size travel inside the news; larger ones are fetched.
PUSH_BYTES = 32 * 1024
#: Operation of a report -> of how many parts it is, its letter among them.
_WIDTHS = {"R": 6, "E": 3, "P": 5, "Z": 9, "Y": 11, "O": 3, "N": 4, "S": 2, "U": 4, "A": 5, "H": 3}


@dataclass
class Finish:
    """Operations that are applied together, each of them at most once; they may be sent again.

    What the parts of each are in ``args`` and ``acks``, behind its letter:

    === ==========================================================================================================
    R   batch, first, count, states (one byte a call), record
    E   batch, frame
    P   batch, first, count, frame or "" (the state is over)
    Z   batch, address, lane, when it is due (ms), first, count, attempt (with " ?" where in doubt), frame
    Y   as Z, and an id of the wait, batches (blanks between them)
    O   batch, key of a blob
    N   batch, first, names (64 hex digits a call; zeros: none)
    S   batch
    H   frame, "1" where it is about those results that stand before it and are new
    U   lock, name, consumer
    A   address, lane, id of the entry, kept part ``first count`` or ""
    === ==========================================================================================================

    What is about a batch that nobody knows (any more) is passed over without a word.

    Attributes:
        args: the operations, one behind the other.
        acks: those that are applied after all others: U and A.
        blobs: (key, data) of pieces of large values, which are stored before.
    """

    args: list[Part] = field(default_factory=list)
    acks: list[Part] = field(default_factory=list)
    blobs: list[tuple[str, bytes | memoryview]] = field(default_factory=list)

    def operations(self) -> Iterator[Sequence[Any]]:
        """Yield each operation in the order in which they are applied, its letter first."""
        return cut([*self.args, *self.acks], _WIDTHS)

    @property
    def records(self) -> int:
        """How many records a report has that has nothing else."""
        return len(self.args) // _WIDTHS["R"]

    def results(self, batch: str, first: int, states: bytes, record: bytes) -> None:
        """Results of ``len(states)`` calls in a row, one final state code each.

        Of each call the first result counts, and those that follow change nothing. The record is filed under each range
        of calls (first, count) that is new in it; one record may so be filed under several. In the same step: the
        batch's sessions are told which calls that were, what waited for them is released, and a batch whose calls have
        all ended is over: it expires after its time, with all that belongs to it. A workflow's batches are kept
        until the last one has ended. Where a call has not succeeded, :meth:`WorkflowStore.take_fallout` has its
        workflow.
        """
        self.args += ["R", batch, first, len(states), states, record]

    def named(self, batch: str, first: int, names: bytes) -> None:
        """Results that were just reported are to be found by later runs, too, under names as in core/memo.py.

        Only those that are there and have succeeded are; for as long as results are kept.
        """
        self.args += ["N", batch, first, names.hex()]

    def event(self, batch: str, frame: bytes) -> None:
        """An event for the batch's sessions."""
        self.args += ["E", batch, frame]

    def own_state(self, batch: str, first: int, count: int, frame: bytes) -> None:
        """Calls have named a state of their own, which is kept while they run; with an empty frame it is dropped.

        It is kept under the first call; a day at most.
        """
        self.args += ["P", batch, first, count, frame]

    def happened(self, frame: bytes, if_new: bool = False) -> None:
        """A note in the stream of events.

        Args:
            if_new: it is about the results that were added to this report last, and counts for those that are new:
                where none is, nothing is noted; where some are, their ranges stand beside it.
        """
        self.args += ["H", frame, "1" if if_new else ""]

    def again(
        self,
        batch: str,
        address: str,
        lane: str,
        due_ms: int,
        first: int,
        count: int,
        attempt: int,
        frame: bytes,
    ) -> None:
        """Queue calls again at a moment of the server's time, as another attempt. Said again, it is the same one."""
        self.args += ["Z", batch, address, lane, due_ms, first, count, attempt, frame]

    def later(
        self,
        batch: str,
        address: str,
        lane: str,
        due_ms: int,
        index: int,
        attempt: int,
        frame: bytes,
        name: str,
        before: Iterable[str],
    ) -> None:
        """Queue a call again when some batches have ended, at the latest at a moment of the server's time.

        Args:
            name: an id of this wait.
            before: the batches.
        """
        self.args += ["Y", batch, address, lane, due_ms, index, 1, attempt, frame, name, " ".join(before)]

    def doubt(self, entry: Entry, due_ms: int, pieces: Iterable[tuple[int, int]]) -> None:
        """Look later whether these calls (first, count) have ended that may have begun; the entry ends.

        They come back as :data:`SETTLED`.
        """
        for first, count in pieces:
            place: list[Part] = [entry.batch, entry.address, entry.lane, due_ms, first, count]
            self.args += ["Z", *place, f"{entry.attempt} {DOUBT}", entry.frame]
        self.done(entry)

    def blob(self, batch: str, key: str, data: bytes | memoryview) -> None:
        """Store a piece of a large result."""
        self.blobs.append((key, data))
        self.keep(batch, key)

    def keep(self, batch: str, key: str) -> None:
        """A piece of a large value that is there lives as long as this batch, too; not where that is over."""
        self.args += ["O", batch, key]

    def counted(self, batch: str) -> None:
        """The batch's number of calls is known now; it may be over."""
        self.args += ["S", batch]

    def unlocked(self, lock: str, name: str, consumer: str) -> None:
        """A call is through with a lock. Said before its entry is worked off. Whose turn it is then, is told."""
        self.acks += ["U", lock, name, consumer]

    def done(self, entry: Entry, kept: tuple[int, int] | None = None) -> None:
        """The entry is worked off. Only for who holds it: :meth:`Delivery.finish`, or :meth:`Delivery.wait`.

        Args:
            kept: (first, count) of the calls that it was cut down to, where others were given away. Where the server
                has forgotten that, the others are queued again.
        """
        self.acks += ["A", entry.address, entry.lane, entry.id, f"{kept[0]} {kept[1]}" if kept else ""]

    def alone(self) -> list[Finish]:
        """Return each operation as a report of its own, in the order in which they are applied."""
        return [Finish(list(one)) for one in self.operations()]

    @property
    def of_batch(self) -> tuple[str, int, int] | None:
        """(batch, first, count) of a report that is about results and nothing else; None for another one."""
        if len(self.args) != _WIDTHS["R"] or self.args[0] != "R":
            return None
        _, batch, first, count, *_ = self.args
        return str(batch), int(first), int(count)

    def __bool__(self) -> bool:
        return bool(self.args or self.acks)
