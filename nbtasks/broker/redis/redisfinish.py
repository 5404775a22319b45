"""What one flush of a worker reports: results, events, retries, entries that are worked off. Goes to finish.lua."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .channel import Argument
from .keys import GROUP, Keys
from .link import Link
from .redisentry import Entry
from .redissubmission import put_blobs

#: Result records up to this size travel inside the event; larger ones are fetched.
PUSH_BYTES = 32 * 1024
#: In the place of a limit: what is put aside may have begun.
DOUBT = "?"
#: Operation of a report -> how many arguments it has, as in finish.lua.
_WIDTHS = {"R": 6, "E": 3, "P": 5, "Z": 9, "Y": 11, "O": 3, "N": 4, "S": 2, "U": 4, "A": 5, "H": 3}


@dataclass
class Finish:
    """Operations that are applied together, each of them at most once; they may be sent again."""

    args: list[Argument] = field(default_factory=list)
    acks: list[Argument] = field(default_factory=list)
    blobs: list[tuple[str, bytes | memoryview]] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records a report has that has nothing else."""
        return len(self.args) // _WIDTHS["R"]

    def results(self, batch: str, first: int, states: bytes, record: bytes) -> None:
        """Results of ``len(states)`` calls in a row, one state code each."""
        self.args += ["R", batch, first, len(states), states, record]

    def named(self, batch: str, first: int, names: bytes) -> None:
        """Results that were just reported are to be found by later runs, too, under names as in core/memo.py."""
        self.args += ["N", batch, first, names.hex()]

    def event(self, batch: str, frame: bytes) -> None:
        """An event for the batch's session."""
        self.args += ["E", batch, frame]

    def own_state(self, batch: str, first: int, count: int, frame: bytes) -> None:
        """Calls have named a state of their own, which is kept while they run; with an empty frame it is dropped."""
        self.args += ["P", batch, first, count, frame]

    def happened(self, frame: bytes, if_new: bool = False) -> None:
        """A note in the stream of events.

        Args:
            if_new: it is about the results that were added to this report last, and counts for those that are new.
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
        """Queue calls again at a moment of the server's time, as another attempt."""
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
        """Look later whether these calls (first, count) have ended that may have begun; the entry ends."""
        for first, count in pieces:
            place: list[Argument] = [entry.batch, entry.address, entry.lane, due_ms, first, count]
            self.args += ["Z", *place, f"{entry.attempt} {DOUBT}", entry.frame]
        self.done(entry)

    def blob(self, batch: str, key: str, data: bytes | memoryview) -> None:
        """Store a piece of a large result."""
        self.blobs.append((key, data))
        self.keep(batch, key)

    def keep(self, batch: str, key: str) -> None:
        """A piece of a large value that is there lives as long as this batch, too."""
        self.args += ["O", batch, key]

    def counted(self, batch: str) -> None:
        """The batch's number of calls is known now; it may be over."""
        self.args += ["S", batch]

    def unlocked(self, lock: str, name: str, consumer: str) -> None:
        """A call is through with a lock. Said before its entry is worked off."""
        self.acks += ["U", lock, name, consumer]

    def done(self, entry: Entry, kept: tuple[int, int] | None = None) -> None:
        """The entry is worked off.

        Args:
            kept: (first, count) of the calls that it was cut down to, where others were given away.
        """
        self.acks += ["A", entry.address, entry.lane, entry.id, f"{kept[0]} {kept[1]}" if kept else ""]

    def alone(self) -> list[Finish]:
        """Return each operation as a report of its own, in the order in which they are applied."""
        found, flat, place = [], [*self.args, *self.acks], 0
        while place < len(flat):
            end = place + _WIDTHS[str(flat[place])]
            found.append(Finish(flat[place:end]))
            place = end
        return found

    @property
    def of_batch(self) -> tuple[str, int, int] | None:
        """(batch, first, count) of a report that is about results and nothing else; None for another one."""
        if len(self.args) != _WIDTHS["R"] or self.args[0] != "R":
            return None
        _, batch, first, count, *_ = self.args
        return str(batch), int(first), int(count)

    def __bool__(self) -> bool:
        return bool(self.args or self.acks)

    def for_script(self, keys: Keys) -> tuple[list[Argument], list[Argument]]:
        """Return the script's keys and arguments; blobs are stored before."""
        return [keys.root], [GROUP, PUSH_BYTES, *self.args, *self.acks]


def finish(link: Link, keys: Keys, report: Finish) -> int:
    """Report in one round trip, after the blobs; returns how many results were new."""
    put_blobs(link, report.blobs)
    return int(link.script("finish", *report.for_script(keys)))
