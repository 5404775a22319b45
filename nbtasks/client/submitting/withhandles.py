"""Submits calls; those with handles among their arguments wait for what these stand for, and get its values.

Most have none, and pay nothing for it: a handle makes itself known where arguments are packed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client import observers
from nbtasks.client.batches.parcel import Call
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.client.submittedbytasks import note_child
from nbtasks.core.errors import ConfigError, NotPicklable
from nbtasks.core.plan import CallRange, Node, Plan

from . import dispatch, publishing
from .arguments import Positional
from .dispatch import MapOptions
from .placing import handles_in, with_values
from .workflows import NodeCalls, submit_workflow

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.definition import Definition

_HANDLES = (AsyncResult, GroupResult)


def submit_call(
    engine: Engine, task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any], given: dict[str, Any]
) -> AsyncResult:
    """Submit one call."""
    calls: list[Call] = [(args, kwargs)]
    # What is told of a submit is told once.
    if not (publishing.is_told() and handles_in(calls)):
        try:
            return dispatch.submit_call(engine, task, args, kwargs, given)
        except NotPicklable:
            if not handles_in(calls):
                raise
    return submit_call_after(engine, task, args, kwargs, given)


def submit_map(
    engine: Engine,
    task: Definition,
    items: Callable[[], Iterable[tuple[Any, ...]]],
    how: MapOptions,
    given: dict[str, Any],
) -> GroupResult:
    """Submit one call for each tuple of arguments.

    Args:
        items: returns them; asked again only where they are not made on the way.
    """
    tuples: Iterable[tuple[Any, ...]] = items()
    if how.max_parallel is None:
        whole = iter(tuples)
        first = next(whole, None)
        tuples = () if first is None else itertools.chain([first], whole)
        if first is not None and any(isinstance(value, _HANDLES) for value in first):
            return submit_map_after(engine, task, list(tuples), how, given)
    try:
        return dispatch.submit_map(engine, task, tuples, how, given)
    except NotPicklable:
        found = [] if how.as_taken or how.max_parallel is not None else list(items())
        if not handles_in(Positional(found)):
            raise
    return submit_map_after(engine, task, found, how, given)


def submit_map_after(
    engine: Engine,
    task: Definition,
    tuples: Sequence[tuple[Any, ...]],
    how: MapOptions,
    given: dict[str, Any],
    after: Sequence[Any] = (),
) -> GroupResult:
    """Submit a map whose calls wait for others.

    Args:
        after: handles of calls that have to succeed before; nothing is handed on of them.
    """
    for name in ("chunk", "max_parallel"):
        if getattr(how, name) is not None:
            raise ConfigError(
                f"{task.name}: {name}={getattr(how, name)} does not go together with calls that wait for others; "
                "leave it out, or wait for those first"
            )
    if not tuples:
        return dispatch.submit_map(engine, task, tuples, how, given)
    if not _can_wait(engine):
        values = [_with_values(engine, (args, {}), after)[0] for args in tuples]
        return dispatch.submit_map(engine, task, values, how, given)
    options = {"label": how.label, "quiet": how.quiet, **given}
    calls = NodeCalls(task, Positional(list(tuples)), options, True, how.on_error, after)
    return _submitted(engine, calls)  # type: ignore[no-any-return]


def submit_call_after(
    engine: Engine,
    task: Definition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    given: dict[str, Any],
    after: Sequence[Any] = (),
) -> AsyncResult:
    """Submit a call that waits for others; as :func:`submit_map_after`."""
    if not _can_wait(engine):
        return dispatch.submit_call(engine, task, *_with_values(engine, (args, kwargs), after), given)
    calls = NodeCalls(task, [(args, kwargs)], given, is_map=False, after=after)
    return _submitted(engine, calls)  # type: ignore[no-any-return]


def _can_wait(engine: Engine) -> bool:
    """Whether calls can wait for others there."""
    return "workflow" in engine.capabilities.words


def _with_values(engine: Engine, call: Call, after: Sequence[Any]) -> Call:
    """Return a call with values in the places of handles, where calls cannot wait.

    Raises:
        ConfigError: one of them has not ended.
        Exception: what one of them has raised.
    """
    handles = handles_in([call])
    if not all(one.ready() for one in (*handles, *after)):
        engine.capabilities.need("workflow", "a handle as an argument")
    for one in after:
        one.get(timeout=0)
    return with_values(call)


def _submitted(engine: Engine, calls: NodeCalls) -> Any:
    if calls.options.get("memo", calls.task.options.memo):
        raise ConfigError(
            f"{calls.task.name}: memo=True looks for a kept result before a call is sent, and what it waits for is not "
            "known then; leave memo out, or pass the values, result.get()"
        )
    n = len(calls.calls)
    plan = Plan((Node(n),), (CallRange(0, 0, n),), of_many=bool(calls.is_map))
    batch = submit_workflow(engine, plan, [calls])[0]
    handle: Any = GroupResult.of(batch) if calls.is_map else AsyncResult.of(batch, 0)
    note_child(handle)
    if not batch.quiet:
        observers.submitted(handle, batch)
    return handle
