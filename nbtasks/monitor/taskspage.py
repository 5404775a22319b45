"""The page of calls: a table of the newest ones over all notebooks, and what is selected of it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbtasks.core import states as st

from .bounded import ROW, Filters, short

if TYPE_CHECKING:
    from .callbook import CallBook, KeptCall

_ROWS, _MOST_ROWS = 100, 1_000
_MOST_NAMES = 500
STATES = (st.PENDING, st.STARTED, st.RETRY, st.SUCCESS, st.FAILURE, st.REVOKED)

#: What calls are ordered by, where not by their age -> what each has of it; what has none stands at the end.
_ORDERS: dict[str, Callable[[KeptCall, float], Any]] = {
    "task": lambda call, _: call.task,
    "ran": lambda call, now: (
        now - call.started_at if call.state == st.STARTED and call.started_at is not None else call.runtime_s
    ),
    "submitted": lambda call, _: call.queued_at,
    "worker": lambda call, _: call.worker or None,
    "retries": lambda call, _: call.retries or None,
    "error": lambda call, _: call.error,
}

#: Returns what calls are called beside others of their map, such as ``n=17``: batch and number of each.
Items = Callable[[list[tuple[str, int]]], list[str]]


def tasks_page(book: CallBook, filters: Filters, items: Items, now: float) -> dict[str, Any]:
    """Return the page."""
    since = filters.moment("since")
    since_s = filters.moment("since_s")
    if since is None and since_s is not None:
        since = now - since_s
    understood = {name: filters.text(name) for name in ("state", "task", "worker", "text")}
    found = book.selected(**understood, since=since, until=filters.moment("until"))
    order, down = filters.text("sort"), filters.text("down") == "true"
    if order in _ORDERS:
        found = _ordered(found, _ORDERS[order], down, now)
    limit = filters.count("limit", _ROWS, _MOST_ROWS)
    rows = _after(found, filters.text("before"), limit)
    texts = items([(call.batch, call.index) for call in rows])
    return {
        "rows": [call_row(call, text) for call, text in zip(rows, texts, strict=True)],
        "total": len(found),
        "kept": len(book.calls),
        "seen": book.seen,
        "filters": {**understood, "since": since, "until": filters.moment("until"), "limit": limit},
        "order": {"by": order if order in _ORDERS else None, "down": down},
        "tasks": sorted(filter(None, book.tallies.tasks))[:_MOST_NAMES],
        "workers": sorted({call.worker for call in book.calls.values() if call.worker})[:_MOST_NAMES],
        "states": list(STATES),
        "next": rows[-1].id if rows and rows[-1] is not found[-1] else None,
    }


def _ordered(
    found: list[KeptCall], by: Callable[[KeptCall, float], Any], down: bool, now: float
) -> list[KeptCall]:
    keyed = [(by(call, now), call) for call in found]
    some = [one for one in keyed if one[0] is not None]
    if not down:
        # Of equal ones the oldest first, then, too.
        some.reverse()
    some.sort(key=lambda one: one[0], reverse=down)
    return [call for _, call in some] + [call for key, call in keyed if key is None]


def _after(found: list[KeptCall], before: str, limit: int) -> list[KeptCall]:
    start = 0
    if before:
        start = next((place for place, call in enumerate(found, 1) if call.id == before), 0)
    return list(islice(found, start, start + limit))


def call_row(call: KeptCall, item: str) -> dict[str, Any]:
    """Return a row.

    Args:
        item: what the call is called beside others of its map.
    """
    return {"id": call.id, "args": short(item, ROW) or None, **call.facts()}
