"""The handle of one call."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from nbtasks.core import states as st
from nbtasks.core.durations import Duration, patience
from nbtasks.core.errors import (
    NotPicklable,
    SignatureMismatch,
    TaskRevokedError,
    TimeoutError,
    UnknownCall,
    ValueLost,
    origin_of,
)
from nbtasks.core.outputs import RichOutput, in_card
from nbtasks.core.progressbar import ProgressBar
from nbtasks.core.typevars import R
from nbtasks.wire.errors import failures
from nbtasks.wire.values import Original

from . import current, observers, waiting
from .batches.catchingup import caught_up, is_over
from .batches.course import ended_attempt
from .batches.ledger import Ledger
from .batches.lostvalues import without_value
from .batches.seen import name_of_state, own_meta
from .batches.shown import shown_value
from .border import at_border, note, unreadable
from .handle import Handle
from .handlewords import tell_value, told_meanwhile
from .lookup import looked_up
from .onlooking import watched
from .recorded import recorded

if TYPE_CHECKING:
    from typing_extensions import Self


class AsyncResult(Handle[R], Generic[R]):
    """The future result of one call, of type R. Made when somebody asks for it; the call is kept in its batch."""

    __stays_here__ = "as an argument of a call its value is passed; else take that (result.get()) or its id"

    def __init__(self, id: str, *, app: current.Provider | None = None) -> None:
        """Look a call up by its id, whoever submitted it.

        Args:
            app: whose broker is asked; the current App's if None.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
        """
        engine = (app or current.current()).engine
        batch, index = looked_up(engine, id)
        if index is None and batch.kind == "map":
            raise UnknownCall(
                f"{id!r} is the id of a map of {batch.n} calls: GroupResult({id!r}) is its handle, and the calls' ids "
                f"end in :0 to :{batch.n - 1}"
            )
        if (index or 0) >= batch.n:
            raise UnknownCall(f"batch {batch.id} has {batch.n} calls; there is no {id!r}")
        self._set(batch, index or 0)

    @classmethod
    def of(cls, batch: Ledger, index: int) -> Self:
        """Return the handle of a call whose batch is known."""
        handle = cls.__new__(cls)
        handle._set(batch, index)
        return handle

    def _set(self, batch: Ledger, index: int) -> None:
        self.batch = batch
        self.index = index
        self._original: Original | None = None

    def __repr__(self) -> str:
        if not hasattr(self, "batch"):
            # Shown in a traceback: there is no such call.
            return "<AsyncResult of nothing>"
        return f"<AsyncResult {self._id} {self.name} {self.state}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncResult) and other._id == self._id

    def __hash__(self) -> int:
        return hash(self._id)

    # -- what it is

    @property
    def id(self) -> str:
        """The call's id. Any process finds the call by it: in a burst of submits this waits until the broker has it."""
        return recorded(self.batch).call_id(self.index)

    task_id = id

    @property
    def _id(self) -> str:
        return self.batch.call_id(self.index)

    @property
    def queue(self) -> str:
        """The queue that the call was sent to."""
        return self.batch.queue

    @property
    def args(self) -> tuple[Any, ...] | None:
        """The positional arguments, where this process submitted the call."""
        parcel = self.batch.parcel
        return None if parcel is None else tuple(parcel.calls[self.index][0])

    @property
    def kwargs(self) -> dict[str, Any] | None:
        """The keyword arguments, where this process submitted the call."""
        parcel = self.batch.parcel
        return None if parcel is None else dict(parcel.calls[self.index][1])

    @property
    def args_repr(self) -> str:
        """The arguments in short."""
        return self.batch.call_label(self.index)

    # -- where it is

    @property
    def state(self) -> str:
        """PENDING, STARTED, RETRY, SUCCESS, FAILURE or REVOKED; while it runs a name that the task has given itself."""
        return name_of_state(caught_up(self.batch).states[self.index], self.batch.progress.get(self.index))

    status = state

    def ready(self) -> bool:
        """Whether the call has ended."""
        return is_over(caught_up(self.batch), self.index)

    def successful(self) -> bool:
        """Whether the call has ended with a result."""
        return caught_up(self.batch).states[self.index] == st.SUCCESS_CODE

    def failed(self) -> bool:
        """Whether the call has ended with an exception."""
        return caught_up(self.batch).states[self.index] == st.FAILURE_CODE

    @property
    def worker(self) -> str | None:
        """Name of the worker that ran it, or runs it."""
        found = self.batch.record(self.index)
        if found is not None:
            return found[0].worker or None
        running = self.batch.running.get(self.index)
        return running.worker if running else None

    @property
    def retries(self) -> int:
        """Attempts after the first."""
        found = self.batch.record(self.index)
        return max(0, found[0].attempt - 1) if found is not None else 0

    @property
    def runtime(self) -> float | None:
        """Seconds that the last attempt ran."""
        found = self.batch.record(self.index)
        return None if found is None else float(found[0].seconds[self.index - found[0].first])

    @property
    def date_done(self) -> datetime | None:
        """When the call ended (UTC); where nobody has noted that, when this process heard of it. None before that."""
        found = self.batch.record(self.index)
        moment = None if found is None else ended_attempt(self.batch, self.index, found[0]).ended_at
        return None if moment is None else datetime.fromtimestamp(moment, timezone.utc)

    @property
    def reused_at(self) -> datetime | None:
        """When an earlier run has made the result that was taken with ``memo=True`` (UTC); None where the call ran."""
        found = self.batch.record(self.index)
        moment = None if found is None else found[0].made_at(self.index)
        return None if moment is None else datetime.fromtimestamp(moment, timezone.utc)

    @property
    def progress(self) -> Any:
        """What the task has reported last: done, total, message; or None."""
        return self.batch.progress.get(self.index)

    def why_pending(self) -> str | None:
        """Say why the call waits, with what to do; None where it does not wait."""
        if self.ready() or self.batch.done:
            return None
        found = self._relatives()
        before = None if found is None else found.why_waiting
        return before or self.batch.engine.why_pending(self.batch, self.index)

    # -- its result

    @property
    def result(self) -> Any:
        """The value, or the exception; before the end what the task has given with its own state, or None.

        It never waits, and never raises the task's exception.

        A value that can be changed is another object each time: a result never changes.
        """
        try:
            return self._outcome()
        except NotPicklable as error:
            return error

    def _outcome(self) -> Any:
        """Return as :attr:`result`.

        Raises:
            NotPicklable: there is a value, and it cannot be read.
        """
        found = caught_up(self.batch).record(self.index)
        if found is None:
            return self.batch.problem or own_meta(self.batch.progress.get(self.index))
        if self.batch.states[self.index] == st.SUCCESS_CODE:
            return self._load(found[1])
        return self._error(found[1])

    info = result

    @property
    def preview(self) -> dict[str, str]:
        """How the value is shown: html, png (base64) or text; empty where that would take code of others than Python's.

        Where a card was to show it, the worker has made that.
        """
        made = self.rich_preview
        return {} if made is None else in_card(made)

    @property
    def rich_preview(self) -> RichOutput | None:
        """The value in the forms that a notebook knows, as the worker has made them; None where there are none."""
        return shown_value(self.batch, self.index)

    @property
    def outputs(self) -> list[RichOutput]:
        """What the call has displayed: tables, figures, texts, in their order; while it runs, what it has so far.

        Each has its forms by MIME type in ``data``, and is shown as it was there where it ends a cell.
        """
        found = self.batch.record(self.index)
        if found is None:
            return self.batch.output.displays.of(self.index)
        given = found[0].given.get(self.index)
        return [] if given is None else list(given.displays)

    @property
    def bars(self) -> list[ProgressBar]:
        """The bars of tqdm or rich.progress that the call has on show, or has left."""
        found = self.batch.record(self.index)
        if found is None:
            return list(self.batch.output.bars.get(self.index, ()))
        given = found[0].given.get(self.index)
        return [] if given is None else list(given.bars)

    @property
    def traceback(self) -> str | None:
        """The worker's traceback as text, where the call has failed."""
        found = self.batch.record(self.index)
        if found is None or self.batch.states[self.index] == st.SUCCESS_CODE:
            return None
        return failures.unpack(found[1]).text if len(found[1]) else None

    @property
    def stdout(self) -> str:
        """What the call printed, as far as it is kept (the beginning and the end)."""
        return self._output("o")

    @property
    def stderr(self) -> str:
        """What the call wrote to standard error, logging included."""
        return self._output("e")

    def _output(self, stream: str) -> str:
        found = self.batch.record(self.index)
        given = found[0].given.get(self.index) if found is not None else None
        return "" if given is None else "".join(text for name, text in given.parts if name == stream)

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
        """Wait for the end and return the value.

        Args:
            timeout: seconds to wait at most; the call itself goes on.
            propagate: False returns an exception instead of raising it.
            progress: show meanwhile how far it is: its card in a notebook, a bar in a terminal.
            words: Celery's: ``callback(id, value)``, ``on_message(dict)`` and ``on_interval()`` are called, with
                ``interval`` between the latter; others change nothing.

        Raises:
            TimeoutError: it has not ended in time.
            ConfigError: its App was closed before it has ended.
            KeyboardInterrupt: Stop was pressed; the call itself goes on.
            BaseException: what the task raised, with the worker's traceback; a TaskError in the place of what would
                end, or seem to stop, who waits: SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError.
            TaskRevokedError: it was revoked or has expired.
            NotPicklable: it has a value, and that cannot be read here.
        """
        timeout = patience(timeout)
        if words:
            timeout = told_meanwhile(self, timeout, words)
        while True:
            try:
                self._wait(timeout, progress=progress)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(self._goes_on()) from None
            value = self._outcome() if propagate else self.result
            successful = self.successful()
            # Else it was submitted again just now.
            if self.ready():
                break
        if not successful and propagate:
            raise origin_of(value)
        if words:
            tell_value(words, self._id, value)
        return value  # type: ignore[no-any-return]

    wait = get

    def _goes_on(self) -> str:
        return f"call {self._id} ({self.name}) goes on; stop it with revoke(terminate=True)"

    def until_ready(self, timeout: Duration | None = None) -> bool:
        """Wait for the end; returns whether it has come. Raises nothing of the task's."""
        most_s = patience(timeout)
        if self.ready():
            return True
        waiting.wait(self.batch, self._is_settled, most_s)
        ended = self.ready()
        if not ended:
            self.batch.engine.check_open(self._id)
        elif self.batch.done:
            observers.waited(self.batch)
        return ended

    @property
    def _place(self) -> int:
        return self.index

    def _has_ended(self) -> bool:
        return is_over(self.batch, self.index)

    def _wait(self, timeout: float | None, *, progress: bool) -> None:
        if not self.until_ready(watched(self, timeout) if progress else timeout):
            reason = self.why_pending()
            raise TimeoutError(
                f"call {self._id} ({self.name}) has not ended after {timeout:g} s and goes on; "
                f"it is {self.state}{f': {reason}' if reason else ''}. "
                "Wait longer, or stop it with revoke(terminate=True)"
            )

    def _load(self, payload: Any) -> Any:
        if self._original is None:
            self._original = Original(payload, self.batch.shelf)
        try:
            return self._original.copy()
        except ValueLost as error:
            self._original = None
            self.batch.lose(self.index, without_value(self.batch, self.index, error))
            found = self.batch.record(self.index)
            return self._error(found[1]) if found is not None else error
        except SignatureMismatch:
            raise
        except (Exception, SystemExit) as error:
            raise unreadable(self._id, self.name, error) from error

    def _error(self, payload: Any) -> BaseException:
        if len(payload) == 0:
            return TaskRevokedError(f"call {self._id} of {self.name} was {self.batch.revoked.how}", self._id)
        failure = failures.unpack(payload)
        error = failures.rebuild(failure, self._id)
        note(error, self._story())
        found = self._relatives()
        if found is not None:
            found.tell(error)
        if self.batch.states[self.index] == st.REVOKED_CODE and not isinstance(error, TaskRevokedError):
            return TaskRevokedError(str(error), self._id)
        return error

    def _story(self) -> str:
        found = self.batch.record(self.index)
        attempt = found[0].attempt if found else 1
        tries = f" (attempt {attempt})" if attempt > 1 else ""
        where = f" on {self.worker}" if self.worker else ""
        return f"nbtasks: call {self._id} of {self.name}{where}{tries}"

    # -- acting

    def forget(self) -> None:
        """Drop the result from the broker once the call has ended; handles that exist keep what they have.

        A call of a map is forgotten with the map: its result lies in one record with others. Calls of a loop may share
        a record, too: each is unknown once it is forgotten, and the last one takes the memory with it.
        """
        if self.batch.origin.single:
            self.batch.forget()
        elif self.batch.kind == "call":
            self.batch.engine.forget_call(self.batch, self.index)

    @at_border
    def retry(self) -> Self:
        """Submit the call again, which has failed or was revoked; this handle then tells what becomes of it.

        The function goes along as it is now.

        Returns:
            the handle itself.

        Raises:
            ConfigError: it has not failed, or another process has submitted it.
        """
        self.batch.retry_failed(self.index)
        return self
