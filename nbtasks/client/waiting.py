"""Why does a call wait? One sentence, with what to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.keys import Keys
from nbtasks.core import states as st

from .fleet import WorkerInfo, read_workers

if TYPE_CHECKING:
    from nbtasks.broker.fleet import Fleet
    from nbtasks.broker.store import Store

    from .batch import Batch


def reason_for_waiting(batch: Batch, fleet: Fleet, store: Store, address: str) -> str | None:
    """Return the reason, or None when calls of the batch are running."""
    eta = batch.origin_info.eta_at
    if eta is not None and eta > time.time():
        return f"scheduled for {time.strftime('%H:%M:%S', time.localtime(eta))}"
    if batch.running:
        return None
    if batch.retrying and not batch.states.count(st.PENDING_CODE):
        return f"waits for its next attempt in {max(0.0, min(batch.retrying.values()) - time.time()):.0f} s"
    _, version, key_id = Keys.parts(address)
    listening = [worker for worker in read_workers(fleet, version, key_id) if batch.queue in worker.queues]
    usable = [worker for worker in listening if worker.matches]
    if not usable:
        return _nobody(batch.queue, listening)
    total = sum(worker.slots_total for worker in usable)
    busy = sum(worker.slots_busy for worker in usable)
    if busy >= total:
        return f"all {total} slots are busy, {store.queue_length(address, 'rhml')} entries in the queue"
    return None


def _nobody(queue: str, others: list[WorkerInfo]) -> str:
    if others:
        problems = sorted({worker.problem or "" for worker in others})
        return f"no worker that fits listens on queue {queue!r}: {'; '.join(problems)}"
    hint = "%workers start" if queue == "default" else f"%workers start -q {queue}"
    return f"no worker listens on queue {queue!r}: {hint}"
