"""Handles of what was submitted earlier."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nbtasks.core.errors import ConfigError, SignatureMismatch, UnknownCall

from .batches.steps import SubmittedWorkflow, step_of
from .batches.wholeworkflow import shown_run
from .group import GroupResult
from .lookup import looked_up
from .result import AsyncResult

if TYPE_CHECKING:
    from .batches.engine import Engine
    from .batches.ledger import Ledger
    from .current import Provider

_log = logging.getLogger("nbtasks")
#: Names on the list of batches that are none, or have expired, and that are passed over.
_MOST_STRANGE = 1000
#: Steps of a workflow that is known as a whole; of a larger one each step stands for itself.
_MOST_STEPS = 300


def attached(app: Provider, id: str | None, last: int | None) -> list[AsyncResult | GroupResult]:
    """Return the handles of one batch or call, or else of the ``last`` ones (None: 10), newest first.

    Raises:
        UnknownCall: nobody recorded the id, or its time is over.
        ConfigError: ``last`` is no number.
    """
    engine = app.engine
    engine.flush()
    if id is not None:
        batch, index = looked_up(engine, id)
        bring_workflow(engine, batch)
        return _handles(engine, repaired(batch)) if index is None else [AsyncResult(id, app=app)]
    if last is not None and last < 1:
        raise ConfigError(f"last: {last!r} is not a whole number of 1 or more")
    handles: list[AsyncResult | GroupResult] = []
    most, there = last or 10, set[str]()
    for name in engine.newest(most + _MOST_STRANGE):
        if len(handles) >= most:
            break
        try:
            batch = repaired(engine.adopt(name))
            bring_workflow(engine, batch)
            # A workflow is one run, by the handle of its result.
            run = shown_run(batch).id
            if run not in there:
                handles += _handles(engine, engine.adopt(run) if step_of(batch) else batch)
            there.add(run)
        except (UnknownCall, SignatureMismatch) as error:
            _log.debug("batch %s is not ours to show, or has expired since: %s", name, error)
    return handles[:most]


def bring_workflow(engine: Engine, batch: Ledger) -> None:
    """Have the whole workflow known here that a batch is a step of, and that another process has submitted."""
    if batch.parcel is not None or step_of(batch) is not None or not batch.origin.workflow:
        return
    try:
        record = engine.workflow_of(batch)
        if record is None or len(record.batches) > _MOST_STEPS:
            return
        ledgers = [engine.adopt(one) for one in record.batches]
    except (UnknownCall, SignatureMismatch) as error:
        _log.debug("the workflow of batch %s is not whole any more: %s", batch.id, error)
        return
    for step in SubmittedWorkflow(record, b"", ledgers).own_steps:
        step.workflow.ledgers[step.place].origin.step = step


def repaired(batch: Ledger) -> Ledger:
    """Return the batch in which the results of one count: another one, where it was submitted to repair that."""
    if batch.mends is None:
        return batch
    found: Ledger = batch.mends.batch
    return found


def _handles(engine: Engine, batch: Ledger) -> list[AsyncResult | GroupResult]:
    if batch.kind == "call":
        # Single calls, several of which may share a batch.
        gone = () if batch.origin.single else engine.forgotten(batch)
        return [AsyncResult.of(batch, index) for index in reversed(range(batch.n)) if index not in gone]
    return [GroupResult.of(batch)]
