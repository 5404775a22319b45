"""What supervisors do for all, one of them at a time: who is elected, and what has to be cleared away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.periodicstore import SAID_MS
from nbtasks.broker.verbs.submission import SESSION_TTL_MS

from .sqlfunctions import drop_functions
from .sqlworkflowends import clear_workflows, close_batches, untie

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Transaction

_MOST_AT_ONCE = 500
_AUDITED = "audited"
#: The last thing that has happened which was dropped.
TRIMMED = "trimmed"
_MINUTE_MS, _DAY_MS, _MONTH_MS = 60_000, 86_400_000, 2_592_000_000
#: What is kept, at most: news of a session, orders, things that have happened.
_MOST_NEWS, _MOST_ORDERS, _MOST_HAPPENED = 20_000, 10_000, 50_000
#: Bytes that a thing that has happened takes besides its own.
_BESIDES = 50


class SqlHousekeeping:
    """Duties of supervisors."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def elected(self, duty: str, worker: str, ms: int) -> bool:
        """Try to be the one supervisor that does a duty for the next ``ms``."""
        return self._line.write_lazily(elect, duty, worker, ms)

    def server_life(self) -> str:
        """Return what names the server's life, between whose runs it has forgotten nothing."""
        return self._line.read(self._line.dialect.life)

    def audited_life(self) -> str:
        """Return the name of the server's life in which orphans were last looked for."""
        found: str = self._line.read(lambda tx: tx.fact(_AUDITED))
        return found

    def note_audit(self, life: str) -> None:
        """Note that orphans were looked for in this life of the server."""
        self._line.write(lambda tx: tx.note(_AUDITED, life))

    def sweep_batches(self, older_than_ms: float) -> None:
        """Remove what has expired."""
        while self._line.write_lazily(sweep, _MOST_AT_ONCE) >= _MOST_AT_ONCE:
            continue
        self._line.write_lazily(clear_away)

    def bound_events(self, most_bytes: int) -> int:
        """Drop the oldest entries of the stream of events where they take more than that; returns how many."""
        return self._line.write_lazily(bound_events, most_bytes)


def elect(tx: Transaction, duty: str, worker: str, ms: int) -> bool:
    """Try to be the one supervisor that does a duty."""
    now = tx.now_ms()
    found = tx.row("SELECT worker, ends FROM @elections WHERE ns = ? AND duty = ? FOR UPDATE", tx.ns, duty)
    # One that is held for longer than anybody asks for is held by nobody: a clock was set.
    if found is not None and found[0] != worker and now <= found[1] <= now + ms:
        return False
    row = {"ns": tx.ns, "duty": duty, "worker": worker, "ends": now + ms}
    tx.put("@elections", ("ns", "duty"), row, ("worker", "ends"))
    return True


def sweep(tx: Transaction, most: int) -> int:
    """Remove batches that have expired, so much at most that nobody waits. Returns how many."""
    close_batches(tx, tx.now_ms())
    rows = tx.rows(
        "SELECT batch FROM @batches WHERE ns = ? AND expires <= ? ORDER BY expires LIMIT ? FOR UPDATE SKIP LOCKED",
        *(tx.ns, tx.now_ms(), most),
    )
    gone = [batch for (batch,) in rows]
    names = tx.rows_in("SELECT DISTINCT name FROM @batch_blobs WHERE ns = ? AND batch IN (*)", (tx.ns,), gone)
    forget_batches(tx, gone)
    untie(tx, gone)
    for (name,) in names:
        statement = "SELECT 1 FROM @batch_blobs WHERE ns = ? AND name = ? LIMIT 1"
        if tx.value(statement, tx.ns, name) is None:
            tx.run("DELETE FROM @blob_parts WHERE ns = ? AND name = ?", tx.ns, name)
            tx.run("DELETE FROM @blobs WHERE ns = ? AND name = ?", tx.ns, name)
    return len(gone)


def forget_batches(tx: Transaction, batches: list[str]) -> None:
    """Drop batches with all that belongs to them, but their large values."""
    for table in ("batches", "results", "revocations", "own_states", "unwanted", "batch_blobs"):
        tx.run_in(f"DELETE FROM @{table} WHERE ns = ? AND batch IN (*)", (tx.ns,), batches)  # noqa: S608


def clear_away(tx: Transaction) -> None:
    """Once an hour: what is left of clients and workers that have gone, functions that no batch needs, old orders."""
    now, ns = tx.now_ms(), tx.ns
    tx.run("DELETE FROM @sessions WHERE ns = ? AND seen < ?", ns, now - SESSION_TTL_MS)
    for table in ("news", "own_states"):
        tx.run(f"DELETE FROM @{table} WHERE ns = ? AND told < ?", ns, now - _DAY_MS)  # noqa: S608
    tx.run("DELETE FROM @answers WHERE ns = ? AND told < ?", ns, now - _MINUTE_MS)
    _trim_news(tx)
    for table in ("plans", "kept_calls"):
        tx.run(f"DELETE FROM @{table} WHERE ns = ? AND expires <= ?", ns, now)  # noqa: S608
    blobs = tx.rows("SELECT name FROM @blobs WHERE ns = ? AND expires <= ?", ns, now)
    for (name,) in blobs:
        tx.run("DELETE FROM @blob_parts WHERE ns = ? AND name = ?", ns, name)
        tx.run("DELETE FROM @blobs WHERE ns = ? AND name = ?", ns, name)
    past_us = (now - _MINUTE_MS) * 1000
    # Longer than it counts as there: a client looks whether the server still knows when it has said so.
    tx.run(
        "DELETE FROM @periodic_clients WHERE ns = ? AND (said + span < ? OR said > ? + span)",
        *(ns, now - SAID_MS, now + SAID_MS),
    )
    # What comes later begins at the clock, which is above what was given out until then.
    tx.run(
        "DELETE FROM @lock_marks WHERE ns = ? AND ticket < ? AND name NOT IN "
        "(SELECT held FROM @lock_holds WHERE ns = ? UNION SELECT held FROM @lock_lines WHERE ns = ?)",
        *(ns, past_us, ns, ns),
    )
    tx.run("DELETE FROM @rates WHERE ns = ? AND starts < ? AND asks < ?", ns, past_us, past_us)
    # A month: longer than a call waits, most likely.
    past = now - _MONTH_MS
    tx.run("DELETE FROM @unique_calls WHERE ns = ? AND since < ? AND ends < ?", ns, past, past)
    last = _nth_last(tx, "control", _MOST_ORDERS)
    tx.run("DELETE FROM @control WHERE ns = ? AND told < ? AND id < ?", ns, now - _DAY_MS, last)
    drop_happened(tx, _nth_last(tx, "happened", _MOST_HAPPENED))
    clear_workflows(tx)
    _drop_functions(tx)


def _drop_functions(tx: Transaction) -> None:
    # Locked first, then looked at: whoever submits a batch locks its function, too.
    rows = tx.rows("SELECT digest FROM @functions WHERE ns = ? FOR UPDATE SKIP LOCKED", tx.ns)
    for (digest,) in rows:
        statement = "SELECT 1 FROM @batches WHERE ns = ? AND digest = ? LIMIT 1"
        needed = "SELECT 1 FROM @periodic_tasks WHERE ns = ? AND digest = ? LIMIT 1"
        if tx.value(statement, tx.ns, digest) is None and tx.value(needed, tx.ns, digest) is None:
            drop_functions(tx, [digest])


def _trim_news(tx: Transaction) -> None:
    for session, last in tx.rows("SELECT session, told FROM @listeners WHERE ns = ?", tx.ns):
        oldest = tx.value(
            "SELECT id FROM @news WHERE ns = ? AND session = ? ORDER BY id DESC LIMIT 1 OFFSET ?",
            *(tx.ns, session, _MOST_NEWS),
        )
        if oldest is not None:
            tx.run("DELETE FROM @news WHERE ns = ? AND session = ? AND id < ?", tx.ns, session, oldest)
        elif last < (tx.now_ms() - _DAY_MS) * 1000:
            tx.run("DELETE FROM @listeners WHERE ns = ? AND session = ? AND told = ?", tx.ns, session, last)


def _nth_last(tx: Transaction, table: str, most: int) -> int:
    """Return the number of the oldest row that is kept of so many; 0 where there are fewer."""
    statement = f"SELECT id FROM @{table} WHERE ns = ? ORDER BY id DESC LIMIT 1 OFFSET ?"  # noqa: S608
    return tx.value(statement, tx.ns, most - 1) or 0


def drop_happened(tx: Transaction, before: int) -> int:
    """Drop what has happened before a number, and note that; returns how much it was."""
    gone = tx.changed("DELETE FROM @happened WHERE ns = ? AND id < ?", tx.ns, before) if before else 0
    if gone:
        tx.note(TRIMMED, str(before - 1))
    return gone


def bound_events(tx: Transaction, most_bytes: int) -> int:
    """Keep the stream of events within bounds. Returns how many entries were dropped."""
    left = most_bytes
    for number, size in tx.rows(
        "SELECT id, length(frame) FROM @happened WHERE ns = ? ORDER BY id DESC", tx.ns
    ):
        left -= size + _BESIDES
        if left < 0:
            return drop_happened(tx, number + 1)
    return 0
