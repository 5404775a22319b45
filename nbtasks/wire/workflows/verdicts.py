"""What the ends of calls mean for a call that waits for them: it runs with their values, or ends without running."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, Union

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import ChordError, NotNeeded, TaskRevokedError, ValueLost, WireError
from nbtasks.core.inputs import CallsBefore, Input, Sources, calls_of
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE
from nbtasks.wire.errors import failures
from nbtasks.wire.errors.consequences import caused_by, is_kind_of, said_of
from nbtasks.wire.values import Shelf, value_of

from .ends import Ends, Run, payloads_in

#: Payloads of one call, or of many as one list; lists may lie in it.
Found: TypeAlias = tuple[Union[list[Run], "Found"], ...]


@dataclass(frozen=True)
class Runs:
    """The call runs.

    Attributes:
        handed: what each edge hands on: a function of the shelf that makes the arguments, anew for each call.
        placed: the same of those edges whose values have places among the call's own arguments.
    """

    handed: Sequence[Callable[[Shelf], tuple[Any, ...]]]
    placed: Sequence[Callable[[Shelf], tuple[Any, ...]]] = ()

    def arguments(self, shelf: Shelf) -> tuple[Any, ...]:
        """Return what comes before the call's own arguments.

        Raises:
            ValueLost, SignatureMismatch: a large value is gone, or is not what was signed.
        """
        return tuple(value for make in self.handed for value in make(shelf))

    def values_for_places(self, shelf: Shelf) -> tuple[Any, ...]:
        """Return what stands in the places among the call's own arguments; raises the same."""
        return tuple(next(iter(make(shelf)), None) for make in self.placed)


@dataclass(frozen=True)
class IsOver:
    """The call ends without running.

    Attributes:
        payload: as in a record.
    """

    state: int
    payload: bytes


@dataclass(frozen=True)
class Waits:
    """Something that it waits for has not ended; nobody knows yet."""


Verdict: TypeAlias = Runs | IsOver | Waits


def verdict(inputs: Sequence[Input], index: int, ends: Ends) -> Verdict:
    """Return what becomes of a call, by its index; what it needs was looked at."""
    found = end_without_running(inputs, index, ends)
    if found is not None:
        return found
    if _is_open(inputs, index, ends):
        return Waits()
    try:
        if any(one.is_of_errors for one in inputs):
            return Runs([_error_handed(_first_bad(inputs, index, ends), ends)])
        made = [(one.placed, _handed(one, one.at(index), ends)) for one in inputs]
        return Runs([make for placed, make in made if not placed], [make for placed, make in made if placed])
    except WireError as error:
        return _unreadable(error)


def end_without_running(inputs: Sequence[Input], index: int, ends: Ends) -> IsOver | None:
    """Return how a call ends that cannot run; None where it can, or nobody knows yet. No values are read for that.

    What has failed decides at once, whatever has not ended yet.
    """
    bad = _first_bad(inputs, index, ends)
    if any(one.is_of_errors for one in inputs):
        if bad is not None or _is_open(inputs, index, ends):
            return None
        error = NotNeeded("not needed: what it was to run after has succeeded")
        return IsOver(REVOKED_CODE, failures.pack(error, with_traceback=False))
    if bad is None:
        return None
    try:
        return _after_bad(*bad, ends)
    except WireError as error:
        return _unreadable(error)


def _unreadable(error: WireError) -> IsOver:
    problem = ValueLost(f"what this call is to get of a call before it cannot be read: {error}")
    return IsOver(FAILURE_CODE, failures.pack(problem, with_traceback=False))


def _first_bad(inputs: Sequence[Input], index: int, ends: Ends) -> tuple[Input, CallsBefore, int] | None:
    """Return what a call needs and has ended without success: the input, its part, and the index of the call there."""
    for one in inputs:
        for part in calls_of(one.at(index)):
            bad = ends.first_bad(part)
            while bad is not None and one.is_of_errors and _was_not_needed(part.batch, bad, ends):
                end = part.first + part.count
                bad = ends.first_bad(replace(part, first=bad + 1, count=end - bad - 1))
            if bad is not None:
                return one, part, bad
    return None


def _was_not_needed(batch: str, index: int, ends: Ends) -> bool:
    """Whether a call was to run only after a failure that did not come: then it has not failed itself."""
    if ends.state(batch, index) != REVOKED_CODE:
        return False
    try:
        return is_kind_of(ends.payload(batch, index), NotNeeded)
    except WireError:
        return False


def _is_open(inputs: Sequence[Input], index: int, ends: Ends) -> bool:
    return any(0 in ends.states(part) for one in inputs for part in calls_of(one.at(index)))


def _after_bad(one: Input, part: CallsBefore, bad: int, ends: Ends) -> IsOver:
    """Return how a call ends where one before it has not succeeded."""
    failed_id, state = part.id_of(bad), ends.state(part.batch, bad)
    payload = bytes(ends.payload(part.batch, bad))
    if one.is_collecting and not (is_kind_of(payload, ChordError) or is_kind_of(payload, NotNeeded)):
        members = tuple((p.batch, p.first, p.count, p.single) for p in calls_of(one.of))
        what = said_of(payload, state == REVOKED_CODE)
        error = ChordError(f"call {failed_id}, whose result it was to get, {what}", "", failed_id, members)
        return IsOver(FAILURE_CODE, caused_by(error, payload))
    if state != REVOKED_CODE:
        return IsOver(state, payload)
    if payload:
        return IsOver(state, payload)
    revoked = TaskRevokedError(f"call {failed_id}, which comes before it, was revoked")
    return IsOver(state, failures.pack(revoked, with_traceback=False))


def _error_handed(
    bad: tuple[Input, CallsBefore, int] | None, ends: Ends
) -> Callable[[Shelf], tuple[Any, ...]]:
    """Return what makes the arguments of a call that runs because of a failure."""
    assert bad is not None
    one, part, index = bad
    failed_id, payload = part.id_of(index), bytes(ends.payload(part.batch, index))

    def make(_: Shelf) -> tuple[Any, ...]:
        if one.kind == "error-id":
            return (failed_id,)
        if one.kind == "error":
            return ()
        request = CurrentCall(id=failed_id, batch=part.batch, index=index)
        if not payload:
            return request, TaskRevokedError(f"call {failed_id} was revoked", failed_id), ""
        failure = failures.unpack(payload)
        return request, failures.rebuild(failure, failed_id), failure.text

    return make


def _handed(one: Input, sources: Sources, ends: Ends) -> Callable[[Shelf], tuple[Any, ...]]:
    if one.kind == "after":
        return lambda _: ()
    found = _found(sources, ends)
    if one.kind == "one":
        return lambda shelf: tuple(_values(found, shelf))
    return lambda shelf: (_values(found, shelf),)


def _found(sources: Sources, ends: Ends) -> Found:
    return tuple(
        ends.counted(part) if isinstance(part, CallsBefore) else _found(part, ends) for part in sources
    )


def _values(found: Found, shelf: Shelf) -> list[Any]:
    values: list[Any] = []
    for part in found:
        if isinstance(part, tuple):
            values.append(_values(part, shelf))
        else:
            values += [value_of(payload, shelf) for payload in payloads_in(part)]
    return values
