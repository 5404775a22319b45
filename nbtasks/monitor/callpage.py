"""One call: arguments, attempts, output, result, traceback. Runs no code of the task's."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.course import course_of
from nbtasks.client.batches.shown import shown_error, shown_output, shown_value
from nbtasks.client.result import AsyncResult
from nbtasks.core import states as st
from nbtasks.core.errors import NbtasksError

from .bounded import ERROR, short

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.client.batches.ledger import Ledger

    from .callbook import KeptCall

#: Characters of one argument and of all, of the result, of a traceback, of what was printed.
_MOST_ARGUMENT, _MOST_ARGUMENTS = 4_000, 20_000
_MOST_RESULT = 20_000
_MOST_TRACEBACK = 60_000
_MOST_OUTPUT = 80_000
_MOST_LOOKED_AT, _MOST_GIVEN = 16, 1_000
#: Seconds that a worker has to say what it runs.
_ANSWER_S = 0.5
_UNREADABLE = "it is made of more than Python's own types; AsyncResult(ID).result has it"
_UNSAID = {
    "args": None,
    "why": None,
    "note": None,
    "result": None,
    "result_note": None,
    "error": None,
    "traceback": None,
}


class LookedAt:
    """The calls that somebody looks at: what is known of one is not fetched again with each look."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._handles: OrderedDict[str, AsyncResult[Any]] = OrderedDict()
        #: What workers have said that calls were called with; empty where they did not know.
        self._given: OrderedDict[str, str] = OrderedDict()

    def handle(self, id: str) -> AsyncResult[Any]:
        """Return the handle of a call.

        Raises:
            UnknownCall: nobody knows it.
        """
        found = self._handles.pop(id, None) or self._app.AsyncResult(id)
        self._handles[id] = found
        while len(self._handles) > _MOST_LOOKED_AT:
            # Two threads may look at once, and one of them finds it gone.
            with contextlib.suppress(KeyError):
                self._handles.popitem(last=False)
        return found

    def given(self, id: str, worker: str | None) -> str | None:
        """Return what a call was called with, as its worker has written it down; it is asked once, while it runs.

        Args:
            worker: that runs it now; None where none does.
        """
        if id not in self._given and worker:
            asked = self._app.control.inspect([worker], timeout=_ANSWER_S)
            sheets = [one for each in (asked.active() or {}).values() for one in each]
            for sheet in (one for one in sheets if one["id"] == id):
                texts = (_bare(sheet["args"]), _bare(sheet["kwargs"]))
                self._given[id] = short(", ".join(filter(None, texts)), _MOST_ARGUMENTS)
            while len(self._given) > _MOST_GIVEN:
                with contextlib.suppress(KeyError):
                    self._given.popitem(last=False)
        return self._given.get(id) or None


def _bare(text: str) -> str:
    """Return arguments without the brackets around them."""
    return text[1:-1].rstrip(",") if text[:1] + text[-1:] in ("()", "{}") else text


def call_page(looked_at: LookedAt, id: str, kept: KeptCall | None) -> dict[str, Any]:
    """Return the page.

    Args:
        kept: what the stream of events tells of it.
    """
    page = {**_UNSAID, "id": id, "found": True, "attempts": [], "output": [], **_of_events(kept)}
    try:
        handle = looked_at.handle(id)
    except (NbtasksError, TypeError) as error:
        if kept is None:
            page["found"] = False
        return {**page, "problem": short(str(error), ERROR)}
    page |= _of_handle(handle, kept)
    if page["args"] is None:
        runs_at = page.get("worker") if page["state"] == st.STARTED else None
        with contextlib.suppress(NbtasksError):
            page["args"] = looked_at.given(id, runs_at)
    return page


def _of_events(kept: KeptCall | None) -> dict[str, Any]:
    if kept is None:
        return {"events": []}
    return {
        **kept.facts(),
        "events": [{"t": at, "type": kind, "worker": worker or None} for at, kind, worker in kept.events],
    }


def _of_handle(handle: AsyncResult[Any], kept: KeptCall | None) -> dict[str, Any]:
    batch, index = handle.batch, handle.index
    state = handle.state
    if index in batch.running and state == st.PENDING:
        state = st.STARTED
    course, is_over = course_of(batch, index), state in st.READY_STATES
    last = course.last
    found: dict[str, Any] = {
        "task": short(handle.name),
        "queue": short(handle.queue),
        "state": state if kept is None or is_over else kept.state,
        "attempts": [
            {
                "n": one.number,
                "worker": short(one.worker),
                "child": one.child,
                "started": one.began_at,
                "ended": one.ended_at,
                "error": short(one.error, ERROR) or None,
            }
            for one in course.attempts
        ],
        "args": _arguments(batch, index),
        "output": _output(shown_output(batch, index)),
        "actions": _actions(batch, index, state),
        "problem": None,
        **_ending(batch, index, state),
    }
    if not is_over:
        found["why"] = handle.why_pending()
    if kept is None:
        found["queued_at"] = course.queued_at
        found["retries"] = handle.retries
        if last is not None:
            found |= {"worker": short(last.worker), "child": last.child, "started_at": last.began_at}
            found |= {"ended_at": last.ended_at, "runtime_s": last.seconds}
    return found


def _arguments(batch: Ledger, index: int) -> str | None:
    """Return arguments; where another process has submitted the call, what it is called beside others of its map."""
    if batch.parcel is None:
        return short(batch.item_label(index), _MOST_ARGUMENTS) or None
    given = batch.parcel.arguments(index, _MOST_ARGUMENT)
    return short("\n".join(f"{name} = {value}" if name else value for name, value in given), _MOST_ARGUMENTS)


def _output(pieces: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    joined: list[list[str]] = []
    left = _MOST_OUTPUT
    for stream, text in pieces:
        if left <= 0:
            break
        part = short(text, left)
        left -= len(part)
        if joined and joined[-1][0] == stream:
            joined[-1][1] += part
        else:
            joined.append([stream, part])
    return [{"stream": stream, "text": text} for stream, text in joined]


def _ending(batch: Ledger, index: int, state: str) -> dict[str, Any]:
    if state not in st.READY_STATES:
        return {}
    if state != st.SUCCESS:
        text = short(shown_error(batch, index), _MOST_TRACEBACK)
        return {"traceback": text or None, "error": short(text.rstrip().rpartition("\n")[2], ERROR) or None}
    found = batch.record(index)
    if found is not None and not len(found[1]):
        return {"result": "None"}
    shown = shown_value(batch, index, _MOST_RESULT)
    told = None if shown is None else shown.data.get("text/plain")
    if isinstance(told, str):
        return {"result": short(told, _MOST_RESULT)}
    return {"result_note": _UNREADABLE}


def _actions(batch: Ledger, index: int, state: str) -> list[str]:
    if state not in st.READY_STATES:
        return ["revoke", "terminate"]
    can_retry = batch.states[index] in st.RETRIABLE_CODES and batch.parcel is not None
    return ["retry"] if can_retry else []
