"""Follow orders that change a worker, answer those that ask it something, and say how either went."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable
from typing import Any, Protocol

from nbtasks.core.errors import NbtasksError
from nbtasks.core.options import check_queue
from nbtasks.core.orders import (
    Ask,
    Autoscale,
    Command,
    LimitTask,
    Order,
    RenewChildren,
    Resize,
    Serve,
    Shutdown,
    StopCalls,
)
from nbtasks.core.rates import rate
from nbtasks.core.workeranswer import WorkerAnswer
from nbtasks.worker.log import LOGGER
from nbtasks.worker.noticeboard import Notice, NoticeBoard

from .autoscaling import Autoscaling
from .children import ROOM, Children
from .selfreport import SelfReport
from .servedqueues import ServedQueues

#: Bytes of one answer.
_MOST_BYTES = 1_000_000


class OrderRefused(NbtasksError):
    """An order makes no sense for this worker; the message says why."""


class WholeWorker(Protocol):
    """What orders ask of a worker beyond its parts."""

    def stop_calls(self, order: StopCalls) -> None:
        """Have calls stopped."""

    def dismiss(self, cold: bool) -> None:
        """End."""

    def note_queues(self) -> None:
        """There are addresses that are new."""

    def show(self) -> None:
        """There is something new to show of this worker."""

    def wake(self) -> None:
        """Have the main thread come to :meth:`Commands.do_what_waits`."""


class Commands:
    """What one worker does when it is told.

    Orders come on a thread of their own; what concerns children waits for the main thread, which alone may fork.

    Args:
        board: what stands there, children know.
        worker: the whole of it.
    """

    def __init__(
        self,
        children: Children,
        queues: ServedQueues,
        board: NoticeBoard,
        autoscaling: Autoscaling,
        report: SelfReport,
        worker: WholeWorker,
    ) -> None:
        self._children = children
        self._queues = queues
        self._board = board
        self._autoscaling = autoscaling
        self._report = report
        self._worker = worker
        self._limits: dict[str, dict[str, Any]] = {}
        #: How many children there will be when all orders are followed that have come.
        self._size = children.size
        self._put_off: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ways: dict[type[Any], Callable[[Any], Any]] = {
            Ask: lambda asked: report.answer(asked.what),
            Resize: self._resize,
            Autoscale: self._autoscale,
            RenewChildren: self._renew,
            Serve: self._serve,
            LimitTask: self.limit,
            StopCalls: self._stop,
            Shutdown: self._end,
        }

    def follow(self, order: Order, worker: str) -> WorkerAnswer:
        """Do what an order says; returns what is to be said of it."""
        try:
            value, failed = self._follow(order.what), False
        except NbtasksError as error:
            value, failed = str(error), True
        if len(json.dumps(value)) > _MOST_BYTES:
            value, failed = f"the answer has more than {_MOST_BYTES:,} bytes", True
        return WorkerAnswer(order.reply, worker, value, failed)

    def _follow(self, what: Command) -> Any:
        value = self._ways[type(what)](what)
        if not isinstance(what, (Ask, StopCalls)):
            LOGGER.info("order followed: %s", what)
        return value

    def take_over(self, known: list[LimitTask]) -> None:
        """Begin with limits that were set before."""
        for one in known:
            self.limit(one)

    def do_what_waits(self) -> None:
        """Do what was put off for the main thread."""
        changed = False
        while not self._put_off.empty():
            self._put_off.get()()
            changed = True
        if changed:
            self._worker.show()

    def autoscale_at(self, now: float) -> None:
        """Have one child more or less, where that is wanted (monotonic)."""
        if not self._autoscaling.most or self._children.ending is not None:
            return
        size = self._autoscaling.wanted(self._children.in_use(), now)
        if size != self._children.size:
            LOGGER.info("autoscale: %d children", size)
            self._children.resize(size)
            self._size = size
            self._worker.show()

    def _later(self, act: Callable[[], None]) -> None:
        self._put_off.put(act)
        self._worker.wake()

    # -- each kind

    def _stop(self, what: StopCalls) -> str:
        self._worker.stop_calls(what)
        return "revoked"

    def _end(self, what: Shutdown) -> str:
        self._worker.dismiss(what.cold)
        return "shutting down"

    def _resize(self, what: Resize) -> str:
        if self._autoscaling.most:
            raise OrderRefused("this worker scales itself (autoscale); set its bounds instead")
        size, most = self._size + what.more - what.fewer, self._children.most
        if size > most:
            raise OrderRefused(
                f"it has {self._size} children and can have {most}: what it was started with, and {ROOM} more; start "
                "it with more (-c), or with --autoscale MAX,MIN, or start another one"
            )
        if size < 1:
            raise OrderRefused(f"it has {self._size} children, and one stays; to end it say shutdown")
        self._size = size
        self._later(lambda: self._children.resize(size))
        return "pool will grow" if what.more >= what.fewer else "pool will shrink"

    def _autoscale(self, what: Autoscale) -> str:
        if what.most > self._children.most:
            raise OrderRefused(
                f"it can have {self._children.most} children at most: what it was started with, and {ROOM} more; start "
                f"it with --autoscale {what.most},{what.least}"
            )
        if what.most and not 1 <= what.least <= what.most:
            raise OrderRefused(
                f"autoscale {what.most},{what.least}: the first is the most, the second the least, 1 or more"
            )
        self._later(lambda: self._autoscaling.set(what.most, what.least))
        return f"autoscale now max={what.most} min={what.least}" if what.most else "autoscale off"

    def _renew(self, what: RenewChildren) -> str:
        self._later(self._children.renew)
        return "reload started"

    def _serve(self, what: Serve) -> str:
        name = check_queue(what.queue)
        if what.stop:
            if not self._queues.cancel(name):
                return f"not consuming from {name!r}"
        elif not self._queues.add(name):
            return f"already consuming from {name!r}"
        else:
            self._worker.note_queues()
        self._tell_children()
        self._later(self._turn_over)
        return f"no longer consuming from {name!r}" if what.stop else f"add consumer {name!r}"

    def _turn_over(self) -> None:
        self._children.pause(not self._queues.names)
        self._children.renew()

    def limit(self, what: LimitTask) -> str:
        """Have a task's calls limited in another way than it says itself."""
        limits = self._limits.setdefault(what.task, {})
        if what.rate is not None:
            limits["rate_limit"] = rate(what.rate or None)
        if what.hard_s is not None:
            limits["time_limit"] = what.hard_s or None
        if what.soft_s is not None:
            limits["soft_time_limit"] = what.soft_s or None
        self._tell_children()
        return "new rate limit set successfully" if what.rate is not None else "time limits set successfully"

    def _tell_children(self) -> None:
        queues = self._queues
        self._board.write(Notice(tuple(queues.addresses), queues.served, self._limits))
