"""The worker's side of the queues: take entries, finish calls, give calls to others."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.verbs.delivery import MOST_HELD, Aside
from nbtasks.broker.verbs.entry import LOST, SETTLED, Entry, makes_sense, range_in
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES

from .sqlentries import (
    COLUMNS,
    HELD,
    WAITS,
    CallsStanding,
    Standings,
    drop_entries,
    id_of,
    number_of,
    queue_of,
    tell,
)
from .sqlgiving import Gift, give
from .sqllocks import SqlCallLocks
from .sqlqueues import promoted
from .sqlreport import send_report

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

#: Entries that are looked at in one take, those that are over among them.
_MOST_LOOKED_AT = 1000


class SqlDelivery:
    """Takes, finishes and gives back entries for one consumer.

    Args:
        of_dead: a worker; once that has a lease again, nothing is given back any more.

    Attributes:
        consumer: as which it takes them.
    """

    def __init__(
        self,
        line: SqlLink,
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
        #: Queue's number -> address; asked for again on each new connection.
        self._queues: dict[int, Address] = {}
        self._prepared_on = 0
        #: Names this object: what it has begun is in no doubt for itself.
        self._token = secrets.token_hex(8)

    def on_behalf_of(self, consumer: str, of_dead: str | None = None) -> SqlDelivery:
        """Return the same queues seen as another consumer, to give back what a dead one held."""
        return SqlDelivery(self._line, self._addresses, consumer, self._on_copy, of_dead)

    def call_locks(self) -> SqlCallLocks:
        """Return what takes locks for calls in this consumer's hands."""
        return SqlCallLocks(self._line, self.consumer)

    @property
    def connections(self) -> int:
        """How many connections were made so far."""
        return self._line.connections

    def extend(self) -> None:
        """Take from the addresses that there are now."""
        self._prepared_on = 0

    def prepare(self, now: float | None = None) -> None:
        """See that entries can be taken from these queues."""
        addresses = list(dict.fromkeys(self._addresses))
        now_ms = None if now is None else round(now * 1000)
        numbers = self._line.write(prepare, sorted(addresses), now_ms)
        # In the order in which they were named: all of a priority alike, and those first.
        self._queues = {numbers[address]: address for address in addresses}
        self._prepared_on = self._line.connections

    def _numbers(self) -> list[int]:
        """Return the numbers of the queues."""
        if self._prepared_on != self._line.connections or not self._queues:
            self.prepare()
        return list(self._queues)

    # -- taking

    def take(self, most: int) -> list[Entry]:
        """Take up to ``most`` entries without waiting."""
        return self._entries(self._look(most))

    def wait(
        self, block_ms: int, report: Finish | None = None, told: Callable[[], None] = lambda: None
    ) -> list[Entry]:
        """Wait up to ``block_ms`` for an entry, the first one in the order of service where several wait."""
        until = time.monotonic() + block_ms / 1000
        if report:
            self.finish(report)
            told()
        return self._entries(self._line.wait_for(lambda: self._look(1), until))

    def _look(self, most: int) -> list[Taken]:
        """Take what there is. Whoever finds nothing has kept nobody from writing."""
        numbers = self._numbers()
        begin = self._line.read(first_place, numbers)
        if not begin:
            return []
        return self._line.write_lazily(take, numbers, begin[0], self.consumer, most)

    def _entries(self, taken: Iterable[Taken]) -> list[Entry]:
        """Return those of which something is to be run; of the others, whoever cares is told."""
        found = []
        for row, standing in taken:
            if standing.over and not standing.told:
                continue
            entry = self._entry(row, standing.suspect)
            if not standing.over:
                found.append(entry)
            else:
                self._on_copy(entry.address, entry.batch, entry.frame)
        return found

    def _entry(self, row: Row, suspect: bool) -> Entry:
        number, queue, place, batch, first, size, attempt, flag, follows, frame = row
        doubt = flag if flag in {LOST, SETTLED} else ""
        # Returned work (an even place) may have been run by somebody.
        suspect = suspect or bool(flag) or place % 2 == 0
        where = (self._queues[queue], LANES[place], id_of(number), batch, first, size, attempt)
        return Entry(*where, suspect, frame, doubt, range_in(follows))

    # -- whether what was taken is to be run

    def living(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those entries that have calls to run, suspect where some of them may be final."""
        if not entries:
            return []
        living = []
        for entry, standing in zip(entries, self._standings(entries), strict=True):
            if not standing.over:
                doubtful = standing.suspect and not entry.suspect
                living.append(dataclasses.replace(entry, suspect=True) if doubtful else entry)
            elif standing.told:
                self._on_copy(entry.address, entry.batch, entry.frame)
        return living

    def _standings(self, entries: Sequence[Entry]) -> list[CallsStanding]:
        found = self._line.read(standings, entries)
        over = [number_of(one.id) for one, how in zip(entries, found, strict=True) if how.over]
        if over:
            self._line.write_lazily(drop_entries, over)
        return found

    def may_have_begun(self, entry: Entry) -> bool:
        """Whether calls of an entry may have been begun by somebody else. If not, it is noted that they are by us."""
        return bool(entry.doubt) or self._line.write(begin_entry, number_of(entry.id), self._token)

    # -- what is in hand

    def in_hand(self) -> list[Entry]:
        """Return every entry that this consumer holds, for an audit after a lost connection."""
        rows = self._line.read(held, self._numbers(), self.consumer)
        return [self._entry(row, True) for row in rows if _makes_sense(row)]

    def forget(self) -> None:
        """Nothing is kept of a consumer but the entries that it holds."""

    # -- being rid of it

    def finish(self, report: Finish) -> int:
        """Report results, events, retries and finished entries in one step; returns how many results were new."""
        return send_report(self._line, report)

    def give(
        self,
        entry: Entry,
        pieces: Iterable[tuple[int, int, int]],
        kept: tuple[int, int] | None = None,
        end: int | None = None,
        aside: Aside | None = None,
    ) -> bool:
        """Give pieces (first, count, attempt) of an entry to whoever takes them, and keep or end the rest."""
        stop = entry.first + entry.count if end is None else end
        gift = Gift(self.consumer, number_of(entry.id), tuple(pieces), kept, stop, aside)
        return self._line.write(give, gift, self._of_dead)


#: A row of an entry, and how it stands.
Taken = tuple["Row", CallsStanding]
#: How one stands that says what cannot be: it ends, and nothing of it is read.
_SENSELESS = CallsStanding(over=True, suspect=False, told=False)


def _makes_sense(row: Row) -> bool:
    _, _, place, _, first, size, attempt, _, _, frame = row
    return 0 <= place < len(LANES) and makes_sense(first, size, attempt, frame)


def prepare(tx: Transaction, addresses: Sequence[Address], now_ms: int | None) -> dict[Address, int]:
    """See that entries can be taken, and note which of them may have been given out before.

    Where the server is in another life, it may have lost who took them.

    Args:
        now_ms: what is due by then is queued before; None: nothing is.
    """
    life, numbers = tx.dialect.life(tx), {}
    for address in addresses:
        numbers[address] = queue = queue_of(tx, address)
        if now_ms is not None:
            promoted(tx, queue, now_ms, 1_000_000)
        seen = tx.value("SELECT life FROM @queues WHERE queue = ? FOR UPDATE", queue)
        if seen is None:
            tx.run("UPDATE @queues SET life = ? WHERE queue = ?", life, queue)
        elif seen != life:
            last = tx.value("SELECT max(id) FROM @entries") or 0
            tx.run("UPDATE @queues SET life = ?, doubtful = ? WHERE queue = ?", life, last, queue)
    return numbers


def first_place(tx: Transaction, queues: Sequence[int]) -> list[int]:
    """Return the place of the lane that is first in the order of service of those in which something waits."""
    least = "SELECT min(place) FROM @entries WHERE queue = ? AND standing = ? AND place >= 0 AND place < ?"
    places = [rows[0][0] for rows in tx.each(*((least, queue, WAITS, len(LANES)) for queue in queues))]
    return sorted(place for place in places if place is not None)[:1]


def take(tx: Transaction, queues: Sequence[int], begin: int, consumer: str, most: int) -> list[Taken]:
    """Take entries of one priority: what comes meanwhile goes before those of a lower one.

    Those that are over end here; they are returned, too.

    Args:
        begin: the first place in the order of service in which something was seen, a moment ago.
    """
    looked_at = Standings(tx)
    found: list[Taken] = []
    # Others may have taken what was seen there.
    for priority in range(begin // 2, len(LANES) // 2):
        living = 0
        for queue in queues:
            while living < most and len(found) < _MOST_LOOKED_AT:
                some = _taken(tx, queue, priority, consumer, most - living, looked_at)
                found += some
                living += sum(not standing.over for _, standing in some)
                if not any(standing.over for _, standing in some):
                    break
        if living:
            break
    return found


def _taken(
    tx: Transaction, queue: int, priority: int, consumer: str, most: int, looked_at: Standings
) -> list[Taken]:
    # A batch is looked up along with its entry, and is not locked by that.
    batch = "SELECT b.done * 2 + b.flagged FROM @batches b WHERE b.ns = e.ns AND b.batch = e.batch"
    rows = tx.rows(
        f"SELECT {COLUMNS}, ({batch}) FROM @entries e "  # noqa: S608
        "WHERE queue = ? AND standing = ? AND place >= ? AND place <= ? ORDER BY place, id LIMIT ? "
        "FOR UPDATE SKIP LOCKED",
        *(queue, WAITS, priority * 2, priority * 2 + 1, most),
    )
    for row in rows:
        looked_at.note(row[3], None if row[-1] is None else divmod(row[-1], 2))
    found = [
        (row[:-1], looked_at.of(row[3], row[4], row[5]) if _makes_sense(row[:-1]) else _SENSELESS)
        for row in rows
    ]
    if any(standing is _SENSELESS for _, standing in found):
        tell(tx, "odd", b"an entry")
    mine = [row[0] for row, standing in found if not standing.over]
    tx.run_in("UPDATE @entries SET standing = ?, holder = ? WHERE id IN (*)", (HELD, consumer), mine)
    drop_entries(tx, [row[0] for row, standing in found if standing.over])
    return found


def standings(tx: Transaction, entries: Sequence[Entry]) -> list[CallsStanding]:
    """Return how entries stand, in their order."""
    looked_at = Standings(tx)
    return [looked_at.of(one.batch, one.first, one.count) for one in entries]


def held(tx: Transaction, queues: Sequence[int], consumer: str) -> list[Any]:
    """Return the entries that a consumer holds in some queues."""
    rows = tx.rows_in(
        f"SELECT {COLUMNS} FROM @entries WHERE holder = ? AND queue IN (*) ORDER BY place, id LIMIT ?",  # noqa: S608
        (consumer,),
        queues,
        MOST_HELD,
    )
    return sorted(rows, key=lambda row: (row[2], row[0]))


def begin_entry(tx: Transaction, entry: int, token: str) -> bool:
    """Note that calls of an entry are to be run that must not run twice; returns whether they may have begun elsewhere.

    Unlike what says who holds an entry, this waits for the disk: so a machine that has crashed may give the entry out
    again, but it still knows that.
    """
    found = tx.row(
        "SELECT e.begun_by, e.id, q.doubtful FROM @entries e JOIN @queues q ON q.queue = e.queue WHERE e.id = ? "
        "FOR UPDATE",
        entry,
    )
    if found is None:
        return True
    begun_by, number, doubtful = found
    if number <= doubtful or begun_by not in {None, token}:
        return True
    if begun_by is None:
        tx.run("UPDATE @entries SET begun_by = ? WHERE id = ?", token, entry)
    return False
