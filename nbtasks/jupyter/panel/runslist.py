"""The list of runs: those of this session, and those of others as far as they are told. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nbtasks.client.batches.shown import which_call
from nbtasks.client.whence import whose_is
from nbtasks.core import states
from nbtasks.jupyter.card import words
from nbtasks.jupyter.card.board import state_of
from nbtasks.jupyter.card.statesaid import dot_said, state_said

from .table import Panel, RowHandle

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.outline import Outline

_COLUMNS = ("id", "task", "state", "calls", "time", "size", "worker", "queue", "submitted")
_NOTHING = (
    "Nothing was submitted in this session. `%tasks attach` brings unfinished runs of earlier ones back, "
    "`%tasks all` lists everybody's."
)
_NOTHING_AT_ALL = "Nothing was submitted in this namespace, or its results have expired."
#: Workers that are named in a row.
_MOST_WORKERS = 2
_MOST_TITLE = 60

Row = tuple[tuple[str, ...], RowHandle]


def runs_panel(batches: Sequence[Ledger], now: float, quiet: int = 0) -> Panel:
    """Return what was submitted in this session, newest first.

    Args:
        batches: oldest first.
        quiet: calls that have not ended and are not listed, such as those of ``delay()``.
    """
    unlisted = (
        f"{words.calls(quiet)} without a card, of delay() or --quiet, {'has' if quiet == 1 else 'have'} not ended; "
        "`%tasks cancel all` stops them too."
    )
    rows = [_own(batch, now) for batch in reversed(batches)]
    return Panel(
        title="",
        columns=_COLUMNS,
        rows=[cells for cells, _ in rows],
        empty="" if quiet else _NOTHING,
        notes=[unlisted] if quiet else (),
        handles=[handle for _, handle in rows],
    )


def everybodys_panel(outlines: Sequence[Outline], known: Mapping[str, Ledger], now: float) -> Panel:
    """Return the runs of a namespace, newest first, with whose they are.

    Args:
        known: those that this session knows, by their ids.
    """
    rows = []
    for outline in outlines:
        batch = known.get(outline.id)
        cells, handle = _own(batch, now) if batch is not None else _other(outline, now)
        rows.append(((*cells, whose_is(outline.label.submitter) or "this session"), handle))
    return Panel(
        title="",
        columns=(*_COLUMNS, "of"),
        rows=[cells for cells, _ in rows],
        empty=_NOTHING_AT_ALL,
        handles=[handle for _, handle in rows],
    )


def _own(batch: Ledger, now: float) -> Row:
    counts = batch.counts()
    ended_at = batch.ended_at
    done = ended_at is not None
    state = state_of(batch, counts, done=done)
    idle_s = batch.repairs.idle_s if batch.repairs is not None else 0.0
    actions = ["card", "logs"]
    if not done:
        actions.append("cancel")
    elif batch.parcel is not None and (batch.failed_count or batch.revoked_count):
        actions.append("retry")
    cells = (
        words.short_id(batch.id),
        words.one_line(batch.title, _MOST_TITLE),
        _state(batch, counts, now) if not done else state_said(state, counts, batch.n, done=True),
        f"{batch.n:,}",
        words.duration(max(0.0, (ended_at or now) - batch.created_at - idle_s)),
        words.size(size) if (size := batch.result_bytes) else "",
        _workers(batch),
        batch.queue,
        f"{words.ago(now - batch.created_at)} ago",
    )
    dot = dot_said(state, counts, batch.n, done=done)
    return cells, RowHandle(batch.id, dot, actions, _tries(batch, now))


def _other(outline: Outline, now: float) -> Row:
    label, ended_at = outline.label, outline.ended_at
    n = max(0, label.n)
    done = ended_at is not None
    state = states.SUCCESS if done else states.STARTED if outline.done_count else states.PENDING
    said = "ended" if done else f"{outline.done_count:,} of {n:,} ended" if outline.done_count else "waiting"
    cells = (
        words.short_id(outline.id),
        words.one_line(outline.title, _MOST_TITLE),
        said,
        f"{n:,}",
        words.duration(max(0.0, (ended_at or now) - outline.submitted_at)),
        "",
        "",
        label.queue,
        f"{words.ago(now - outline.submitted_at)} ago",
    )
    return cells, RowHandle(outline.id, state, ["card"] if done else ["card", "cancel"])


def _state(batch: Ledger, counts: Mapping[str, int], now: float) -> str:
    """Return how far a run is."""
    if batch.n == 1:
        if batch.tries.due:
            return f"again in {max(0.0, min(batch.tries.due.values()) - now):.0f} s"
        return "running" if counts.get(states.STARTED) else "waiting"
    ended = batch.finished_count
    if not ended and not counts.get(states.STARTED):
        return "waiting to retry" if batch.tries.due else "waiting"
    failed = f", {counts[states.FAILURE]:,} failed" if counts.get(states.FAILURE) else ""
    return f"running, {ended:,} of {batch.n:,}{failed}"


def _workers(batch: Ledger) -> str:
    running = Counter(item.worker for item in batch.running.copy().values())
    names = [name for name, _ in running.most_common(_MOST_WORKERS)]
    if not running:
        # Those that have run it; of each record, and not of each call: there may be 100,000.
        running = Counter({record.worker: 0 for record, _, _ in batch.known_records() if record.worker})
        names = list(running)[:_MOST_WORKERS]
    more = len(running) - len(names)
    return ", ".join(name for name in names if name) + (f" and {more} more" if more > 0 else "")


def _tries(batch: Ledger, now: float) -> list[str]:
    """Return a line for each call that waits for another attempt, a few of them."""
    lines = []
    for index, due in list(batch.tries.due.items())[:3]:
        earlier = batch.tries.earlier(index)
        error = words.one_line(earlier[-1].error, 160) if earlier else ""
        what = f"{which_call(batch, index)}: " if batch.is_many else ""
        after = f" after {error}" if error else ""
        lines.append(f"{words.short_id(batch.id)}: {what}tried again in {max(0.0, due - now):.0f} s{after}")
    return lines
