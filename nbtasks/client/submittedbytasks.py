"""What a task has submitted while it ran: ``request.children`` in it, and ``children`` of the handles of its calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from nbtasks.core import context
from nbtasks.core.errors import SignatureMismatch, UnknownCall

from . import linked
from .group import GroupResult
from .lookup import looked_up
from .result import AsyncResult

#: Handles that a call keeps.
_MOST = 1_000


def note_child(handle: Any) -> None:
    """Have the call that this code belongs to know what it has submitted; nothing where it belongs to none."""
    call = context.current_call()
    if call is not None and len(call.children) < _MOST:
        call.children.append(handle)


def submitted_by(handle: Any) -> list[Any]:
    """Return the handles of what a call has submitted, as far as that is known to somebody still."""
    if not isinstance(handle, AsyncResult):
        return []
    batch: Any = handle.batch
    found = batch.record(handle.index)
    given = None if found is None else found[0].given.get(handle.index)
    handles: list[Any] = []
    for name in given.children if given is not None else ():
        with contextlib.suppress(UnknownCall, SignatureMismatch):
            child, place = looked_up(batch.engine, name)
            is_map = place is None and child.kind == "map"
            handles.append(GroupResult.of(child) if is_map else AsyncResult.of(child, place or 0))
    return handles


def _names(handle: Any) -> Iterator[str]:
    """Yield the ids of what a handle is made of; nobody waits for them to be known, for that is seen to later."""
    parts = getattr(handle, "spread", None)
    if parts is not None:
        for part, _ in parts:
            yield from _names(part)
    elif isinstance(handle, GroupResult):
        yield handle.batch.id
    elif isinstance(handle, AsyncResult):
        yield handle.batch.call_id(handle.index)


def _ids(call: context.CurrentCall) -> list[str]:
    return [name for handle in call.children for name in _names(handle)][:_MOST]


context.ids_of_children.append(_ids)
linked.submitted_by.append(submitted_by)
