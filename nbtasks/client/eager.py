"""A call that is run here, by the way a worker does it: pickled, unpickled, run, packed; and its result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from nbtasks.core import awaited
from nbtasks.core import states as st
from nbtasks.core.awaited import Places
from nbtasks.core.callsignals import tell_end
from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import NotPicklable, origin_of
from nbtasks.core.execution import run_once
from nbtasks.core.ids import new_id
from nbtasks.core.outcome import Outcome
from nbtasks.core.retrychanges import RetryChanges
from nbtasks.core.signal import Signal
from nbtasks.core.typevars import R
from nbtasks.wire import pickling
from nbtasks.wire.errors import failures
from nbtasks.wire.kinds import classes, generators
from nbtasks.wire.kinds.opening import Opening, opened_in

from .border import at_border
from .definition import Definition
from .handlewords import CeleryWords, stopping, tell_value, told_meanwhile

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks.core.durations import Duration


class EagerResult(CeleryWords, Generic[R]):
    """The result of :meth:`Task.apply`: a call that ran here and is over. Has the surface of AsyncResult.

    Args:
        outcome: returns the value, or the exception; another object each time, as a result never changes.
    """

    def __init__(
        self,
        id: str,
        name: str,
        state: str,
        outcome: Callable[[], Any],
        traceback: str | None,
        seconds: float,
    ) -> None:
        self.id = self.task_id = id
        self.name = name
        self.state = self.status = state
        self._outcome = outcome
        self.traceback = traceback
        self.runtime = seconds
        #: What it came after in a composition; None for what began it.
        self.parent: Any = None
        self.args: tuple[Any, ...] | None = None
        self.kwargs: dict[str, Any] | None = None
        self.retries, self.worker, self.queue = 0, "here", ""
        self.date_done: datetime | None = datetime.now(timezone.utc)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<EagerResult {self.id} {self.name} {self.state}>"

    @property
    def result(self) -> Any:
        """The value, or the exception."""
        return self._outcome()

    info = result

    @overload
    def get(
        self,
        timeout: Duration | None = None,
        propagate: Literal[True] = True,
        *,
        progress: bool = False,
        **words: Any,
    ) -> R: ...

    @overload
    def get(
        self, timeout: Duration | None, propagate: bool, *, progress: bool = False, **words: Any
    ) -> R | BaseException: ...

    @overload
    def get(
        self, timeout: Duration | None = None, *, propagate: bool, progress: bool = False, **words: Any
    ) -> R | BaseException: ...

    @at_border
    def get(
        self, timeout: Duration | None = None, propagate: bool = True, *, progress: bool = False, **words: Any
    ) -> R | BaseException:
        """Return the value, or raise what the task raised."""
        outcome = self._outcome()
        if propagate and isinstance(outcome, BaseException) and not self.successful():
            raise origin_of(outcome)
        if words:
            told_meanwhile(self, 0.0, words)
            tell_value(words, self.id, outcome)
        return outcome  # type: ignore[no-any-return]

    wait = get

    def until_ready(self, timeout: Duration | None = None) -> bool:
        """Return True."""
        return True

    def ready(self) -> bool:
        """Return True."""
        return True

    def successful(self) -> bool:
        """Whether it has a result."""
        return self.state == st.SUCCESS

    def failed(self) -> bool:
        """Whether it raised."""
        return self.state == st.FAILURE

    def why_pending(self) -> str | None:
        """Return None: it does not wait."""
        return None

    def then(
        self, callback: Callable[[Self], object], on_error: Callable[[Self], object] | None = None
    ) -> Self:
        """Call ``callback(self)`` at once when it has a result, else ``on_error(self)``."""
        if self.successful():
            callback(self)
        elif on_error is not None:
            on_error(self)
        return self

    def __await__(self) -> Generator[Any, None, R]:
        yield from ()
        return self.get()

    def revoke(self, terminate: bool = False, **words: Any) -> None:
        """Do nothing but check what is asked for: it is over."""
        stopping(terminate, words)

    def forget(self) -> None:
        """Do nothing: nothing is stored."""


def apply_here(
    task: Definition, args: tuple[Any, ...], kwargs: dict[str, Any], *, copied: bool = True
) -> EagerResult:
    """Run a call with its retries, without waiting between them.

    Args:
        copied: each attempt has its own copy of what the task captures, as on a worker: nothing here is changed by it.
    """
    task.check(args, kwargs)
    packed = [pickling.dump_function(one) for one in (task.function, task.options)] if copied else []
    places = Places()
    with generators.given(), awaited.noted(places):
        sent = b"".join(pickling.dumps((args, kwargs)))
    values = [handle.get() for handle in places.handles]
    call = CurrentCall(id=new_id(), name=task.name, is_eager=True)
    while True:
        opening = Opening()
        with opened_in(opening), generators.seeded_here(task.options.seed):
            function_here, options_here = (
                map(pickling.loads, packed) if copied else (task.function, task.options)
            )
            with awaited.filled(values):
                args_here, kwargs_here = pickling.loads(sent)
            opening.is_reading = False
            outcome = run_once(function_here, args_here, kwargs_here, call, options_here)
            if Signal.is_of_calls:
                tell_end(call, options_here, outcome, args_here, kwargs_here)
        if outcome.state != st.RETRY_CODE:
            ended = _packed(task, call, outcome)
            ended.args, ended.kwargs, ended.retries = args, kwargs, call.retries
            ended.queue = task.options.queue
            return ended
        changes = getattr(outcome.error, "changes", None)
        if type(changes) is RetryChanges and changes.call is not None:
            try:
                with generators.given():
                    sent = b"".join(pickling.dumps(changes.call))
            except NotPicklable as error:
                return _packed(task, call, Outcome(st.FAILURE_CODE, None, outcome.seconds, error))
        call.attempt += 1
        call.again = call.own_state = None


def _packed(task: Definition, call: CurrentCall, outcome: Outcome) -> EagerResult:
    state = st.NAMES[outcome.state]
    if outcome.error is not None:
        packed = failures.unpack(failures.pack(outcome.error))
        error = _as_known_here(outcome.error, packed, call.id)
        return EagerResult(call.id, task.name, state, lambda: error, packed.text, outcome.seconds)
    data = b"".join(pickling.dumps(outcome.value))
    # What cannot be read is an error now, not when somebody asks for it.
    pickling.loads(data)
    return EagerResult(call.id, task.name, state, lambda: pickling.loads(data), None, outcome.seconds)


def _as_known_here(error: BaseException, packed: failures.FailureData, call_id: str) -> BaseException:
    """Return an exception of the class that this process has, where the task had a copy of that."""
    if packed.pickled is None or not classes.are_in(packed.pickled):
        return error
    known = failures.rebuild(packed, call_id)
    with contextlib.suppress(Exception):
        # Frames that a debugger can look into.
        known.__traceback__ = error.__traceback__
    return known
