"""A compiled workflow on its way to workers, and the handle of its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client import current
from nbtasks.client.engines.executors.eagerengine import EagerEngine
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.client.submitting import dispatch
from nbtasks.client.submitting.workflows import submit_workflow
from nbtasks.core.errors import ConfigError
from nbtasks.core.plan import CallRange, Values

from .compiling import Compiled, Step
from .rehearsal import run_here
from .spread import SpreadResult

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine
    from nbtasks.client.batches.ledger import Ledger


def submit(compiled: Compiled) -> Any:
    """Submit a workflow; returns the handle of its result.

    Raises:
        TypeError: arguments do not fit their function.
        NotPicklable: something cannot travel.
        ConfigError: tasks are of several Apps, or options are wrong.
    """
    engine = _engine_of(compiled.steps)
    if engine is None:
        return SpreadResult([])
    if isinstance(engine, EagerEngine):
        return run_here(compiled, copied=False)
    plan = compiled.plan
    if len(plan.nodes) == 1 and plan.result == (CallRange(0),) and not plan.of_many:
        step = compiled.steps[0]
        return dispatch.submit_call(engine, step.task, *step.calls[0], dict(step.options))
    parts = [(step.task, step.calls, step.options) for step in compiled.steps]
    return handle_of(submit_workflow(engine, plan, parts), plan.result, plan.of_many)


def _engine_of(steps: Sequence[Step]) -> Engine | None:
    """Return what brings all calls to workers; None where there are none."""
    # All are tasks, which know their App.
    apps: list[current.Provider] = list(dict.fromkeys(getattr(step.task, "app") for step in steps))  # noqa: B009
    if len(apps) > 1:
        raise ConfigError(
            f"the tasks of a composition are of {len(apps)} Apps, "
            f"{', '.join(repr(app.name) for app in apps)}: its calls can only wait for others of the same App"
        )
    return apps[0].engine if apps else None


def handle_of(ledgers: Sequence[Ledger], values: Values, of_many: bool) -> Any:
    """Return the handle of calls of a workflow.

    Args:
        ledgers: of each node.
        values: which calls.
        of_many: whether they are a group.
    """
    if not of_many:
        part = next(part for part in values if isinstance(part, CallRange))
        return AsyncResult.of(ledgers[part.node], part.first)
    parts = [_part(ledgers, part) for part in values]
    if len(parts) == 1 and isinstance(values[0], CallRange) and type(parts[0][0]) is GroupResult:
        return parts[0][0]
    return SpreadResult(parts)


def _part(ledgers: Sequence[Ledger], part: Any) -> tuple[Any, bool]:
    if not isinstance(part, CallRange):
        return handle_of(ledgers, part, of_many=True), False
    ledger = ledgers[part.node]
    if ledger.kind == "map" and part.count == ledger.n:
        return GroupResult.of(ledger), True
    calls = [(AsyncResult.of(ledger, index), True) for index in range(part.first, part.first + part.count)]
    return calls[0] if len(calls) == 1 else (SpreadResult(calls), True)
