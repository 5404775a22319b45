"""Runs errands, wherever the executor has its workers: in threads of this process, in others, on other machines."""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol
from weakref import WeakValueDictionary

from nbtasks.core.attempts import why_again
from nbtasks.core.callheader import ARGUMENT_LIMIT_BYTES
from nbtasks.core.calloutput import CallOutput
from nbtasks.core.callsignals import tell_end
from nbtasks.core.context import CurrentCall, OwnState
from nbtasks.core.errors import NotPicklable, Retry, WireError
from nbtasks.core.events import Retried
from nbtasks.core.execution import run_once
from nbtasks.core.ids import call_id
from nbtasks.core.options import TaskOptions, with_overrides
from nbtasks.core.outcome import Outcome
from nbtasks.core.ranges import runs
from nbtasks.core.readable import is_kind
from nbtasks.core.retrychanges import RetryChanges
from nbtasks.core.shownlines import show_unless_known
from nbtasks.core.signal import Signal
from nbtasks.core.states import FAILURE_CODE, PENDING_CODE, RETRY_CODE, SUCCESS_CODE
from nbtasks.wire import pickling
from nbtasks.wire.errors import failures
from nbtasks.wire.opened.function import Function, Lent
from nbtasks.wire.readback import Readable
from nbtasks.wire.record import Record
from nbtasks.wire.unsendableresult import why_unsent
from nbtasks.wire.values import Shelf, payload_of, value_of

from .errand import Answer, Errand
from .inline import InlineShelf, PieceShelf
from .printing import Paper, divided

#: Functions that a process keeps.
_MOST_FUNCTIONS = 32


class Onlooker(Protocol):
    """The engine, where it sees its calls run: they run in its own process."""

    def begins(self, call: CurrentCall) -> bool:
        """Return whether the call is still to be run."""

    def reports(
        self,
        call: CurrentCall,
        done: float,
        total: float | None,
        message: str,
        own_state: OwnState | None = None,
    ) -> None:
        """Be told how far a call is."""

    def ended(self, call: CurrentCall) -> None:
        """Be told that a call does not run any more."""


#: The engines of this process.
onlookers: WeakValueDictionary[str, Onlooker] = WeakValueDictionary()
_functions: OrderedDict[str, Function] = OrderedDict()
_lock = threading.Lock()
_readable = Readable()
_inline = InlineShelf()


def pack_function(function: Any, options: TaskOptions, lines: Mapping[str, str]) -> bytes:
    """Return a task's function as errands carry it; what modules have goes by its name.

    Args:
        lines: source of what exists in memory only, for tracebacks.

    Raises:
        NotPicklable: something that it captures cannot travel.
    """
    parts = (pickling.dump_function(function), pickling.dump_function(options), dict(lines))
    return pickling.dump_plain(parts)


def run(errand: Errand) -> Answer:
    """Run the calls of an errand, one after another. Raises nothing that they raise."""
    onlooker = onlookers.get(errand.engine) if errand.pid == os.getpid() else None
    if onlooker is None and threading.current_thread() is threading.main_thread():
        # The Stop button of a notebook reaches all processes of its group: a pool that loses one is broken.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        function = _function_of(errand)
    except BaseException as error:
        n = len(errand.payloads)
        record = Record.alike(
            errand.batch, errand.first, n, FAILURE_CODE, failures.pack(error), _name(onlooker), errand.attempt
        )
        return Answer(record, [(errand.first, n)])
    if function is None:
        return Answer(lacks_function=True)
    shelf = PieceShelf(errand.pieces)
    try:
        with divided():
            return _Run(errand, function, onlooker, shelf).answer()
    finally:
        shelf.close()


def run_here(errand: Errand, function: Function) -> Answer:
    """Run the calls of an errand with a function that is here, in this thread; what they print is printed here."""
    shelf = PieceShelf(errand.pieces)
    try:
        return _Run(errand, function, None, shelf, is_eager=True).answer()
    finally:
        shelf.close()


def _function_of(errand: Errand) -> Function | None:
    with _lock:
        found = _functions.get(errand.function)
        if found is None and errand.packed:
            call, options, lines = pickling.load_plain(errand.packed)
            show_unless_known(lines)
            found = _functions[errand.function] = Function(errand.function, (call, options))
            if len(_functions) > _MOST_FUNCTIONS:
                _functions.popitem(last=False)
        return found


def _name(onlooker: Onlooker | None) -> str:
    if onlooker is not None:
        return threading.current_thread().name
    return f"{socket.gethostname()}-{os.getpid()}"


class _Run:
    """One errand on its way to an answer."""

    def __init__(
        self,
        errand: Errand,
        function: Function,
        onlooker: Onlooker | None,
        shelf: Shelf,
        is_eager: bool = False,
    ) -> None:
        self._is_eager = is_eager
        n = len(errand.payloads)
        self._errand = errand
        self._function = function
        self._onlooker = onlooker
        self._shelf = shelf
        self._ended: list[int] = []
        self._again: list[Retried] = []
        self._changed: dict[int, bytes] = {}
        self._states, self._seconds, self._began = bytearray(n), [0.0] * n, [math.nan] * n
        self._payloads: list[bytes] = [b""] * n
        self._given: dict[int, CallOutput] = {}
        self._worker = _name(onlooker)

    def answer(self) -> Answer:
        """Run its calls."""
        errand = self._errand
        for place in range(len(errand.payloads)):
            self._run(place)
        told_at = time.time()
        record = Record(
            errand.batch, errand.first, bytes(self._states), self._seconds, self._payloads, self._worker,
            errand.attempt, self._given, told_at=told_at,
            begun=[began - told_at for began in self._began],
        )  # fmt: skip
        return Answer(record if self._ended else None, list(runs(self._ended)), self._again, self._changed)

    def _run(self, place: int) -> None:
        errand, onlooker = self._errand, self._onlooker
        index = errand.first + place
        call = CurrentCall(
            errand.header.task_id or call_id(errand.batch, index, 1 if errand.single else None),
            errand.batch, index, errand.name, errand.attempt, self._worker, errand.queue, self._is_eager,
            sent=errand,
        )  # fmt: skip
        call.output = paper = Paper()
        if onlooker is not None:
            if not onlooker.begins(call):
                return
            call.report = onlooker.reports
        self._began[place] = began_at = time.time()
        outcome, lent = self._outcome(place, call)
        if outcome.state == RETRY_CODE:
            outcome = self._with_changes(index, outcome)
        if outcome.state == RETRY_CODE:
            assert outcome.error is not None
            reason, ago_s = why_again(outcome.error), time.time() - began_at
            self._again.append(
                Retried(index, outcome.retry_in, reason, errand.attempt, ago_s, outcome.seconds)
            )
            self._states[place] = PENDING_CODE
        else:
            self._states[place], self._payloads[place] = self._packed(call, outcome)
            self._seconds[place] = outcome.seconds
            self._ended.append(index)
        if any(paper.printed):
            self._given[index] = CallOutput(paper.kept(), list(paper.printed))
        if Signal.is_of_calls and call.function is not None:
            tell_end(call, self._function.options, outcome, call.args, call.kwargs)
        call.args, call.kwargs = (), {}
        if lent is not None:
            self._function.take_back(lent)
        if onlooker is not None:
            onlooker.ended(call)

    def _outcome(self, place: int, call: CurrentCall) -> tuple[Outcome, Lent | None]:
        lent: Lent | None = None
        try:
            lent = self._function.lend(call)
            args, kwargs = value_of(self._errand.payloads[place], self._shelf)
            options = with_overrides(lent.options, self._errand.header.overrides)
            return run_once(lent.call, args, kwargs, call, options), lent
        except BaseException as error:
            # Arguments are read by code of the user's, too.
            return Outcome(FAILURE_CODE, error=error), lent

    def _with_changes(self, index: int, outcome: Outcome) -> Outcome:
        """Note the arguments of the next attempt, where the task has given it others."""
        changes = getattr(outcome.error, "changes", None) if is_kind(outcome.error, Retry) else None
        if type(changes) is RetryChanges and changes.call is not None:
            try:
                self._changed[index], _ = payload_of(
                    changes.call, ARGUMENT_LIMIT_BYTES, _inline, lambda: False
                )
            except WireError as error:
                problem = NotPicklable(f"self.retry(): the new arguments: {error}")
                return Outcome(FAILURE_CODE, None, outcome.seconds, problem)
        return outcome

    def _packed(self, call: CurrentCall, outcome: Outcome) -> tuple[int, bytes]:
        if outcome.error is not None:
            return outcome.state, failures.pack(outcome.error)
        try:
            limit = self._errand.result_limit
            payload, _ = payload_of(outcome.value, limit, _inline, lambda: False, _readable.check)
            return SUCCESS_CODE, payload
        except BaseException as error:
            problem = why_unsent(outcome.value, error, call.id)
        outcome.fail(problem)
        return FAILURE_CODE, failures.pack(problem, with_traceback=False)
