"""What has failed reaches all that comes after it at once, also what no worker is there for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nbtasks.core.errors import TaskRevokedError
from nbtasks.core.inputs import CallsBefore, Input, calls_of
from nbtasks.core.ranges import runs
from nbtasks.core.states import REVOKED_CODE, SUCCESS_CODE
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.record import Record
from nbtasks.wire.workflowrecord import WorkflowRecord

from .ends import Ends, EndsRead, Results
from .verdicts import IsOver, end_without_running

#: Calls of one record.
_MOST_IN_RECORD = 100_000


def fallout(record: WorkflowRecord, codec: Codec, results: Results) -> Iterator[Record]:
    """Yield the ends of all calls of a workflow that cannot run any more, those first that others wait for.

    Whoever runs calls finds the same when they are released; the first end of a call is the one that counts.
    """
    ends = Ends(codec, results, EndsRead())
    counts = [node.count for node in record.plan.nodes]
    whole = [
        CallsBefore(batch, 0, n, single)
        for batch, n, single in zip(record.batches, counts, record.singles, strict=True)
    ]
    ends.look(whole)
    for part, inputs in zip(whole, record.inputs, strict=True):
        if not inputs or 0 not in ends.states(part):
            continue
        if any(one.only for one in inputs):
            yield from _end_those(part, inputs, ends)
            continue
        if not any(one.each for one in inputs):
            yield from _end_all(part, end_without_running(inputs, 0, ends), ends)
            continue
        before = next(calls_of(inputs[0].of))
        theirs = CallsBefore(before.batch, 0, part.count, before.single)
        if ends.first_bad(theirs) is None:
            continue
        own, its = ends.states(part), ends.states(theirs)
        for index in [k for k in range(part.count) if not own[k] and its[k] not in (0, SUCCESS_CODE)]:
            found = end_without_running(inputs, index, ends)
            if found is not None:
                ends.note(part.batch, index, 1, found.state, found.payload)
                yield Record.alike(part.batch, index, 1, found.state, found.payload)


def left_in_part(record: WorkflowRecord, codec: Codec, results: Results) -> Iterator[Record]:
    """Yield the ends of all calls of a workflow that have not ended, for only a part of it was sent."""
    ends = Ends(codec, results, EndsRead())
    error = TaskRevokedError(
        "the process that has submitted this workflow ended before all of it was sent: submit the workflow anew"
    )
    found = IsOver(REVOKED_CODE, failures.pack(error, with_traceback=False))
    whole = [
        CallsBefore(batch, 0, node.count, single)
        for batch, node, single in zip(record.batches, record.plan.nodes, record.singles, strict=True)
        if not node.earlier
    ]
    ends.look(whole)
    for part in whole:
        yield from _end_all(part, found, ends)


def _end_those(part: CallsBefore, inputs: Sequence[Input], ends: Ends) -> Iterator[Record]:
    """Yield the ends of calls of a node of which each needs others."""
    states = ends.states(part)
    for index in [k for k in range(part.count) if not states[k]]:
        found = end_without_running(inputs, index, ends)
        if found is not None:
            ends.note(part.batch, index, 1, found.state, found.payload)
            yield Record.alike(part.batch, index, 1, found.state, found.payload)


def _end_all(part: CallsBefore, found: IsOver | None, ends: Ends) -> Iterator[Record]:
    """Yield the ends of those calls of a node that have not ended."""
    if found is None:
        return
    states = ends.states(part)
    for first, count in runs(k for k in range(part.count) if not states[k]):
        ends.note(part.batch, first, count, found.state, found.payload)
        for start in range(first, first + count, _MOST_IN_RECORD):
            n = min(_MOST_IN_RECORD, first + count - start)
            yield Record.alike(part.batch, start, n, found.state, found.payload, shared=True)
