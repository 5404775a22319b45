"""The worker's side of the queues: take entries, finish calls, give calls to others."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.verbs.delivery import MOST_HELD, Aside
from nbtasks.broker.verbs.entry import Entry, range_in
from nbtasks.broker.verbs.finish import PUSH_BYTES, Finish
from nbtasks.core.address import Address

from .pglocks import PgCallLocks
from .pgoperations import id_of, number_of, of_report
from .pgsubmission import put_blobs

if TYPE_CHECKING:
    from .pglink import PgLink

#: Seconds until the queues' numbers are asked for again: somebody may have emptied that table under a connection.
_NUMBERS_KEPT_S = 10.0


class PgDelivery:
    """Takes, finishes and gives back entries for one consumer.

    Args:
        of_dead: a worker; once that has a lease again, nothing is given back any more.

    Attributes:
        consumer: as which it takes them.
    """

    def __init__(
        self,
        line: PgLink,
        addresses: Sequence[Address],
        consumer: str,
        on_copy: Callable[[Address, str, bytes], None],
        of_dead: str | None = None,
    ) -> None:
        self._line = line
        self._addresses = addresses
        self.consumer = consumer
        self._on_copy = on_copy
        self._of_dead = of_dead
        #: Queue's number -> address; asked for again on each new connection, and now and then.
        self._queues: dict[int, Address] = {}
        self._prepared_on = 0
        self._prepare_at = 0.0
        #: Names this object: what it has begun is in no doubt for itself.
        self._token = secrets.token_hex(8)

    def on_behalf_of(self, consumer: str, of_dead: str | None = None) -> PgDelivery:
        """Return the same queues seen as another consumer, to give back what a dead one held."""
        return PgDelivery(self._line, self._addresses, consumer, self._on_copy, of_dead)

    def call_locks(self) -> PgCallLocks:
        """Return what takes locks for calls in this consumer's hands."""
        return PgCallLocks(self._line, self.consumer)

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._line.connections

    def extend(self) -> None:
        """Take from the addresses that there are now."""
        self._prepared_on = 0

    def prepare(self, now: float | None = None) -> None:
        """See that entries can be taken from these queues."""
        life = self._line.life()
        addresses = sorted(set(self._addresses))
        now_ms = None if now is None else round(now * 1000)
        rows = self._line.rows("prepare", addresses, life, now_ms)
        by_name = {str(address): address for address in addresses}
        numbers = {by_name[name]: number for name, number in rows}
        # In the order in which they were named: all of a priority alike, and those first.
        self._queues = {numbers[address]: address for address in self._addresses}
        self._prepared_on = self._line.connections
        self._prepare_at = time.monotonic() + _NUMBERS_KEPT_S

    def _numbers(self) -> list[int]:
        """Return the numbers of the queues."""
        is_kept = self._prepared_on == self._line.connections and time.monotonic() < self._prepare_at
        if not is_kept or not self._queues:
            self.prepare()
        return list(self._queues)

    # -- taking

    def take(self, most: int) -> list[Entry]:
        """Take up to ``most`` entries without waiting."""
        return self._entries(self._line.rows("take", self._numbers(), self.consumer, most))

    def wait(
        self, block_ms: int, report: Finish | None = None, told: Callable[[], None] = lambda: None
    ) -> list[Entry]:
        """Wait up to ``block_ms`` for an entry, the first one in the order of service where several wait."""
        give_up_at = time.monotonic() + block_ms / 1000
        queues = self._numbers()
        looks = 0
        rows = self._report_and_look(queues, report, told)
        while not rows and (left_s := give_up_at - time.monotonic()) > 0:
            woken = self._line.wait_to_be_told(min(left_s, self._line.look_again_s), looks)
            looks += 1
            rows = self._look(queues, lies_down=not woken)
            if woken and not rows:
                # Somebody else was quicker.
                rows = self._look(queues, lies_down=True)
        return self._entries(rows)

    def _report_and_look(
        self, queues: list[int], report: Finish | None, told: Callable[[], None]
    ) -> list[tuple[Any, ...]]:
        if not report:
            return self._look(queues, lies_down=True)
        verbs = [("finish", (PUSH_BYTES, *of_report(report).all_args)), self._looking(queues, lies_down=True)]
        return self._line.several(verbs, lambda _: told())[1]

    def _look(self, queues: list[int], *, lies_down: bool) -> list[tuple[Any, ...]]:
        return self._line.several([self._looking(queues, lies_down=lies_down)])[0]

    def _looking(self, queues: list[int], *, lies_down: bool) -> tuple[str, Sequence[Any]]:
        channel = self._line.lying_down() if lies_down else None
        if channel is None:
            return "take", (queues, self.consumer, 1)
        return "take_or_doze", (queues, self.consumer, 1, list(self._addresses), channel)

    def _entries(self, rows: Iterable[tuple[Any, ...]]) -> list[Entry]:
        """Return the entries in rows of entry_out; of those that are over, whoever cares is told."""
        found = []
        for row in rows:
            queue, lane, number, batch, first, count, attempt, suspect, doubt, follows, frame, over, told = (
                row
            )
            address = self._queues[queue]
            if not over:
                place = (address, lane, id_of(number), batch, first, count, attempt, suspect, frame, doubt)
                found.append(Entry(*place, range_in(follows)))
            elif told:
                self._on_copy(address, batch, frame)
        return found

    # -- whether what was taken is to be run

    def living(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those entries that have calls to run, suspect where some of them may be final."""
        if not entries:
            return []
        columns = [
            [number_of(entry.id) for entry in entries],
            [entry.batch for entry in entries],
            [entry.first for entry in entries],
            [entry.count for entry in entries],
        ]
        living = []
        rows = self._line.rows("living", *columns)
        for entry, (over, suspect, told) in zip(entries, rows, strict=True):
            if not over:
                doubtful = suspect and not entry.suspect
                living.append(dataclasses.replace(entry, suspect=True) if doubtful else entry)
            elif told:
                self._on_copy(entry.address, entry.batch, entry.frame)
        return living

    def may_have_begun(self, entry: Entry) -> bool:
        """Whether calls of an entry may have been begun by somebody else. If not, it is noted that they are by us."""
        return bool(entry.doubt) or bool(self._line.one("begin_entry", number_of(entry.id), self._token))

    # -- what is in hand

    def in_hand(self) -> list[Entry]:
        """Return every entry that this consumer holds, for an audit after a lost connection."""
        return self._entries(self._line.rows("held", self._numbers(), self.consumer, MOST_HELD))

    def forget(self) -> None:
        """Nothing is kept of a consumer but the entries that it holds."""

    # -- being rid of it

    def finish(self, report: Finish) -> int:
        """Report results, events, retries and finished entries in one step; returns how many results were new."""
        return finish(self._line, report)

    def give(
        self,
        entry: Entry,
        pieces: Iterable[tuple[int, int, int]],
        kept: tuple[int, int] | None = None,
        end: int | None = None,
        aside: Aside | None = None,
    ) -> bool:
        """Give pieces (first, count, attempt) of an entry to whoever takes them, and keep or end the rest."""
        flat = [number for piece in pieces for number in piece]
        place = (None, None, None) if aside is None else (aside.lane, aside.due_ms, aside.limit)
        first, count = kept or (None, None)
        stop = entry.first + entry.count if end is None else end
        args = (self._of_dead, self.consumer, number_of(entry.id), *place, first, count, stop, flat)
        return bool(self._line.one("give", *args))


def finish(line: PgLink, report: Finish) -> int:
    """Report in one step, after the blobs; returns how many results were new."""
    put_blobs(line, report.blobs)
    return int(line.one("finish", PUSH_BYTES, *of_report(report).all_args)) if report else 0
