"""Waiting for a batch; inside a task it keeps its slot, and is refused where that slot is the last free one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nbtasks.core.backoff import Backoff
from nbtasks.core.context import being_run, runs_call, serving
from nbtasks.core.errors import WouldDeadlock

from . import observers
from .border import as_own
from .workerinfo import WorkerInfo

if TYPE_CHECKING:
    from .batches.ledger import Ledger

#: Seconds between two looks at the other slots, and how many looks in a row must find none that works.
_LOOK_EVERY_S = 1.0
_LOOKS = 2
#: Seconds between two words to those who want to know that somebody waits.
_TELL_EVERY_S = 0.5
_BETWEEN_TICKS = Backoff(0.002, 0.05, factor=1.5)


#: Somebody who waits -> what they wait for.
_awaited: dict[object, Ledger] = {}


@contextlib.contextmanager
def noted(batch: Ledger) -> Iterator[None]:
    """Somebody waits for a batch meanwhile."""
    waiter = object()
    _awaited[waiter] = batch
    try:
        yield
    finally:
        _awaited.pop(waiter, None)


def is_awaited(batch: Ledger) -> bool:
    """Whether a thread or a coroutine waits for a batch, or something is to be called at its end."""
    return any(one is batch for one in list(_awaited.values())) or batch.watchers.somebody_waits


def wait(batch: Ledger, ready: Callable[[], bool], timeout: float | None) -> bool:
    """Wait until ``ready()``, at most ``timeout`` seconds; returns whether it is.

    Raises:
        WouldDeadlock: in a task, when every slot that could run the batch waits; in a module that is imported there.
    """
    # Not by noted(), which takes longer than a short call does.
    waiter = object()
    _awaited[waiter] = batch
    try:
        return _wait(batch, ready, timeout)
    finally:
        _awaited.pop(waiter, None)


def _wait(batch: Ledger, ready: Callable[[], bool], timeout: float | None) -> bool:
    if serving and being_run and not ready():
        raise _would_wait_for_itself(being_run[0])
    if not serving or not runs_call():
        if observers.wait_is_watched():
            return _wait_in_steps(batch, ready, timeout, _TELL_EVERY_S, lambda: observers.waiting(batch))
        return batch.wait_for(ready, timeout)
    if _is_alone(batch) and not ready():
        raise _would_deadlock(batch)
    slot = serving[0].slot
    slot.set_waiting(True)
    try:
        return _wait_and_look(batch, ready, timeout)
    finally:
        slot.set_waiting(False)


def _wait_and_look(batch: Ledger, ready: Callable[[], bool], timeout: float | None) -> bool:
    stuck = 0

    def look() -> None:
        nonlocal stuck
        # Others may have begun to wait since: one look may be out of date, two in a row are not.
        stuck = stuck + 1 if _free_slots(batch) <= 0 and not batch.running else 0
        if stuck >= _LOOKS:
            raise _would_deadlock(batch)

    return _wait_in_steps(batch, ready, timeout, _LOOK_EVERY_S, look)


def _wait_in_steps(
    batch: Ledger,
    ready: Callable[[], bool],
    timeout: float | None,
    step_s: float,
    between: Callable[[], None],
) -> bool:
    """Wait, and call ``between()`` each time that so many seconds have gone by."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = step_s if deadline is None else min(step_s, deadline - time.monotonic())
        if batch.wait_for(ready, max(0.0, left)):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False
        between()


def _is_alone(batch: Ledger) -> bool:
    """Whether this slot is the only one that could run the batch. How many wait, the first look cannot tell."""
    usable = _usable(batch)
    return sum(worker.slots_total for worker in usable) == 1 and usable[0].id == serving[0].worker


def _usable(batch: Ledger) -> list[WorkerInfo]:
    return batch.engine.taking(batch.queue)


def _free_slots(batch: Ledger) -> int:
    """Return how many slots could run the batch while this one waits; one where no worker is known."""
    me, usable = serving[0].worker, _usable(batch)
    if not usable:
        return 1
    total = sum(worker.slots_total for worker in usable)
    waiting = sum(worker.slots_waiting for worker in usable)
    own = next((worker for worker in usable if worker.id == me), None)
    if own is None:
        return total - waiting
    # Its news is some seconds old: whether this slot is among those that wait there, nobody knows. It counts once.
    return total - 1 - max(0, waiting - min(1, own.slots_waiting))


def _would_deadlock(batch: Ledger) -> WouldDeadlock:
    return WouldDeadlock(
        f"get() inside a task keeps its slot, and no other slot of queue {batch.queue!r} is left: the call that it "
        "waits for would never start. Start more workers, send one of the two tasks to another queue, or return the "
        "handle's id and get() outside"
    )


def _would_wait_for_itself(module: str) -> WouldDeadlock:
    return WouldDeadlock(
        f"module {module!r} waits for a result while a worker imports it, to run a task with it: it would wait for "
        "itself. Put what submits and waits into a function, or under `if __name__ == '__main__':`"
    )


def saying(stopped: asyncio.CancelledError, goes_on: str) -> asyncio.CancelledError:
    """Return what ends an ``await`` that was stopped, with a word on what it has waited for."""
    if not stopped.args:
        stopped.args = (f"stopped waiting; {goes_on}",)
    return as_own(stopped).with_traceback(None)


async def wait_async(batch: Ledger, ready: Callable[[], bool]) -> None:
    """Wait in an event loop. Ticks, because a sleeping loop does not notice the Stop button."""
    ticks = 0
    with noted(batch):
        while not ready():
            ticks += 1
            await asyncio.sleep(_BETWEEN_TICKS.after(ticks))
