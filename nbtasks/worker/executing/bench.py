"""What every executor of a child works with: the arguments of a call, its announcement, and what is told of its end.

Here is the one border around what is the user's and is touched outside the call itself: reading the arguments,
packing the result or the error, their texts for the log. It may raise anything there, at any time: that costs its own
call, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbtasks.core import awaited
from nbtasks.core.attempts import why_again
from nbtasks.core.callheader import ARGUMENT_LIMIT_BYTES
from nbtasks.core.calloutput import CallOutput
from nbtasks.core.callsignals import tell_end
from nbtasks.core.context import CurrentCall, before_telling
from nbtasks.core.errors import LockLost, NotPicklable, Retry, TaskRevokedError, ValueLost, WireError
from nbtasks.core.outcome import Outcome
from nbtasks.core.readable import is_kind, name_of, repr_of, text_of
from nbtasks.core.replacement import Replaced
from nbtasks.core.retrychanges import RetryChanges
from nbtasks.core.signal import Signal
from nbtasks.core.states import FAILURE_CODE, RETRY_CODE, REVOKED_CODE, SUCCESS_CODE
from nbtasks.local.server.valuefiles import ValueFiles
from nbtasks.wire.errors import failures, variables
from nbtasks.wire.kinds import generators
from nbtasks.wire.kinds.generators import Hidden
from nbtasks.wire.modules import activeworld
from nbtasks.wire.pickling import SCALARS
from nbtasks.wire.readback import Readable
from nbtasks.wire.unsendableresult import why_unsent
from nbtasks.wire.values import BlobPiece, Shelf, payload_of, value_of
from nbtasks.worker.isolation.news import given_out
from nbtasks.worker.isolation.openfigures import close_figures, has_figures
from nbtasks.worker.isolation.streams import output_of
from nbtasks.worker.jobs.ended import Again, Done, Ended, PutAside, Unread
from nbtasks.worker.jobs.job import Job
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.jobs.runningcalls import RunningCalls
from nbtasks.worker.log import LOGGER
from nbtasks.worker.tasklog import PrintedLines

from .hints import add_hint
from .interrupts import Stopping
from .intime import do_in_time
from .preview import Previews, show_left

#: Characters of a value, or of an error, in the log.
_MOST_LOGGED = 200
#: Bytes of variables that the failures of one batch may bring from one child: who looks, looks at the first ones.
_MOST_VARIABLES = 512 * 1024
#: Seconds for those of one failure.
_MOST_VARIABLES_S = 1.0


class _ArgumentsLost(Exception):
    """Large arguments of a call are gone: it was not started."""


@dataclass
class Bench:
    """One for all executors of a child."""

    worker: str
    reporter: Reporter
    running: RunningCalls
    shelf: Shelf
    log_calls: bool
    #: Shows what calls print in the worker's log; None where it does not.
    printed: PrintedLines | None = None
    #: Ends the process where a call has lost its locks: nobody is told how it has ended.
    on_locks_lost: Callable[[], None] = lambda: None
    #: Of large values, where this process sees any.
    files: ValueFiles | None = None
    #: The generators behind the functions of random and numpy.random.
    hidden: Hidden = field(default_factory=Hidden)
    _readable: Readable = field(default_factory=Readable)
    _previews: Previews = field(default_factory=Previews)
    #: The batch that has failed last, and the bytes of variables that it may still bring.
    _failing: tuple[bytes, int] = (b"", 0)

    def use_files(self, files: ValueFiles | None) -> None:
        """Put large values into files, for those who see them."""
        self.files = self.shelf.files = files

    def arguments(self, job: Job, index: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Unpickle the arguments of a call, for which a copy of its function was lent."""
        if job.world is None or activeworld.is_entered(job.world):
            return self._read(job, index)
        with activeworld.opened_in(job.world):
            return self._read(job, index)

    def _read(self, job: Job, index: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        placed = () if job.handed is None else job.handed.values_for_places(index, self.shelf)
        try:
            if job.handed is None:
                args, kwargs = value_of(job.payload(index), self.shelf)
                return args, kwargs
            with awaited.filled(placed):
                args, kwargs = value_of(job.payload(index), self.shelf)
        except ValueLost as error:
            raise _ArgumentsLost(str(error)) from error
        # What it gets from calls before it comes first.
        return (*job.handed.arguments(index, self.shelf), *args), kwargs

    def begin(self, job: Job, index: int) -> CurrentCall:
        """Announce a call."""
        call = job.call(index, self.worker, self.running.note_progress)
        self.running.began(call, job)
        if self.log_calls:
            LOGGER.info("Task %s[%s] received", call.shadow or call.name, call.id)
        return call

    def wrote(self, call: CurrentCall, text: str) -> None:
        """A call, or what it has started, has written past Python."""
        output_of(call).write("o", text)
        if self.printed is not None:
            self.printed.written(call, text)

    def finish(
        self, job: Job, call: CurrentCall, outcome: Outcome, on_packed: Callable[[], None] | None = None
    ) -> None:
        """Pack and hand over how a call ended.

        Args:
            on_packed: called in between: what comes then may wait for the broker.

        Raises:
            Stopping: the process shall end, and the broker did not answer.
        """
        if (job.hold is not None and job.hold.is_lost) or type(outcome.error) is LockLost:
            self.on_locks_lost()
        try:
            item: Ended = self._told(job, call, outcome)
        except Stopping:
            raise
        except BaseException as error:
            LOGGER.warning("Task %s[%s]: its end could not be told: %s", call.name, call.id, name_of(error))
            outcome.fail(error)
            item = Done(job, call.index, FAILURE_CODE, outcome.seconds, failures.pack(error))
        onlooked = (call.args, call.kwargs) if Signal.is_of_calls and call.function is not None else None
        # The call may be known for longer than its arguments are worth their memory.
        call.args, call.kwargs = (), {}
        if call.figures is not None:
            close_figures(call)
        if on_packed is not None:
            on_packed()
        self.reporter.ended(item)
        if onlooked is not None:
            self._tell_onlookers(job, call, outcome, *onlooked)

    def _tell_onlookers(
        self, job: Job, call: CurrentCall, outcome: Outcome, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        call.is_over = True
        try:
            tell_end(call, job.options, outcome, args, kwargs)
        except Stopping:
            raise
        except BaseException as error:
            LOGGER.warning(
                "a receiver of a signal of task %s[%s] has raised %s", call.name, call.id, name_of(error)
            )

    def _told(self, job: Job, call: CurrentCall, outcome: Outcome) -> Ended:
        if outcome.error is not None and is_kind(outcome.error, _ArgumentsLost):
            LOGGER.warning("Task %s[%s] cannot be started: %s", call.name, call.id, outcome.error)
            return Unread(job, call.index, str(outcome.error))
        if self.printed is not None:
            self.printed.end(call)
        if before_telling:
            # Copied: the list changes when an App is closed in another thread.
            for action in tuple(before_telling):
                action()
        succeeded = outcome.state == SUCCESS_CODE
        is_empty = succeeded and (outcome.value is None or job.options.ignore_result)
        # Before what the call has given out is put together.
        if call.figures is not None and has_figures(call):
            show_left(outcome, call)
        shown = None
        if succeeded and not is_empty and (job.header.preview or type(outcome.value) not in SCALARS):
            shown = self._previews.of(outcome, call, is_shown=job.header.preview)
        given = given_out(call, shown)
        if outcome.state == RETRY_CODE and self.running.was_revoked(call):
            reason = TaskRevokedError(
                f"call {call.id} was revoked while it ran: it is not tried again", call.id
            )
            outcome.state, outcome.error = REVOKED_CODE, reason
        # In a shell a failure is shown at the level of errors, whatever else is not.
        if self.log_calls or (self.printed is not None and outcome.state == FAILURE_CODE):
            log_end(call, outcome, job.options.throws)
        if outcome.state == RETRY_CODE:
            return self._again(job, call, outcome, given)
        if is_empty:
            return Done(job, call.index, SUCCESS_CODE, outcome.seconds, b"", [], given)
        if (succeeded and type(outcome.value) in SCALARS) or activeworld.is_entered(job.world):
            state, payload, pieces = self._packed(job, call, outcome)
        else:
            with activeworld.packed_in(job.world):
                state, payload, pieces = self._packed(job, call, outcome)
        return Done(job, call.index, state, outcome.seconds, payload, pieces, given)

    def _again(self, job: Job, call: CurrentCall, outcome: Outcome, given: CallOutput | None) -> Ended:
        assert outcome.error is not None
        if is_kind(outcome.error, Replaced):
            return PutAside(job, call.index, outcome.error.inputs, given, outcome.seconds)
        told = Again(job, call.index, outcome.retry_in, why_again(outcome.error), given, outcome.seconds)
        changes = getattr(outcome.error, "changes", None) if is_kind(outcome.error, Retry) else None
        if type(changes) is RetryChanges:
            told.changes = changes
            if changes.call is not None:
                try:
                    told.payload, told.pieces = self._packed_arguments(job, changes.call)
                except WireError as error:
                    problem = NotPicklable(f"self.retry() of call {call.id}: its new arguments: {error}")
                    payload = failures.pack(problem, with_traceback=False)
                    return Done(job, call.index, FAILURE_CODE, outcome.seconds, payload, [], given)
        return told

    def _packed_arguments(self, job: Job, arguments: Any) -> tuple[bytes, list[BlobPiece]]:
        with activeworld.opened_in(job.world), generators.given():
            return payload_of(arguments, ARGUMENT_LIMIT_BYTES, self.shelf, lambda: False)

    def _packed(self, job: Job, call: CurrentCall, outcome: Outcome) -> tuple[int, bytes, list[BlobPiece]]:
        if outcome.state != SUCCESS_CODE:
            assert outcome.error is not None
            with contextlib.suppress(BaseException):
                add_hint(outcome.error)
            return outcome.state, self._packed_error(job, call, outcome.error), []
        limit = job.header.result_limit
        try:
            payload, pieces = payload_of(
                outcome.value, limit, self.shelf, lambda: self._seen_by_asker(job), self._readable.check
            )
            return SUCCESS_CODE, payload, pieces
        except Stopping:
            raise
        except BaseException as error:
            problem = why_unsent(outcome.value, error, call.id)
        outcome.fail(problem)
        return FAILURE_CODE, failures.pack(problem, with_traceback=False), []

    def _packed_error(self, job: Job, call: CurrentCall, error: BaseException) -> bytes:
        batch, left = self._failing
        if batch != job.batch_bytes:
            batch, left = job.batch_bytes, _MOST_VARIABLES
        most = min(left, variables.MOST_BYTES)
        told: list[bytes] = []
        if most > 0 and not job.header.hides_variables and variables.are_wanted():
            in_time = do_in_time(
                lambda: told.append(failures.variables_of(error, most)), call, _MOST_VARIABLES_S
            )
            # Objects that never answer would hold up every call of the batch.
            left = left if in_time else 0
        payload = failures.pack(error, told=told[0] if told else b"")
        self._failing = (batch, left - len(payload))
        return payload

    def _seen_by_asker(self, job: Job) -> bool:
        return self.files is not None and job.header.place == self.files.place


def log_end(call: CurrentCall, outcome: Outcome, expected: tuple[type[BaseException], ...]) -> None:
    """Log how a call has ended; without a traceback where it has failed as its task expects.

    Args:
        expected: the task's ``throws``.
    """
    error, which = outcome.error, f"Task {call.shadow or call.name}[{call.id}]"
    level, text = logging.INFO, ""
    if outcome.state == SUCCESS_CODE:
        text = f"succeeded in {outcome.seconds:.2f}s: {repr_of(outcome.value, _MOST_LOGGED)}"
    elif is_kind(error, Replaced):
        text = text_of(error, _MOST_LOGGED)
    elif outcome.state == RETRY_CODE:
        text = f"retry in {outcome.retry_in:.2f}s: {repr_of(error, _MOST_LOGGED)}"
    elif outcome.state == REVOKED_CODE:
        text = f"revoked: {text_of(error, _MOST_LOGGED)}"
    elif is_kind(error, expected):
        text = f"raised expected: {repr_of(error, _MOST_LOGGED)}"
    elif error is not None:
        level = logging.ERROR
        text = f"raised unexpected: {repr_of(error, _MOST_LOGGED)}\n{failures.text_with_traceback(error)}"
    LOGGER.log(level, "%s %s", which, text.rstrip())
