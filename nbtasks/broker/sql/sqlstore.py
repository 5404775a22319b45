"""What is kept about batches: their labels, states, result records, functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.store import BatchRecord, final_states

from .sqlentries import results_of
from .sqlfunctions import function_record
from .sqlhousekeeping import forget_batches
from .sqlreport import send_report

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

#: Calls of a batch that single ones share, which may be forgotten one by one.
_MOST_SHARING = 10_000
_DAY_MS = 86_400_000
_COLUMNS = "batch, label, submitted, ended, n, done"


class SqlStore:
    """Reads what is kept; both ends use it."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def finish(self, report: Finish) -> int:
        """Apply a report in which no entry ends; returns how many results were new."""
        return send_report(self._line, report)

    def function(self, digest: str) -> bytes | None:
        """Return a function's record."""
        return self._line.read(function_record, digest)

    def plan(self, workflow: str) -> bytes | None:
        """Return the signed graph of a workflow."""
        return self._line.read(plan, workflow)

    def keep_plan(self, name: str, frame: bytes, ttl_ms: int) -> None:
        """Keep a signed graph, or group, for a time."""
        self._line.write(keep_plan, name, frame, ttl_ms)

    def states(self, batch: str, first: int, count: int) -> bytes:
        """Return ``count`` state codes from ``first`` on; zero where a call is not final."""
        return self._line.read(states, batch, first, count) if count > 0 else b""

    def standing(self, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
        """Return what :meth:`states` does, and the orders that revoked some of these calls while they ran."""
        return self._line.read(standing, batch, first, count)

    def states_of(self, batches: list[tuple[str, int]]) -> list[bytes]:
        """Return the state codes of several batches, each with its number of calls."""
        return self._line.read(lambda tx: [states(tx, batch, 0, max(0, n)) for batch, n in batches])

    def ranges(self, batch: str) -> list[tuple[int, int]]:
        """Return the (first, count) of every result record of a batch."""
        return self._line.read(ranges, batch)

    def record(self, batch: str, first: int, count: int) -> bytes | None:
        """Return one result record."""
        return self._line.read(record, batch, first, count)

    def batch(self, batch: str) -> BatchRecord | None:
        """Return what is known of a batch, or None when nobody recorded it."""
        return next(iter(self.named([batch])), None)

    def own_states(self, batch: str) -> list[tuple[bytes, bytes]]:
        """Return (index, frame) of the calls of a batch that have named a state of their own."""
        return [(b"%d" % index, frame) for index, frame in self._line.read(own_states, batch)]

    def newest(self, most: int) -> list[str]:
        """Return the ids of the newest batches, newest first."""
        return [row[0] for row in self._line.read(newest, most, "batch")]

    def listed(self, most: int, *, unfinished: bool) -> list[BatchRecord]:
        """Return the newest batches, newest first."""
        rows = self._line.read(newest, most, _COLUMNS)
        return [_record(row) for row in rows if not (unfinished and _is_over(row))]

    def named(self, batches: Iterable[str]) -> list[BatchRecord]:
        """Return those batches that somebody has recorded; how far they are is not looked at."""
        return [_record(row, told=False) for row in self._line.read(named, list(batches))]

    def forget(self, batch: str) -> list[str]:
        """Drop the results of a batch; returns the keys of its large values, which are still there."""
        return self._line.write(forget, batch)

    def forget_call(self, batch: str, index: int) -> int:
        """Note that a call is not wanted any more that shares its batch with others; returns how many are."""
        return self._line.write(forget_call, batch, index)

    def forgotten(self, batch: str) -> frozenset[int]:
        """Return the indexes of those of which that was noted."""
        return frozenset(self._line.read(forgotten, batch))


def plan(tx: Transaction, name: str) -> bytes | None:
    """Return a signed graph, or a group."""
    frame: bytes | None = tx.value(
        "SELECT frame FROM @plans WHERE ns = ? AND name = ? AND (expires IS NULL OR expires > ?)",
        *(tx.ns, name, tx.now_ms()),
    )
    return frame


def keep_plan(tx: Transaction, name: str, frame: bytes, ttl_ms: int) -> None:
    """Keep one for a time."""
    row = {"ns": tx.ns, "name": name, "expires": tx.now_ms() + ttl_ms, "frame": frame}
    tx.put("@plans", ("ns", "name"), row, ("expires", "frame"))


def states(tx: Transaction, batch: str, first: int, count: int) -> bytes:
    """Return state codes of calls in a row."""
    found = bytearray(count)
    for begin, _, codes in results_of(tx, batch, first, count):
        at = begin - first
        piece = codes[max(0, -at) : max(0, count - at)]
        found[max(0, at) : max(0, at) + len(piece)] = piece
    return final_states(found)


def standing(tx: Transaction, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
    """Return state codes, and orders that revoked calls while they ran."""
    orders = tx.rows(
        "SELECT nth, frame FROM @revocations WHERE ns = ? AND batch = ? AND (nth = -1 OR (nth >= ? AND nth < ?))",
        *(tx.ns, batch, first, first + count),
    )
    return states(tx, batch, first, count), dict(orders)


def ranges(tx: Transaction, batch: str) -> list[tuple[int, int]]:
    """Return under which calls the records of a batch are filed."""
    rows = tx.rows("SELECT first, size FROM @results WHERE ns = ? AND batch = ? ORDER BY first", tx.ns, batch)
    return [(first, size) for first, size in rows]


def record(tx: Transaction, batch: str, first: int, count: int) -> bytes | None:
    """Return the record that is filed under exactly these calls."""
    frame: bytes | None = tx.value(
        "SELECT record FROM @results WHERE ns = ? AND batch = ? AND first = ? AND size = ?",
        *(tx.ns, batch, first, count),
    )
    return frame


def own_states(tx: Transaction, batch: str) -> list[Row]:
    """Return states that calls have named themselves."""
    return tx.rows(
        "SELECT nth, frame FROM @own_states WHERE ns = ? AND batch = ? AND told > ? ORDER BY nth",
        *(tx.ns, batch, tx.now_ms() - _DAY_MS),
    )


def newest(tx: Transaction, most: int, columns: str) -> list[Row]:
    """Return the newest batches that have not expired."""
    return tx.rows(
        f"SELECT {columns} FROM @batches WHERE ns = ? AND (expires IS NULL OR expires > ?) "  # noqa: S608
        "ORDER BY submitted DESC, batch DESC LIMIT ?",
        *(tx.ns, tx.now_ms(), most),
    )


def named(tx: Transaction, batches: Sequence[str]) -> list[Row]:
    """Return some batches, in the order in which they are named."""
    statement = (
        f"SELECT {_COLUMNS} FROM @batches WHERE ns = ? AND batch IN (*) AND (expires IS NULL OR expires > ?)"  # noqa: S608
    )
    found = {row[0]: row for row in tx.rows_in(statement, (tx.ns,), batches, tx.now_ms())} if batches else {}
    return [found[batch] for batch in batches if batch in found]


def forget(tx: Transaction, batch: str) -> list[str]:
    """Drop a batch with its results."""
    rows = tx.rows("SELECT name FROM @batch_blobs WHERE ns = ? AND batch = ? ORDER BY name", tx.ns, batch)
    # What was kept because of it may go now.
    tx.run(
        "INSERT INTO @closing (ns, batch) SELECT ns, batch FROM @batches WHERE ns = ? AND batch = ? AND tied = 1",
        tx.ns,
        batch,
    )
    forget_batches(tx, [batch])
    return [name for (name,) in rows]


def forget_call(tx: Transaction, batch: str, index: int) -> int:
    """Note that a call is not wanted any more."""
    n = tx.value("SELECT n FROM @batches WHERE ns = ? AND batch = ? FOR UPDATE", tx.ns, batch)
    if n is None or not index < n <= _MOST_SHARING:
        return 0
    tx.put("@unwanted", ("ns", "batch", "nth"), {"ns": tx.ns, "batch": batch, "nth": index})
    return int(n) - len(forgotten(tx, batch))


def forgotten(tx: Transaction, batch: str) -> list[int]:
    """Return the calls that are not wanted any more."""
    return [nth for (nth,) in tx.rows("SELECT nth FROM @unwanted WHERE ns = ? AND batch = ?", tx.ns, batch)]


def _is_over(row: Row) -> bool:
    _, _, _, ended, n, done = row
    return ended is not None or 0 <= n <= done


def _record(row: Row, *, told: bool = True) -> BatchRecord:
    """Return a batch.

    Args:
        told: how many of its calls have ended is told.
    """
    name, label, submitted, ended, _, done = row
    return BatchRecord(
        name, label, submitted / 1000, None if ended is None else ended / 1000, done if told else 0
    )
