"""A run of a periodic task is submitted: once for each due time, whoever says it and however often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.periodicstore import Fired
from nbtasks.broker.verbs.submission import MOST_ENTRIES
from nbtasks.core.states import SUCCESS_CODE

from .sqlentries import LATER, WAITS, add_entries, is_full, place_of, queue_of, tell_due
from .sqltime import ahead_ms

if TYPE_CHECKING:
    from nbtasks.core.due.periodic import DueRun

    from .sqltransaction import Row, Transaction

_MOST_RUNS = 30
#: Calls of a run that are looked at for one that has not succeeded; and the state of a run that is not known any more.
_MOST_LOOKED_AT, _UNKNOWN = 100_000, 255
_OF_ONE = "ns = ? AND key_id = ? AND id = ?"


def fire(
    tx: Transaction, key_id: str, version: str, due_ms: int | None, next_ms: int | None, run: DueRun
) -> tuple[Fired, str]:
    """Submit the calls of a periodic task for one due time; returns what came of it, and what batch is in the way."""
    found = tx.row(
        f"SELECT version, due, fence, digest, runs FROM @periodic_tasks WHERE {_OF_ONE} FOR UPDATE",  # noqa: S608
        *(tx.ns, key_id, run.task.id),
    )
    now = tx.now_ms()
    if found is None or found[0] != version:
        return "CHANGED", ""
    _, due, fence, digest, runs = found
    if due_ms is not None and (due != due_ms or now < due_ms):
        return ("LATE" if due != due_ms else "EARLY"), ""
    last = next((batch for _, batch in runs_in(runs)), "")
    if not run.task.overlaps and last not in {"", run.batch} and _goes_on(tx, last):
        return _passed(tx, key_id, run, due_ms, next_ms, fence), last
    hindered = _hindered(tx, digest, run)
    if hindered is not None:
        return hindered, ""
    _submit(tx, digest, due_ms, run, now)
    noted = (
        runs if last == run.batch else ",".join([f"{now if due_ms is None else due_ms} {run.batch}", runs])
    )
    tx.run(
        f"UPDATE @periodic_tasks SET due = ?, gone = CASE WHEN ? THEN gone ELSE NULL END, fence = ?, "  # noqa: S608
        f"fired = fired + ?, runs = ? WHERE {_OF_ONE}",
        due if due_ms is None else next_ms,
        due_ms is None,
        # What was due before this began, and comes later, has not overlapped with it then.
        now if due_ms is not None and due_ms > fence else fence,
        int(last != run.batch),
        ",".join(noted.strip(",").split(",")[:_MOST_RUNS]),
        *(tx.ns, key_id, run.task.id),
    )
    return "OK", ""


def _hindered(tx: Transaction, digest: str, run: DueRun) -> Fired | None:
    # Locked: it does not go between this look and the batch that needs it.
    there = "SELECT digest FROM @functions WHERE ns = ? AND digest = ? FOR UPDATE"
    if tx.value(there, tx.ns, digest) is None:
        return "NOFN"
    lane = queue_of(tx, run.task.address), place_of(run.chunks[0].lane)
    return "FULL" if is_full(tx, *lane, MOST_ENTRIES) else None


def _goes_on(tx: Transaction, batch: str) -> bool:
    statement = "SELECT 1 FROM @batches WHERE ns = ? AND batch = ? AND ended IS NULL"
    return tx.value(statement, tx.ns, batch) is not None


def _passed(
    tx: Transaction, key_id: str, run: DueRun, due_ms: int | None, next_ms: int | None, fence: int
) -> Fired:
    """The run before goes on: pass the due time over, unless both are due since before that began."""
    if due_ms is not None and due_ms <= fence:
        return "WAIT"
    if due_ms is not None:
        tx.run(
            f"UPDATE @periodic_tasks SET due = ?, overlapped = overlapped + 1, gone = NULL WHERE {_OF_ONE}",  # noqa: S608
            *(next_ms, tx.ns, key_id, run.task.id),
        )
    return "BUSY"


def _submit(tx: Transaction, digest: str, due_ms: int | None, run: DueRun, now: int) -> None:
    """Record the batch, unless it is there already: then it was fired before, and a clock was set since."""
    statement = "SELECT 1 FROM @batches WHERE ns = ? AND batch = ?"
    if tx.value(statement, tx.ns, run.batch) is not None:
        return
    task, calls = run.task, sum(one.count for one in run.chunks)
    # Nobody is told how it ends: who wants to know looks.
    tx.run(
        "INSERT INTO @batches (ns, batch, n, address, digest, ttl, submitted, sessions, label) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, '', ?)",
        *(tx.ns, run.batch, calls, str(task.address), digest, task.ttl_ms, now, run.label),
    )
    queue, begin, rows, soonest = queue_of(tx, task.address), now if due_ms is None else due_ms, [], None
    for one in run.chunks:
        later = begin + one.delay_ms > now
        # What is due later is so in the time as it is reckoned.
        due = begin + one.delay_ms - ahead_ms(tx) if later else None
        soonest = due if soonest is None or (due is not None and due < soonest) else soonest
        place = (queue, LATER if later else WAITS, place_of(one.lane), run.batch, due, now)
        rows.append((*place, one.first, one.count, 1, "", one.frame))
    add_entries(tx, rows)
    tx.run(
        "INSERT INTO @happened (ns, told, name, frame) VALUES (?, ?, ?, ?)", tx.ns, now, run.batch, run.label
    )
    tell_due(tx, soonest)


def runs_in(text: str) -> list[tuple[int, str]]:
    """Return when the last runs were due, and their batches."""
    found = []
    for one in filter(None, text.split(",")):
        due, _, batch = one.partition(" ")
        found.append((int(due), batch))
    return found


def state_of_run(tx: Transaction, batch: str) -> int:
    """Return a state code: 0 where a run goes on, that of the first call that has not succeeded, 255: not known."""
    found: Row | None = tx.row(
        "SELECT ended FROM @batches WHERE ns = ? AND batch = ? AND (expires IS NULL OR expires > ?)",
        *(tx.ns, batch, tx.now_ms()),
    )
    if found is None or found[0] is None:
        return _UNKNOWN if found is None else 0
    rows = tx.rows(
        "SELECT states FROM @results WHERE ns = ? AND batch = ? AND first < ? ORDER BY first",
        *(tx.ns, batch, _MOST_LOOKED_AT),
    )
    for (states,) in rows:
        others: bytes = states.lstrip(bytes([SUCCESS_CODE]))
        if others:
            return others[0]
    return SUCCESS_CODE
