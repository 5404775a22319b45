"""The timeline over all workers: a lane for each child, more where it runs several calls at once. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .bounded import Filters

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo

    from .callbook import CallBook, KeptCall

_LAST_S = 300.0
_MOST_LANES, _MOST_BARS = 200, 5_000
#: Calls that begin so much before the end of another have not run side by side: clocks tell no less.
_TOGETHER_S = 0.002

_Lane = tuple[str, "int | None"]


def timeline_page(
    book: CallBook, workers: Sequence[WorkerInfo], filters: Filters, now: float
) -> dict[str, Any]:
    """Return the page."""
    until = filters.moment("to") or now
    last_s = filters.moment("last_s") or _LAST_S
    since = filters.moment("from")
    since = until - last_s if since is None else since
    found = book.selected(task=filters.text("task"), worker=filters.text("worker"), since=since, until=until)
    # The newest ones, where there are too many.
    ran = [call for call in found if call.started_at is not None and call.worker]
    shown = ran[:_MOST_BARS]
    lanes: dict[_Lane, list[KeptCall]] = defaultdict(list)
    wanted = filters.text("worker")
    for worker in workers:
        for number in range(len(worker.children)):
            if not wanted or worker.name == wanted:
                lanes[worker.name, number] = []
    for call in shown:
        lanes[call.worker, call.child].append(call)
    drawn = [one for lane, calls in sorted(lanes.items(), key=_order) for one in _slots(lane, calls)]
    hidden = sum(len(lane["bars"]) for lane in drawn[_MOST_LANES:])
    return {
        "from": since,
        "to": until,
        "lanes": drawn[:_MOST_LANES],
        "more": len(ran) - len(shown) + hidden,
    }


def _order(item: tuple[_Lane, list[KeptCall]]) -> tuple[str, int]:
    (worker, child), _ = item
    return worker, -1 if child is None else child


def _slots(lane: _Lane, calls: Iterable[KeptCall]) -> list[dict[str, Any]]:
    """Return rows of bars that do not overlap."""
    rows: list[list[list[Any]]] = [[]]
    for call in sorted(calls, key=lambda one: one.started_at or 0.0):
        assert call.started_at is not None
        end = call.ended_at
        if end is None and not _is_running(call):
            # It waits for another try.
            end = call.started_at + (call.runtime_s or 0.0)
        bar = [call.started_at, end, call.state, call.id, call.task]
        for row in rows:
            before = row[-1][1] if row else 0.0
            if before is not None and before <= call.started_at + _TOGETHER_S:
                row.append(bar)
                break
        else:
            rows.append([bar])
    return [{"worker": lane[0], "child": lane[1], "slot": slot, "bars": row} for slot, row in enumerate(rows)]


def _is_running(call: KeptCall) -> bool:
    return call.state == "STARTED"
