"""A future of concurrent.futures for a call that workers run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from typing import Any, TypeVar

from nbtasks.client import waiting
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.result import AsyncResult
from nbtasks.core.context import runs_call, serving
from nbtasks.core.errors import WorkerLostError
from nbtasks.core.states import REVOKED_CODE

R = TypeVar("R")


class BrokenCall(WorkerLostError, BrokenExecutor):
    """The process that ran the call died, as code for process pools expects it of a future."""


class TaskFuture(Future[R]):
    """The future of one call. :func:`concurrent.futures.wait` and ``asyncio.wrap_future`` take it as they take any."""

    def __init__(self) -> None:
        super().__init__()
        #: Its batch and its index there, from its submit to its end.
        self._place: tuple[Ledger, int] | None = None
        self._moving = threading.Lock()

    @property
    def task_id(self) -> str | None:
        """Id of the call, for ``app.AsyncResult``; None before it is submitted, and after its end."""
        place = self._place
        return None if place is None else place[0].call_id(place[1])

    def start(self, submit: Callable[[], AsyncResult[R]]) -> tuple[Ledger, int] | None:
        """Submit the call, unless it was cancelled; returns where it is then."""
        with self._moving:
            if self.cancelled():
                return None
            handle = submit()
            self._place = handle.batch, handle.index
            return self._place

    # -- what users do

    def cancel(self) -> bool:
        """Revoke the call; returns whether it does not run: one that a worker has begun goes on.

        This waits for the broker's answer.
        """
        with self._moving:
            place = self._place
            if place is None:
                return self._end_cancelled()
        if self.done() or self.running():
            return self.cancelled()
        handle: AsyncResult[R] = AsyncResult.of(*place)
        handle.revoke()
        if not handle.ready() or place[0].states[place[1]] != REVOKED_CODE:
            return False
        with self._moving:
            return self._end_cancelled()

    def result(self, timeout: float | None = None) -> R:
        """Return the call's value, or raise what it has raised, as :meth:`concurrent.futures.Future.result`."""
        self._keep_slot_in_mind(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call has raised, as :meth:`concurrent.futures.Future.exception`."""
        self._keep_slot_in_mind(timeout)
        return super().exception(timeout)

    def _keep_slot_in_mind(self, timeout: float | None) -> None:
        """In a task: wait as ``get()`` does, which is refused where nothing could run the call meanwhile."""
        place = self._place
        if place is not None and serving and runs_call():
            handle: AsyncResult[R] = AsyncResult.of(*place)
            waiting.wait(place[0], lambda: self.done() or handle.ready(), timeout)

    # -- what has become of the call

    def begin(self) -> None:
        """A worker has begun the call."""
        with self._moving:
            if not (self.done() or self.running()):
                self.set_running_or_notify_cancel()

    def settle(self) -> None:
        """The call has ended: take its outcome, and let go of everything else."""
        with self._moving:
            place, self._place = self._place, None
            if place is None or self.done():
                return
            handle: AsyncResult[R] = AsyncResult.of(*place)
            if place[0].states[place[1]] == REVOKED_CODE and self._end_cancelled():
                return
        # Callbacks run in these, and may ask this future.
        try:
            value: Any = handle.result
        except BaseException as error:
            # It cannot be read here.
            self.set_exception(error)
            return
        if handle.successful():
            self.set_result(value)
        elif type(value) is WorkerLostError:
            self.set_exception(BrokenCall(str(value), value.call_id))
        else:
            self.set_exception(value)

    def fail(self, error: BaseException) -> None:
        """The call was not submitted, or nobody will tell how it ends."""
        with self._moving:
            self._place = None
            if self.done():
                return
        self.set_exception(error)

    def _end_cancelled(self) -> bool:
        if self.cancelled():
            return True
        if not super().cancel():
            return False
        # Those who wait for several are told by this.
        self.set_running_or_notify_cancel()
        return True
