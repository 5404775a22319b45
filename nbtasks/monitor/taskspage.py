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
    limit = filters.count("limit", _ROWS, _MOST_ROWS)
    rows = _after(found, filters.text("before"), limit)
    texts = items([(call.batch, call.index) for call in rows])
    return {
        "rows": [call_row(call, text) for call, text in zip(rows, texts, strict=True)],
        "total": len(found),
        "kept": len(book.calls),
        "seen": book.seen,
        "filters": {**understood, "since": since, "until": filters.moment("until"), "limit": limit},
        "tasks": sorted(filter(None, book.tallies.tasks))[:_MOST_NAMES],
        "workers": sorted({call.worker for call in book.calls.values() if call.worker})[:_MOST_NAMES],
        "states": list(STATES),
        "next": rows[-1].id if rows and rows[-1] is not found[-1] else None,
    }


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
