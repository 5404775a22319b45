"""A running call whose place a composition takes: ``self.replace()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from nbtasks.client import current
from nbtasks.client.engines.executors.eagerengine import EagerEngine
from nbtasks.client.submitting.workflows import NodeCalls, submit_workflow
from nbtasks.core import context
from nbtasks.core import states as st
from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import ChordError, ConfigError
from nbtasks.core.inputs import Input, sources_of
from nbtasks.core.outcome import Outcome
from nbtasks.core.plan import EdgeKind, ranges_of
from nbtasks.core.replacement import Replaced

from .rehearsal import EagerGroup, run_here
from .signature import element
from .workflow import engine_of

if TYPE_CHECKING:
    from nbtasks.client.batches.engine import Engine

    from .compiling import Compiled

#: Calls in a row of which each one has taken the place of the one before.
MOST_NESTED = 100


def replace(request: CurrentCall, signature: Any) -> NoReturn:
    """Have a composition take the place of a call.

    Raises:
        Replaced: always.
        TypeError: it is no signature, or its arguments do not fit their function.
        ConfigError: its calls would go to another broker, or there is no end to it.
    """
    one = element(signature, f"{request.name}: self.replace()")
    compiled = one.compiled()
    engine = engine_of(compiled.steps)
    said = f"replaced by {one.reprcall():.200}"
    direct = request.called_directly
    if direct or engine is None or isinstance(engine, EagerEngine) or request.is_eager or not context.serving:
        raise Replaced(said, ended=_outcome_of(run_here(compiled, copied=False)), direct=direct)
    raise Replaced(said, _submitted(request, compiled, engine))


def _submitted(request: CurrentCall, compiled: Compiled, engine: Engine) -> tuple[Input, ...]:
    """Submit what takes the place of a call; returns what the call gets from it."""
    nesting = request.sent.header.nesting + 1 if request.sent is not None else 1
    if nesting > MOST_NESTED:
        raise ConfigError(
            f"{request.name}: self.replace(): {MOST_NESTED} calls in a row were each replaced by the next: there is "
            "no end. To look again later raise self.retry(countdown=...); to go on, submit the next call: .delay()"
        )
    app, home = compiled.steps[0].task.app, current.current().home  # type: ignore[attr-defined]
    if app.home != home:
        raise ConfigError(
            f"{request.name}: self.replace(): calls of App {app.name!r} go to {app.home}, and this worker runs for "
            f"{home}: only calls of the same place can give this one its result. Submit it there with .delay() instead"
        )
    plan = compiled.plan
    results = {part.node for part in ranges_of(plan.result)}
    steps = [
        NodeCalls(
            step.task, step.calls, {**step.options, **({"ignore_result": False} if place in results else {})}
        )
        for place, step in enumerate(compiled.steps)
    ]
    ledgers = submit_workflow(engine, plan, steps, nesting)
    batches = [batch.id for batch in ledgers]
    singles = [batch.origin.single for batch in ledgers]
    kind: EdgeKind = "list" if plan.of_many else "one"
    return (Input(kind, sources_of(plan.result, batches, singles)),)


def _outcome_of(ended: Any) -> Outcome:
    """Return how a call ends whose place something has taken that has run here."""
    if not isinstance(ended, EagerGroup):
        if ended.successful():
            return Outcome(st.SUCCESS_CODE, ended.result)
        return Outcome(
            st.REVOKED_CODE if ended.state == st.REVOKED else st.FAILURE_CODE, None, 0.0, ended.result
        )
    bad = _first_bad(ended)
    if bad is None:
        return Outcome(st.SUCCESS_CODE, ended.get())
    error = ChordError(f"Dependency {bad.id} raised {bad.result!r}", "", bad.id)
    error.__cause__ = bad.result
    return Outcome(st.FAILURE_CODE, None, 0.0, error)


def _first_bad(group: EagerGroup) -> Any:
    for one in group:
        found = _first_bad(one) if isinstance(one, EagerGroup) else None if one.successful() else one
        if found is not None:
            return found
    return None
