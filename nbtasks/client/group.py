"""The handle of a map: many calls of one task, kept in arrays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, cast, overload

from nbtasks.core import states as st
from nbtasks.core.durations import Duration, patience
from nbtasks.core.errors import (
    SignatureMismatch,
    TaskRevokedError,
    TimeoutError,
    UnknownCall,
    ValueLost,
    origin_of,
)
from nbtasks.core.ids import split_call_id
from nbtasks.core.typevars import R
from nbtasks.wire.values import value_of

from . import current, linked, observers, waiting
from .batches.catchingup import caught_up
from .batches.course import course_of
from .batches.ledger import Ledger
from .batches.repairs import STRUCK
from .batches.shown import numbered_call
from .border import as_own, at_border, note
from .handle import Handle
from .handlewords import tell_value, told_meanwhile
from .onlooking import watched
from .recorded import recorded
from .result import AsyncResult

if TYPE_CHECKING:
    from typing_extensions import Self

    from .timeline.timeline import Timeline


class GroupResult(Handle["list[R]"], Generic[R]):
    """The future results of a map, each of type R, in the order of its items."""

    __stays_here__ = (
        "as an argument of a call its values are passed; else take these (result.get()) or its id"
    )

    def __init__(self, id: str, *, app: current.Provider | None = None) -> None:
        """Look a map up by its id, whoever submitted it.

        Args:
            app: whose broker is asked; the current App's if None.

        Raises:
            UnknownCall: nobody recorded it, its time is over, or it is the id of one call.
        """
        batch_id, index = split_call_id(id)
        batch = (app or current.current()).engine.adopt(batch_id)
        if batch.kind != "map" or index is not None:
            raise UnknownCall(f"{id!r} is no map: AsyncResult({id!r}) is the handle of one call")
        self.batch = batch

    @classmethod
    def of(cls, batch: Ledger) -> Self:
        """Return the handle of a map that is known."""
        handle = cls.__new__(cls)
        handle.batch = batch
        return handle

    @classmethod
    def restore(cls, id: str, *, app: current.Provider | None = None) -> Self:
        """Return the handle of a group by its id, as in Celery. A map need not have been saved before."""
        return cast("Self", linked.restore[0](cls, id, app))

    def save(self) -> Self:
        """Have it found by :meth:`restore`, for 30 days at least; a map is found anyway. Returns the handle."""
        return self

    def __repr__(self) -> str:
        if not hasattr(self, "batch"):
            # Shown in a traceback: there is no such call.
            return "<GroupResult of nothing>"
        counts = {name: count for name, count in self.batch.counts().items() if count}
        states = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        return f"<GroupResult {self.batch.id} {self.name}: {len(self):,} calls, {states or 'none yet'}>"

    @property
    def id(self) -> str:
        """Id of the batch. Any process finds it: this waits until the broker has it."""
        return recorded(self.batch).id

    def __len__(self) -> int:
        return self.batch.n

    @overload
    def __getitem__(self, index: int) -> AsyncResult[R]: ...

    @overload
    def __getitem__(self, index: slice) -> list[AsyncResult[R]]: ...

    def __getitem__(self, index: int | slice) -> AsyncResult[R] | list[AsyncResult[R]]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [AsyncResult.of(self.batch, place) for place in places]
        return AsyncResult.of(self.batch, places)

    def __iter__(self) -> Iterator[AsyncResult[R]]:
        for index in range(len(self)):
            yield AsyncResult.of(self.batch, index)

    @property
    def children(self) -> list[AsyncResult[R]]:
        """The handles of all calls."""
        return list(self)

    results = children

    # -- where it is

    @property
    def state(self) -> str:
        """The state of the whole: PENDING, STARTED, SUCCESS, FAILURE or REVOKED."""
        batch = caught_up(self.batch)
        if not batch.done:
            return st.STARTED if batch.finished_count or batch.running else st.PENDING
        if batch.failed_count or batch.problem:
            return st.FAILURE
        return st.REVOKED if batch.revoked_count else st.SUCCESS

    status = state

    def ready(self) -> bool:
        """Whether every call has ended."""
        return caught_up(self.batch).done

    def waiting(self) -> bool:
        """Whether some call has not ended."""
        return not self.batch.done

    def successful(self) -> bool:
        """Whether every call has ended with a result."""
        return self.batch.done and self.completed_count() == len(self)

    def failed(self) -> bool:
        """Whether some call has failed."""
        return self.batch.failed_count > 0

    def completed_count(self) -> int:
        """Return the number of calls that have ended with a result."""
        return self.batch.states.count(st.SUCCESS_CODE)

    def failed_count(self) -> int:
        """Return the number of calls that have failed."""
        return self.batch.failed_count

    def why_pending(self) -> str | None:
        """Say why calls wait, with what to do; None where none waits."""
        found = None if self.batch.done else self._relatives()
        before = None if found is None else found.why_waiting
        return before or self.batch.why_pending()

    # -- results

    @overload
    def get(
        self,
        timeout: Duration | None = None,
        propagate: Literal[True] = True,
        *,
        progress: bool = False,
        **words: Any,
    ) -> list[R]: ...

    @overload
    def get(
        self, timeout: Duration | None, propagate: bool, *, progress: bool = False, **words: Any
    ) -> list[R | BaseException]: ...

    @overload
    def get(
        self, timeout: Duration | None = None, *, propagate: bool, progress: bool = False, **words: Any
    ) -> list[R | BaseException]: ...

    @at_border
    def get(
        self, timeout: Duration | None = None, propagate: bool = True, *, progress: bool = False, **words: Any
    ) -> list[Any]:
        """Wait for all and return the values in order.

        Args:
            timeout: seconds to wait at most; the calls go on.
            propagate: False puts exceptions in the places of the calls that failed; True raises the first of them.
            progress: show meanwhile how far they are: their card in a notebook, a bar in a terminal.
            words: Celery's, as of :meth:`AsyncResult.get`; ``callback(id, value)`` hears of each call.

        Raises:
            TimeoutError: they have not all ended in time.
            ConfigError: their App was closed before they have ended.
            KeyboardInterrupt: Stop was pressed; the calls themselves go on.
            Exception: what the first failed call raised, with a note that counts the others.
        """
        most_s = told_meanwhile(self, patience(timeout), words) if words else patience(timeout)
        deadline = None if most_s is None else time.monotonic() + most_s
        while True:
            self._wait(most_s, None if deadline is None else max(0.0, deadline - time.monotonic()), progress)
            begun = self._repairs_begun()
            outcome = self._outcome(propagate)
            # Else calls were submitted again while their results were read.
            if begun == self._repairs_begun():
                break
        if isinstance(outcome, BaseException):
            raise origin_of(outcome)
        for place, value in enumerate(outcome) if words else ():
            tell_value(words, self.batch.call_id(place), value)
        return outcome

    join = wait = join_native = get

    def _wait(self, timeout: float | None, left: float | None, progress: bool) -> None:
        """Wait for the end, ``left`` seconds of ``timeout`` at most."""
        try:
            ended = self.until_ready(watched(self, left) if progress else left)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._goes_on()) from None
        if not ended:
            reason = self.why_pending()
            raise TimeoutError(
                f"{len(self) - self.batch.finished_count:,} of {len(self):,} calls of {self.name} "
                f"({self.batch.id}) have not ended after {timeout:g} s and go on{f': {reason}' if reason else ''}. "
                "Wait longer, or stop them with revoke(terminate=True)"
            )

    def _repairs_begun(self) -> int:
        repairs = self.batch.repairs
        return 0 if repairs is None else repairs.begun

    def _outcome(self, propagate: bool) -> list[Any] | BaseException:
        """Return the values, or what is to be raised in their place."""
        if self.batch.problem is not None:
            return self.batch.problem
        raises = propagate and self.batch.origin.on_error != "keep"
        error = self._first_error() if raises else None
        if error is not None:
            return error
        values = list(self._values(propagate))
        # Values may have gone since.
        error = self._first_error() if raises else None
        return values if error is None else error

    def _goes_on(self) -> str:
        return f"the calls of {self.name} ({self.batch.id}) go on; stop them with revoke(terminate=True)"

    def until_ready(self, timeout: Duration | None = None) -> bool:
        """Wait until all have ended; returns whether they have. Raises nothing of the tasks'."""
        most_s = patience(timeout)
        if not self.batch.done:
            waiting.wait(self.batch, self._is_settled, most_s)
        if not self.batch.done:
            self.batch.engine.check_open(self.batch.id)
            return False
        observers.waited(self.batch)
        return True

    @property
    def _place(self) -> int:
        return -1

    def _has_ended(self) -> bool:
        return self.batch.done

    def _values(self, propagate: bool) -> Iterator[Any]:
        batch, shelf = self.batch, self.batch.shelf
        for index, payload in enumerate(batch.payloads()):
            if batch.states[index] == st.SUCCESS_CODE and payload is not None:
                try:
                    value = value_of(payload, shelf)
                except ValueLost:
                    value = AsyncResult.of(batch, index).result
                except SignatureMismatch:
                    raise
                except (Exception, SystemExit):
                    # It cannot be read: the handle knows what to say.
                    handle = AsyncResult.of(batch, index)
                    value = handle.get(timeout=0) if propagate else handle.result
                yield value
            else:
                yield AsyncResult.of(batch, index).result

    def _first_error(self) -> BaseException | None:
        batch = self.batch
        bad = batch.failed_count + batch.revoked_count
        if not bad:
            return None
        for code in (st.FAILURE_CODE, st.REVOKED_CODE):
            index = batch.states.find(code)
            if index >= 0:
                break
        found = batch.record(index)
        if not batch.failed_count and found is not None and len(found[1]) == 0:
            return self._cancelled()
        error: BaseException = AsyncResult.of(batch, index).result
        note(error, f"nbtasks: {numbered_call(batch, index)}")
        if bad > 1:
            note(
                error,
                f"nbtasks: {bad:,} of {batch.n:,} calls did not succeed ({batch.failed_count:,} failed, "
                f"{batch.revoked_count:,} revoked); get(propagate=False) returns what there is",
            )
        return error

    def _cancelled(self) -> TaskRevokedError:
        batch = self.batch
        others = batch.n - batch.revoked_count
        kept = (
            f"{others:,} had ended before, get(propagate=False) returns what there is"
            if others
            else "none had ended"
        )
        return TaskRevokedError(
            f"{batch.revoked_count:,} of {batch.n:,} calls of {batch.name} ({batch.id}) were "
            f"{batch.revoked.how}; {kept}",
            batch.id,
        )

    def as_completed(self, timeout: Duration | None = None) -> Iterator[AsyncResult[R]]:
        """Yield handles as their calls end.

        Raises:
            ConfigError: ``timeout`` is no time.
            TimeoutError: not all have ended in time.
            Exception: why some were never submitted, or end unheard.
        """
        # Here, and not when the first one is asked for.
        return self._as_completed(patience(timeout))

    def _as_completed(self, timeout: float | None) -> Iterator[AsyncResult[R]]:
        __tracebackhide__ = True
        batch, given = self.batch, 0
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            while given < len(batch.order):
                index, given = batch.order[given], given + 1
                # What was submitted again comes when it ends again.
                if index != STRUCK:
                    yield AsyncResult.of(batch, index)
            if batch.done:
                if batch.problem is not None and not batch.all_ended:
                    raise batch.problem
                observers.waited(batch)
                return
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                more = self._wait_for_more(given, left)
            except KeyboardInterrupt:
                raise as_own(KeyboardInterrupt(self._goes_on())) from None
            if not more:
                raise as_own(
                    TimeoutError(
                        f"{batch.n - batch.finished_count:,} of {batch.n:,} calls of {self.name} have not ended after "
                        f"{timeout:g} s; they go on"
                    )
                )

    def _wait_for_more(self, given: int, left: float | None) -> bool:
        batch = self.batch
        more = waiting.wait(batch, lambda: self._is_settled() or len(batch.order) > given, left)
        if not batch.done and len(batch.order) <= given:
            self.batch.engine.check_open(self.batch.id)
        return more

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row a call.

        Its columns: id, args, state, result, error, worker, attempt (counted from 1; 0: not begun), started_at and
        ended_at (UTC) of the last attempt, queued_s (seconds before the first one began), seconds (that the last one
        ran), retries, reused_at (UTC: when an earlier run made the result, with ``memo=True``).

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd

        rows = []
        for handle in self:
            value = handle.result if handle.ready() else None
            ok = handle.successful()
            rows.append(
                {
                    "id": handle.id,
                    "args": handle.args_repr,
                    "state": handle.state,
                    "result": value if ok else None,
                    "error": None if ok or value is None else f"{type(value).__name__}: {value}",
                    "worker": handle.worker,
                    **self._times(handle.index),
                    "seconds": handle.runtime,
                    "retries": handle.retries,
                    "reused_at": handle.reused_at,
                }
            )
        frame = pd.DataFrame(rows)
        for name in ("started_at", "ended_at") if rows else ():
            frame[name] = pd.to_datetime(frame[name], unit="s", utc=True)
        if rows:
            frame["reused_at"] = pd.to_datetime(frame["reused_at"], utc=True)
        return frame

    def timeline(self) -> Timeline:
        """Return when each call ran, and on which child: shown at the end of a cell, ``save()`` writes it to a file."""
        from .timeline.timeline import Timeline

        return Timeline(self.batch)

    def _times(self, index: int) -> dict[str, Any]:
        course = course_of(self.batch, index)
        last = course.last
        return {
            "attempt": 0 if last is None else last.number,
            "started_at": None if last is None else last.began_at,
            "ended_at": None if last is None else last.ended_at,
            "queued_s": course.queued_s,
        }

    # -- acting

    def forget(self) -> None:
        """Drop the results from the broker."""
        self.batch.forget()

    @at_border
    def retry_failed(self) -> Self:
        """Submit the calls again that failed or were revoked; this handle then has their results among the others.

        The function goes along as it is now.

        Returns:
            the handle itself.

        Raises:
            ConfigError: none has failed, or another process has submitted them.
        """
        self.batch.retry_failed()
        return self
