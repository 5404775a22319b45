"""A call that has failed is run once more, in this process: with what it was sent with, for a debugger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from nbtasks.core import execution
from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import ConfigError, Retry
from nbtasks.core.execution import run_once
from nbtasks.core.outcome import Outcome
from nbtasks.wire import pickling
from nbtasks.wire.kinds import generators
from nbtasks.wire.kinds.opening import Opening, opened_in
from nbtasks.wire.modules import activeworld

from .batches.ledger import Ledger
from .batches.parcel import Parcel


@dataclass(frozen=True)
class Repetition:
    """How a call has ended here.

    Attributes:
        error: what it has raised, with all its frames; None where it has succeeded.
        value: its result then.
        is_as_sent: code and modules were those that were sent; else they were those that are here now.
    """

    error: BaseException | None
    value: object
    is_as_sent: bool


@contextlib.contextmanager
def run_again(batch: Ledger, index: int) -> Iterator[Repetition]:
    """Run a call again, one attempt of it; its modules stand in ``sys.modules`` until the end of the block.

    Raises:
        ConfigError: what it was called with is not known in this process.
    """
    batch, index = _as_sent_last(batch, index)
    parcel = batch.parcel
    if parcel is None or index >= len(parcel.calls):
        raise ConfigError(
            f"call {batch.call_id(index)} was not submitted by this process, so its arguments are not known here; "
            "submit it again, and debug that call if it fails"
        )
    with activeworld.visited():
        outcome = _outcome(batch, parcel, index)
        yield Repetition(_error_of(outcome), outcome.value, parcel.as_sent is not None)


def _as_sent_last(batch: Ledger, index: int) -> tuple[Ledger, int]:
    """Return where a call was submitted last: a function may have been edited before a retry."""
    repair = batch.repairs.last(index) if batch.repairs is not None else None
    if repair is None or repair.again.parcel is None:
        return batch, index
    return _as_sent_last(repair.again, repair.place(index))


def _outcome(batch: Ledger, parcel: Parcel, index: int) -> Outcome:
    with generators.given():
        # A copy: what the call does to them is not to reach the notebook.
        arguments = b"".join(pickling.dumps(parcel.calls[index]))
    if parcel.as_sent is not None:
        function, options, world = parcel.as_sent.codec.as_sent(parcel.as_sent.sealed)
    else:
        function, options = map(pickling.dump_function, (parcel.task.function, parcel.task.options))
        world = None
    call = CurrentCall(batch.call_id(index), batch.id, index, batch.name, queue=batch.queue, is_eager=True)
    opening = Opening()
    with opened_in(opening), generators.seeded_here(parcel.options.header.seed, batch.id, index):
        with activeworld.opened_in(world):
            function_here, options_here = pickling.loads(function), pickling.loads(options)
            args, kwargs = pickling.loads(arguments)
        opening.is_reading = False
        return run_once(function_here, args, kwargs, call, options_here)


def _error_of(outcome: Outcome) -> BaseException | None:
    error = outcome.error
    if isinstance(error, Retry) and error.cause is not None:
        error = error.cause
    return None if error is None else error.with_traceback(_of_task(error.__traceback__))


def _of_task(tb: TracebackType | None) -> TracebackType | None:
    """Return the frames of the task itself."""
    found = tb
    while tb is not None:
        if tb.tb_frame.f_globals.get("__name__") == execution.__name__:
            found = tb.tb_next
        tb = tb.tb_next
    return found
