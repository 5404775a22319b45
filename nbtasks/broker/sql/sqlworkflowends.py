"""Workflows end: what was kept because of them may go, and what has failed in them is passed on by somebody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.submission import SESSION_TTL_MS

if TYPE_CHECKING:
    from .sqltransaction import Transaction

#: Batches that are looked at in one go.
_MOST_AT_ONCE = 1000
#: Milliseconds for which results are kept at most: a hundred years.
MOST_TTL_MS = 3_155_760_000_000


def close_batches(tx: Transaction, now: int) -> None:
    """Have those tied batches expire that have ended and that no workflow needs any more.

    A workflow has ended when its own batches all have.
    """
    rows = tx.rows(
        "SELECT id, batch FROM @closing WHERE ns = ? ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED",
        tx.ns,
        _MOST_AT_ONCE,
    )
    if not rows:
        return
    tx.run_in("DELETE FROM @closing WHERE id IN (*)", (), [number for number, _ in rows])
    some = {batch for _, batch in rows}
    workflows = _workflows_of(tx, some)
    over = _ended(tx, workflows)
    members = _members_of(tx, over)
    # What one has needed, another one may need still.
    over |= _ended(tx, _workflows_of(tx, members) - workflows)
    for batch in sorted(members | some):
        found = tx.row(
            "SELECT ttl FROM @batches WHERE ns = ? AND batch = ? AND ended IS NOT NULL AND expires IS NULL FOR UPDATE",
            *(tx.ns, batch),
        )
        if found is not None and not _workflows_of(tx, [batch]) - over:
            expires = now + min(found[0], MOST_TTL_MS)
            tx.run("UPDATE @batches SET expires = ? WHERE ns = ? AND batch = ?", expires, tx.ns, batch)
    for workflow in sorted(over):
        longest = tx.value(
            "SELECT max(b.ttl) FROM @steps s JOIN @batches b ON b.ns = s.ns AND b.batch = s.batch "
            "WHERE s.ns = ? AND s.workflow = ? AND s.own = 1",
            *(tx.ns, workflow),
        )
        if longest is not None:
            tx.run(
                "UPDATE @plans SET expires = ? WHERE ns = ? AND name = ? AND expires IS NULL",
                *(now + min(longest, MOST_TTL_MS), tx.ns, workflow),
            )


def _workflows_of(tx: Transaction, batches: Iterable[str]) -> set[str]:
    statement = "SELECT workflow FROM @steps WHERE ns = ? AND batch IN (*)"
    return {workflow for (workflow,) in tx.rows_in(statement, (tx.ns,), sorted(batches))}


def _members_of(tx: Transaction, workflows: Iterable[str]) -> set[str]:
    statement = "SELECT batch FROM @steps WHERE ns = ? AND workflow IN (*)"
    return {batch for (batch,) in tx.rows_in(statement, (tx.ns,), sorted(workflows))}


def _ended(tx: Transaction, workflows: Iterable[str]) -> set[str]:
    """Return those whose own batches have all ended."""
    names = sorted(workflows)
    still = tx.rows_in(
        "SELECT s.workflow FROM @steps s JOIN @batches b ON b.ns = s.ns AND b.batch = s.batch "
        "WHERE s.ns = ? AND s.workflow IN (*) AND s.own = 1 AND b.ended IS NULL",
        (tx.ns,),
        names,
    )
    return set(names) - {workflow for (workflow,) in still}


def untie(tx: Transaction, batches: Sequence[str]) -> None:
    """What was noted of batches for workflows goes with them."""
    tx.run_in("DELETE FROM @steps WHERE ns = ? AND batch IN (*)", (tx.ns,), batches)
    tx.run_in("DELETE FROM @waits WHERE ns = ? AND awaited IN (*)", (tx.ns,), batches)
    tx.run_in("DELETE FROM @entries WHERE queue < 0 AND ns = ? AND batch IN (*)", (tx.ns,), batches)


def clear_workflows(tx: Transaction) -> None:
    """Remove what was never sent whole, or forgotten while something waited for it."""
    for batch, entry in tx.rows("SELECT batch, entry FROM @steps WHERE ns = ?", tx.ns):
        if entry is None:
            found = tx.value("SELECT 1 FROM @batches WHERE ns = ? AND batch = ?", tx.ns, batch)
        else:
            found = tx.value("SELECT 1 FROM @entries WHERE id = ? AND due IS NOT NULL", entry)
        if found is None:
            tx.run("DELETE FROM @steps WHERE ns = ? AND batch = ?", tx.ns, batch)
    known = "SELECT batch FROM @steps WHERE ns = ? AND own = 1"
    tx.run(f"DELETE FROM @waits WHERE ns = ? AND batch NOT IN ({known})", tx.ns, tx.ns)  # noqa: S608
    there = "SELECT batch FROM @batches WHERE ns = ?"
    tx.run(f"DELETE FROM @entries WHERE queue < 0 AND ns = ? AND batch NOT IN ({there})", tx.ns, tx.ns)  # noqa: S608


def take_fallout(
    tx: Transaction, most: int, for_ms: int, seen_to: Sequence[tuple[str, bytes]]
) -> list[tuple[str, bytes, float]]:
    """Take workflows in which something has failed, or of which only a part has come yet."""
    for workflow, mark in seen_to:
        # Where something has failed meanwhile, it stays.
        tx.run(
            "DELETE FROM @fallout WHERE ns = ? AND workflow = ? AND until_us = ?",
            *(tx.ns, workflow, int(mark) if mark.isdigit() else -1),
        )
    now = tx.now_us()
    rows = tx.rows(
        "SELECT workflow, session FROM @fallout WHERE ns = ? AND until_us <= ? ORDER BY until_us LIMIT ? "
        "FOR UPDATE SKIP LOCKED",
        *(tx.ns, now, most),
    )
    until, found = now + 1000 * for_ms, []
    for workflow, session in rows:
        tx.run("UPDATE @fallout SET until_us = ? WHERE ns = ? AND workflow = ?", until, tx.ns, workflow)
        silent_ms = 0
        if session is not None:
            seen = tx.value("SELECT seen FROM @sessions WHERE ns = ? AND session = ?", tx.ns, session)
            silent_ms = SESSION_TTL_MS if seen is None else max(1, now // 1000 - seen)
        found.append((workflow, b"%d" % until, silent_ms / 1000))
    return found


def fallout_waits(tx: Transaction) -> bool:
    """Return whether there is any to be taken."""
    statement = "SELECT 1 FROM @fallout WHERE ns = ? AND until_us <= ? LIMIT 1"
    return tx.value(statement, tx.ns, tx.now_us()) is not None
