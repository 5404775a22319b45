"""The client's way in: numbered flushes of batches and chunks, and revocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.brokererrors import FlushGap, FunctionMissing
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.submission import MOST_ENTRIES, queue_is_full

from .sqlblobs import put_blobs
from .sqlentries import LATER, WAITS, add_entries, is_full, place_of, queue_of, tell, tell_due
from .sqlfunctions import put_functions
from .sqltransaction import questions_in
from .sqlweaving import KINDS, Weaving

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

#: How full lanes are is looked at with the first flush and each so manyth one: it costs as much as all the rest.
_LOOK_EVERY = 16


class SqlSubmission:
    """Applies flushes for one session."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def submit(self, session: str, number: int, flush: Flush, eager: bool = False) -> None:
        """Apply a flush; the same number may be sent any number of times."""
        put_blobs(self._line, flush.blobs)
        self._line.write(submit, session, number, flush)
        self._line.hasten()

    def last_flush(self, session: str) -> int:
        """Return the number of the last flush that the server has applied, and keep the session alive."""
        return self._line.write_lazily(last_flush, session)

    def revoke(self, batch: str, control: bytes, running: int | None = None) -> bool:
        """Flag the batch and tell the workers; False when nobody knows the batch."""
        return self._line.write(revoke, batch, control, running)

    def revoke_several(self, orders: Sequence[tuple[str, bytes, int | None]]) -> list[bool]:
        """Do the same for several."""
        return [self.revoke(*order) for order in orders]


def submit(tx: Transaction, session: str, number: int, flush: Flush) -> None:
    """Take one numbered flush of a session.

    Raises:
        FlushGap, FunctionMissing, BackPressure: nothing was done.
    """
    operations = FlushedOperations(flush)
    tx.want_time()
    last, there = _begun(tx, session, operations.needed)
    if number == last:
        return
    if number != (last or 0) + 1:
        raise FlushGap(last or 0)
    now = tx.now_ms()
    _see_to_room(tx, operations, look=number % _LOOK_EVERY == 1)
    for digest in operations.needed:
        if digest not in there:
            raise FunctionMissing(digest)
    operations.apply(tx, session, now)
    if last is None:
        tx.run(
            "INSERT INTO @sessions (ns, session, flush, seen) VALUES (?, ?, ?, ?)",
            tx.ns,
            session,
            number,
            now,
        )
    else:
        tx.run(
            "UPDATE @sessions SET flush = ?, seen = ? WHERE ns = ? AND session = ?",
            number,
            now,
            tx.ns,
            session,
        )
    tell_due(tx, operations.due_ms)


class FlushedOperations:
    """Those of one flush, by their kinds.

    Attributes:
        due_ms: when the first of those is due that come later; None where none does.
        lanes: address and lane of each into which something goes.
        needed: functions that must be there, for their records do not come along.
    """

    def __init__(self, flush: Flush) -> None:
        self._by_kind: dict[str, list[Sequence[Any]]] = {}
        for kind, *parts in flush.operations():
            self._by_kind.setdefault(kind, []).append(parts)
        shipped = {parts[0] for parts in self.of("F")}
        shipped |= {parts[3] for parts in self.of("B") if parts[4]}
        self.needed = sorted({parts[3] for parts in self.of("B")} - shipped)
        self.lanes = sorted({(str(parts[1]), parts[2]) for parts in self.of("C")})
        self.due_ms = min((parts[3] for parts in self.of("C") if parts[3]), default=None)

    def of(self, kind: str) -> list[Sequence[Any]]:
        """Return those of a kind, without its letter."""
        return self._by_kind.get(kind, [])

    def apply(self, tx: Transaction, session: str, now: int) -> None:
        """Record functions, batches and their values, and queue chunks."""
        shipped = [(digest, frame) for digest, frame in self.of("F")]
        put_functions(tx, shipped + [(parts[3], parts[4]) for parts in self.of("B") if parts[4]])
        self._put_batches(tx, session, now)
        self._keep_blobs(tx)
        rows = []
        for batch, address, lane, due_ms, first, count, frame in self.of("C"):
            standing = LATER if due_ms else WAITS
            place = (queue_of(tx, address), standing, place_of(lane), batch, due_ms or None, now)
            rows.append((*place, first, count, 1, "", frame))
        add_entries(tx, rows)
        if any(self.of(kind) for kind in KINDS):
            weaving = Weaving(tx, session, now, self.of)
            weaving.apply()
            due = [moment for moment in (self.due_ms, weaving.workflows.due_ms) if moment is not None]
            self.due_ms = min(due, default=None)

    def _put_batches(self, tx: Transaction, session: str, now: int) -> None:
        columns = ("ns", "batch", "n", "address", "digest", "ttl", "submitted", "sessions", "label")
        rows, notes = [], []
        for batch, n, address, function, _, label, ttl_ms in self.of("B"):
            queue_of(tx, address)
            rows.append((tx.ns, batch, n, str(address), function, ttl_ms, now, session, label))
            notes.append((tx.ns, now, batch, label))
        # Sent again after a loss: what has ended is kept.
        over = ("n", "address", "digest", "ttl", "sessions", "label")
        tx.put_many("@batches", ("ns", "batch"), columns, rows, over)
        for batch, n, label in self.of("N"):
            tx.run("UPDATE @batches SET n = ?, label = ? WHERE ns = ? AND batch = ?", n, label, tx.ns, batch)
            notes.append((tx.ns, now, batch, label))
        tx.many("INSERT INTO @happened (ns, told, name, frame) VALUES (?, ?, ?, ?)", notes)

    def _keep_blobs(self, tx: Transaction) -> None:
        rows = [(tx.ns, batch, name) for batch, name in self.of("O")]
        tx.put_many("@batch_blobs", ("ns", "batch", "name"), ("ns", "batch", "name"), rows)
        tx.run_in(
            "UPDATE @blobs SET expires = NULL WHERE ns = ? AND name IN (*)",
            (tx.ns,),
            sorted({name for _, _, name in rows}),
        )


def _see_to_room(tx: Transaction, operations: FlushedOperations, *, look: bool) -> None:
    """Raise where a lane is full."""
    for address, lane in operations.lanes if look else ():
        if is_full(tx, queue_of(tx, address), place_of(lane), MOST_ENTRIES):
            raise queue_is_full(address)


def _begun(tx: Transaction, session: str, needed: Sequence[str]) -> tuple[int | None, set[str]]:
    """Return the number of the session's last flush, and those functions that are there.

    Both are locked: nothing goes between this look and the batches that need them.
    """
    flush = ("SELECT flush FROM @sessions WHERE ns = ? AND session = ? FOR UPDATE", tx.ns, session)
    there = "SELECT digest FROM @functions WHERE ns = ? AND digest IN (*) ORDER BY digest FOR UPDATE"
    found, *digests = tx.each(flush, *questions_in(there, (tx.ns,), needed))
    return found[0][0] if found else None, {digest for rows in digests for (digest,) in rows}


def last_flush(tx: Transaction, session: str) -> int:
    """Return the number of the last flush of a session, and keep the session."""
    last = tx.value("SELECT flush FROM @sessions WHERE ns = ? AND session = ? FOR UPDATE", tx.ns, session)
    if last is None:
        return 0
    tx.run("UPDATE @sessions SET seen = ? WHERE ns = ? AND session = ?", tx.now_ms(), tx.ns, session)
    return int(last)


def revoke(tx: Transaction, batch: str, control: bytes, running: int | None) -> bool:
    """Flag a batch as having revoked calls, and tell the supervisors."""
    if not tx.changed("UPDATE @batches SET flagged = 1 WHERE ns = ? AND batch = ?", tx.ns, batch):
        return False
    if running is not None:
        row = {"ns": tx.ns, "batch": batch, "nth": running, "frame": control}
        tx.put("@revocations", ("ns", "batch", "nth"), row, ("frame",))
    tell(tx, "c", control)
    return True
