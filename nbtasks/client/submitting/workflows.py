"""From a plan, tasks and arguments to a workflow on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from nbtasks.client.batches.parcel import Call, Parcel
from nbtasks.client.settled import routed
from nbtasks.core import awaited
from nbtasks.core.awaited import Places
from nbtasks.core.errors import ConfigError
from nbtasks.core.plan import Edge, Node, Plan

from . import publishing
from .beside import refuse_known
from .dispatch import call_options, ledger_of, packer_of
from .earlier import MOST_HANDLES, Earlier
from .placing import meet
from .uniqueness import refuse_many

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.definition import Definition

#: Edge -> how many arguments it puts before the calls' own.
_HANDED = {"one": 1, "list": 1, "after": 0, "error": 0, "error-id": 1, "error-call": 3}


class NodeCalls(NamedTuple):
    """What the calls of a node are.

    Attributes:
        calls: their own arguments.
        options: as for ``apply_async``.
        is_map: whether they are a map; None: where they are not one call.
        on_error: of a map.
        after: handles of earlier calls that have to succeed before.
    """

    task: Definition
    calls: Sequence[Call]
    options: Mapping[str, Any]
    is_map: bool | None = None
    on_error: str = "raise"
    after: Sequence[Any] = ()


class _Prepared(NamedTuple):
    batch: Ledger
    parcel: Parcel
    payloads: list[bytes]
    places: Places


def submit_workflow(engine: Engine, plan: Plan, steps: Sequence[NodeCalls], nesting: int = 0) -> list[Ledger]:
    """Submit a workflow; returns the batch of each node.

    Handles among the arguments are calls that it waits for, and their values stand there when it runs.

    Args:
        steps: of each node.
        nesting: as in :class:`CallHeader`.

    Raises:
        TypeError: arguments do not fit their function.
        NotPicklable: something cannot travel.
        ConfigError: options are wrong, or this engine does not let calls wait for others.
    """
    steps = [
        step._replace(options=routed(step.task, *_body(step.calls), dict(step.options))) for step in steps
    ]
    told = publishing.is_told()
    if told:
        steps = [
            step._replace(options=publishing.tell_before(step.task, dict(step.options), _body(step.calls)))
            for step in steps
        ]
    prepared = [_prepared(engine, node, step, nesting) for node, step in zip(plan.nodes, steps, strict=True)]
    if any(one.places.handles or step.after for one, step in zip(prepared, steps, strict=True)):
        _submit_later(engine, plan, steps, prepared)
    elif any(node.ins for node in plan.nodes):
        engine.submit_workflow(plan, [one[:3] for one in prepared])
    else:
        for batch, parcel, payloads, _ in prepared:
            engine.submit(batch, parcel, payloads)
    for step, (batch, *_) in zip(steps if told else (), prepared, strict=False):
        given, own_id = dict(step.options), batch.call_id(0) if batch.n == 1 else batch.id
        publishing.tell_after(step.task, given, _body(step.calls), own_id)
    return [one.batch for one in prepared]


def _submit_later(
    engine: Engine, plan: Plan, steps: Sequence[NodeCalls], prepared: Sequence[_Prepared]
) -> None:
    """Submit a workflow that waits for calls which were submitted before."""
    earlier = Earlier(engine)
    more = [edges_of_handles(earlier, step, one.places) for step, one in zip(steps, prepared, strict=True)]
    engine.submit_workflow(
        earlier.put_before(plan, more), [one[:3] for one in prepared], earlier=earlier.ledgers
    )


def edges_of_handles(earlier: Earlier, step: NodeCalls, places: Places) -> list[Edge]:
    """Return what the calls of a node need of those before the workflow: the handles among their arguments.

    Args:
        places: where these stand.

    Raises:
        ConfigError: they are too many.
    """
    handles = places.handles
    if len(handles) > MOST_HANDLES:
        raise ConfigError(
            f"{step.task.name}: the arguments have {len(handles):,} handles, and {MOST_HANDLES:,} are the most that "
            "one submit can wait for one by one: pass the handle of a whole map or group, which counts as one"
        )
    users = _users(step.calls, places) if len(step.calls) > 1 else {}
    edges = [earlier.edge(handle, users.get(place)) for place, handle in enumerate(handles)]
    return edges + [earlier.edge(handle, placed=False) for handle in step.after]


def _users(calls: Sequence[Call], places: Places) -> dict[int, list[int]]:
    """Return for each place the calls that have it, where that is not all of them."""
    users: dict[int, list[int]] = {place: [] for place in range(len(places.handles))}
    for index, call in enumerate(calls) if users else ():
        places.touched.clear()
        meet(call, places)
        for place in places.touched:
            users[place].append(index)
    return {place: found for place, found in users.items() if len(found) < len(calls)}


def _body(calls: Sequence[Call]) -> Call:
    """Return what signals are told of the arguments of some calls: as of a call, or of a map."""
    return calls[0] if len(calls) == 1 else ((), {})


def _prepared(engine: Engine, node: Node, step: NodeCalls, nesting: int) -> _Prepared:
    task, calls = step.task, step.calls
    refuse_many(task)
    check_calls(task, node, calls)
    is_map = len(calls) != 1 if step.is_map is None else step.is_map
    options = call_options(task, dict(step.options), engine, single=not is_map)
    if options.header.task_id:
        refuse_known(engine, options.header.task_id)
    if nesting:
        options = replace(options, header=replace(options.header, nesting=nesting))
    packer, places = packer_of(engine, task, options), Places()
    with awaited.noted(places):
        payloads = list(packer.payloads(calls))
    parcel = Parcel(task, options, calls)
    parcel.blobs, parcel.needs = packer.pieces, packer.needs
    batch = ledger_of(engine, parcel, len(calls), "map" if is_map else "call", step.on_error)
    return _Prepared(batch, parcel, payloads, places)


def check_calls(task: Definition, node: Node, calls: Sequence[Call]) -> None:
    """Check the arguments of a node's calls together with what they will get from others.

    Raises:
        TypeError: they do not fit the function.
    """
    handed = sum(_HANDED[edge.kind] for edge in node.ins if not (edge.placed or edge.only))
    own = [0] * len(calls)
    for edge in node.ins:
        for first, count in () if edge.placed else edge.only:
            for index in range(first, first + count):
                own[index] += _HANDED[edge.kind]
    for (args, kwargs), more in zip(calls, own, strict=True):
        task.check((*(None,) * (handed + more), *args), kwargs)
