"""Which call a key stands for: the one of a unique task that waits or runs. It is free again when that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.uniquecalls import GRACE_MS

from .sqlentries import covered

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction


class SqlUniqueCalls:
    """Claims keys for calls that are about to be submitted."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line

    def claim(self, key: str, batch: str, for_s: float) -> str:
        """Return the batch of the call that a key stands for; ``batch`` where there was none."""
        return self._line.write(claim, key, batch, round(for_s * 1000))


def claim(tx: Transaction, key: str, batch: str, span_ms: int) -> str:
    """Be the call that a key stands for, unless there is one that waits or runs; returns that one's batch."""
    found = tx.row(
        "SELECT batch, since, ends FROM @unique_calls WHERE ns = ? AND name = ? FOR UPDATE", tx.ns, key
    )
    now = tx.now_ms()
    if found is not None and found[0] != batch and _still_stands(tx, found, now):
        return str(found[0])
    row = {"ns": tx.ns, "name": key, "batch": batch, "since": now, "ends": now + span_ms if span_ms else 0}
    if found is None:
        # Of several that come at once, one makes the row, and the others look again.
        columns = ", ".join(row)
        tx.run(f"INSERT INTO @unique_calls ({columns}) VALUES (?, ?, ?, ?, ?)", *row.values())  # noqa: S608
    else:
        tx.put("@unique_calls", ("ns", "name"), row, ("batch", "since", "ends"))
    return batch


def _still_stands(tx: Transaction, found: Row, now: int) -> bool:
    batch, since, ends = found
    if ends and now >= ends:
        return False
    if tx.value("SELECT 1 FROM @batches WHERE ns = ? AND batch = ?", tx.ns, batch) is None:
        return bool(since <= now < since + GRACE_MS)
    return not covered(tx, batch, 0, 1)
