"""A compiled workflow on its way to workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client import current, observers
from nbtasks.client.engines.executors.eagerengine import EagerEngine
from nbtasks.client.submittedbytasks import note_child
from nbtasks.client.submitting import withhandles
from nbtasks.client.submitting.workflows import NodeCalls, submit_workflow
from nbtasks.core.errors import ConfigError
from nbtasks.core.plan import CallRange

from .compiling import Compiled, Step
from .handles import handle_of
from .rehearsal import run_here
from .spread import SpreadResult

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine


def submit(compiled: Compiled) -> Any:
    """Submit a workflow; returns the handle of its result.

    Raises:
        TypeError: arguments do not fit their function.
        NotPicklable: something cannot travel.
        ConfigError: tasks are of several Apps, or options are wrong.
    """
    engine = engine_of(compiled.steps)
    _check_ids(compiled.steps)
    if engine is None:
        return SpreadResult([])
    if isinstance(engine, EagerEngine):
        return run_here(compiled, copied=False)
    plan = compiled.plan
    if len(plan.nodes) == 1 and plan.result == (CallRange(0),) and not plan.of_many:
        step = compiled.steps[0]
        return withhandles.submit_call(engine, step.task, *step.calls[0], dict(step.options))
    # A group that is a map is shown like one.
    shown = {"quiet": False} if len(plan.nodes) == 1 and plan.nodes[0].count > 1 else {}
    parts = [NodeCalls(step.task, step.calls, {**shown, **step.options}) for step in compiled.steps]
    ledgers = submit_workflow(engine, plan, parts)
    handle = handle_of(ledgers, plan.result, plan.of_many)
    if isinstance(handle, SpreadResult) and any(node.ins for node in plan.nodes):
        handle.whole = ledgers[0]
    note_child(handle)
    if shown and not ledgers[0].quiet:
        observers.submitted(handle, ledgers[0])
    return handle


def _check_ids(steps: Sequence[Step]) -> None:
    """Refuse an id that was given to several calls: a result never changes, so each has one of its own."""
    given = Counter[str]()
    for step in steps:
        if step.options.get("task_id") is not None:
            given[str(step.options["task_id"])] += len(step.calls)
    for id, calls in given.items():
        if calls > 1:
            raise ConfigError(
                f"task_id={id!r:.80} is given to {calls} calls of one composition: each call has its own result, and "
                "so an id of its own. Give each another one, or leave it out"
            )


def engine_of(steps: Sequence[Step]) -> Engine | None:
    """Return what brings all calls to workers; None where there are none."""
    # All are tasks, which know their App.
    apps: list[current.Provider] = list(dict.fromkeys(getattr(step.task, "app") for step in steps))  # noqa: B009
    if len(apps) > 1:
        raise ConfigError(
            f"the tasks of a composition are of {len(apps)} Apps, "
            f"{', '.join(repr(app.name) for app in apps)}: its calls can only wait for others of the same App"
        )
    return apps[0].engine if apps else None
