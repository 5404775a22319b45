"""From a plan, tasks and arguments to a workflow on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.parcel import Call, Parcel
from nbtasks.client.settled import routed
from nbtasks.core.plan import Node, Plan

from . import publishing
from .beside import refuse_known
from .dispatch import call_options, ledger_of, packer_of

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.definition import Definition

#: Edge -> how many arguments it puts before the calls' own.
_HANDED = {"one": 1, "list": 1, "after": 0, "error": 0, "error-id": 1, "error-call": 3}

#: What the calls of a node are: their task, their own arguments, and options as for ``apply_async``.
NodeCalls = tuple["Definition", Sequence[Call], Mapping[str, Any]]


def submit_workflow(engine: Engine, plan: Plan, steps: Sequence[NodeCalls], nesting: int = 0) -> list[Ledger]:
    """Submit a workflow; returns the batch of each node.

    Args:
        steps: of each node.
        nesting: as in :class:`CallHeader`.

    Raises:
        TypeError: arguments do not fit their function.
        NotPicklable: something cannot travel.
        ConfigError: options are wrong, or this engine does not let calls wait for others.
    """
    steps = [(task, calls, routed(task, *_body(calls), dict(given))) for task, calls, given in steps]
    told = publishing.is_told()
    if told:
        steps = [
            (task, calls, publishing.tell_before(task, dict(given), _body(calls)))
            for task, calls, given in steps
        ]
    prepared = [_prepared(engine, node, *step, nesting) for node, step in zip(plan.nodes, steps, strict=True)]
    if any(node.ins for node in plan.nodes):
        engine.submit_workflow(plan, prepared)
    else:
        for batch, parcel, payloads in prepared:
            engine.submit(batch, parcel, payloads)
    for (task, calls, given), (batch, _, _) in zip(steps if told else (), prepared, strict=False):
        publishing.tell_after(task, dict(given), _body(calls), batch.call_id(0) if batch.n == 1 else batch.id)
    return [batch for batch, _, _ in prepared]


def _body(calls: Sequence[Call]) -> Call:
    """Return what signals are told of the arguments of some calls: as of a call, or of a map."""
    return calls[0] if len(calls) == 1 else ((), {})


def _prepared(
    engine: Engine,
    node: Node,
    task: Definition,
    calls: Sequence[Call],
    given: Mapping[str, Any],
    nesting: int,
) -> tuple[Ledger, Parcel, list[bytes]]:
    check_calls(task, node, calls)
    options = call_options(task, dict(given), engine, single=len(calls) == 1)
    if options.header.task_id:
        refuse_known(engine, options.header.task_id)
    if nesting:
        options = replace(options, header=replace(options.header, nesting=nesting))
    packer = packer_of(engine, task, options)
    payloads = list(packer.payloads(calls))
    parcel = Parcel(task, options, calls)
    parcel.blobs, parcel.needs = packer.pieces, packer.needs
    batch = ledger_of(engine, parcel, len(calls), "call" if len(calls) == 1 else "map")
    return batch, parcel, payloads


def check_calls(task: Definition, node: Node, calls: Sequence[Call]) -> None:
    """Check the arguments of a node's calls together with what they will get from others.

    Raises:
        TypeError: they do not fit the function.
    """
    handed = (None,) * sum(_HANDED[edge.kind] for edge in node.ins)
    for args, kwargs in calls:
        task.check((*handed, *args), kwargs)
