"""Waiting inside a task: it keeps its slot. Refused where that slot is the last free one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbtasks.core.context import current_call, serving
from nbtasks.core.errors import WouldDeadlock

from .fleet import read_workers

if TYPE_CHECKING:
    from .batch import Batch
    from .session import Session


@contextlib.contextmanager
def blocked_call(session: Session, batch: Batch) -> Iterator[None]:
    """Mark the running call as waiting for ``batch``; does nothing outside a worker.

    Raises:
        WouldDeadlock: every slot that could run the batch would then wait.
    """
    if not serving or current_call() is None:
        yield
        return
    slot, worker = serving[0].slot, serving[0].worker
    _check(session, batch, worker)
    slot.set_waiting(True)
    try:
        yield
    finally:
        slot.set_waiting(False)


def _check(session: Session, batch: Batch, me: str) -> None:
    workers = read_workers(session.fleet, session.python, session.keyring.id)
    usable = [worker for worker in workers if worker.matches and batch.queue in worker.queues]
    total = sum(worker.slots_total for worker in usable)
    waiting = sum(worker.slots_waiting for worker in usable)
    mine = any(worker.id == me for worker in usable)
    if usable and total - waiting - int(mine) <= 0:
        raise WouldDeadlock(
            f"get() inside a task would keep the last free slot of queue {batch.queue!r} ({total} in all), "
            "and the call that it waits for would never start. Start more workers, send one of the two tasks "
            "to another queue, or return the handle's id and get() outside"
        )
