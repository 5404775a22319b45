"""Why does a call wait? One sentence, with what to do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtasks.client.batches import ratelimits
from nbtasks.client.batches.notyet import (
    said_of_eta,
    said_of_moment,
    said_of_next_try,
    said_of_stand_ins,
    said_of_steps,
    step_before,
)
from nbtasks.client.workerinfo import WorkerInfo
from nbtasks.core.address import PYTHON
from nbtasks.core.errors import BrokerUnavailable, OperationalError
from nbtasks.core.lanenames import LANES
from nbtasks.core.workersheet import ALONE, NO_ROOM

from .ahead import Precedence, said_of, said_of_running

if TYPE_CHECKING:
    from nbtasks.broker.verbs.brokerline import BrokerLine
    from nbtasks.broker.verbs.brokerqueues import Queues
    from nbtasks.broker.verbs.permits import Limited, Permits
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.registry import Registry

    from .lockreasons import LockReasons
    from .roster import WorkerRoster
    from .sending.outbox import Outbox

#: A moment that is nearer is told in seconds.
_SOON_S = 60.0


class Reasons:
    """Says why calls of a session wait.

    Attributes:
        given_up: returns why local workers of a queue are not started any more, None where they are.
    """

    def __init__(
        self,
        line: BrokerLine,
        queues: Queues,
        permits: Permits,
        roster: WorkerRoster,
        registry: Registry,
        outbox: Outbox,
        precedence: Precedence,
        locks: LockReasons,
    ) -> None:
        self.given_up: Callable[[str], str | None] = lambda _: None
        self._line = line
        self._queues = queues
        self._permits = permits
        self._roster = roster
        self._registry = registry
        self._outbox = outbox
        self._precedence = precedence
        self._locks = locks

    def why_pending(self, batch: Ledger, index: int | None = None) -> str | None:
        """Say why a batch waits, or one call of it; None where calls are running or about to."""
        if self._outbox.problem is not None:
            return str(self._outbox.problem)
        try:
            reason = self._line.write_problem() or self._reason(batch, index)
            # Whatever else it waits for: who could help cannot come.
            problem = self._line.entry_problem() or self._trouble(batch)
            return f"{reason}; besides, {problem}" if reason and problem else reason or problem
        except BrokerUnavailable as error:
            return str(error)
        except OperationalError:
            return None

    def _trouble(self, batch: Ledger) -> str | None:
        """Return what keeps workers of a batch from going on, as they say themselves."""
        troubled = [worker for worker in self._roster.taking(batch.queue) if worker.troubles]
        alive = self._roster.alive(troubled) if troubled else set()
        told = [worker for worker in troubled if worker.id in alive]
        return _said_of_trouble(told[0].name, told[0].troubles) if told else None

    def _reason(self, batch: Ledger, index: int | None) -> str | None:
        if (waits := self._step_before(batch, index)) is not None:
            return waits
        if (placed := said_of_stand_ins(batch, index)) is not None:
            return placed
        limited = self._limited(batch)
        if (later := said_of_eta(batch)) is not None:
            return later
        if batch.parcel is None:
            self._roster.show_running(batch)
        running = self._roster.running(batch)
        if index not in running and (held_up := self._held_up(batch, index, limited)) is not None:
            return held_up
        return None if running else said_of_next_try(batch) or self._reason_at_workers(batch)

    def _held_up(self, batch: Ledger, index: int | None, limited: tuple[Limited, int] | None) -> str | None:
        """Return which rate limit, or which lock, calls wait for."""
        if limited is None:
            return self._locks.of(batch, index)
        if not limited[0].lock:
            return _limited(batch, *limited)
        # Of a call that was submitted here it is known which locks it needs, so its place in the line can be told.
        return self._locks.of(batch, index) or self._locks.of_found(limited[0])

    def _step_before(self, batch: Ledger, index: int | None) -> str | None:
        """Return which step of its workflow a batch waits for, and why that one waits."""
        before = step_before(batch, index)
        if before is None:
            return None
        reason = None if before.running else self._reason(before, None)
        return said_of_steps(batch) + (f"; {before.title}: {reason}" if reason else "")

    def _limited(self, batch: Ledger) -> tuple[Limited, int] | None:
        """Return the rate limit that a batch waits for, and how many calls of this process do."""
        # Also where its task has none: a limit may have been set while workers run.
        limited = self._permits.limited(self._roster.address(batch.queue), batch.id)
        if limited is None:
            return None
        alike = [one for one in self._registry.all_unfinished() if ratelimits.share_limit(one, batch)]
        waiting = sum(one.sent_count - one.finished_count - len(one.running) for one in alike)
        return limited, max(1, waiting)

    def _reason_at_workers(self, batch: Ledger) -> str | None:
        """Return why no worker runs a call that may start."""
        listening = [worker for worker in self._roster.workers() if batch.queue in worker.queues]
        usable = [worker for worker in listening if worker.matches]
        alive = self._roster.alive(usable)
        given_up = self.given_up(batch.queue)
        if given_up is not None and not alive:
            return (
                f"the local workers of queue {batch.queue!r} were given up: {given_up}. See why in their log, "
                f"app.local_workers.log_tail(); then start them anew: {_start(batch.queue)}"
            )
        if not usable:
            return _nobody_fits(listening) if listening else _nobody(batch.queue)
        if not alive:
            return _silent(usable)
        at_work = [worker for worker in usable if worker.id in alive]
        return self._busy(at_work, batch) or _refused(batch)

    def _busy(self, workers: list[WorkerInfo], batch: Ledger) -> str | None:
        total = sum(worker.slots_total for worker in workers)
        running_on = Counter(
            item.worker for one in self._registry.all_unfinished() for item in one.running.copy().values()
        )
        # A worker's own word is some seconds old.
        busy = (max(worker.slots_busy, running_on.get(worker.name, 0)) for worker in workers)
        if sum(busy) < total:
            return None
        slots = "the only slot is busy" if total == 1 else f"all {total} slots are busy"
        runs = self._precedence.of(batch, workers, total)
        entries = self._ahead(batch)
        if not entries:
            return f"{slots}{said_of_running(runs)}, it is next; more workers would take it now"
        if any(run.waiting for run in runs):
            return f"{slots}, {said_of(runs)}; wait, or start more workers"
        have = "entry of the queue is" if entries == 1 else "entries of the queue are"
        return f"{slots}, {entries:,} {have} ahead; wait, or start more workers"

    def _ahead(self, batch: Ledger) -> int:
        """Return about how many entries are taken before the next one of a batch."""
        sent = batch.parcel.sent if batch.parcel is not None else []
        lane = sent[0].lane if sent else "m"
        before = LANES[: LANES.index(lane) + 1]
        own = [item for item in sent if not any(batch.states[item.first : item.first + item.count])]
        return max(0, self._queues.waiting(self._roster.address(batch.queue), before) - max(1, len(own)))


def _start(queue: str) -> str:
    return "%workers start" if queue == "default" else f"%workers start -q {queue}"


def _limited(batch: Ledger, limited: Limited, waiting: int) -> str:
    soon = limited.next_s < _SOON_S
    when = f"in {limited.next_s:.1f} s" if soon else f"at {said_of_moment(time.time() + limited.next_s)}"
    return (
        f"rate-limited to {limited.rate} (task {batch.name}), over all workers: the next call may start {when}, "
        f"{'1 call waits' if waiting == 1 else f'about {waiting:,} calls wait'}; "
        "wait, or give the task another rate_limit and submit anew"
    )


def _nobody(queue: str) -> str:
    return f"no worker listens on queue {queue!r}: {_start(queue)}"


def _nobody_fits(others: list[WorkerInfo]) -> str:
    """Workers listen there, and none of them can read the call."""
    queue = others[0].queues[0] if len(others[0].queues) == 1 else ""
    problems = "; ".join(sorted({worker.problem or "" for worker in others}))
    step = f"{_start(queue or 'default')} starts one here, with Python {PYTHON} and this key"
    return f"no worker that fits listens: {problems}. {step}"


def _silent(workers: list[WorkerInfo]) -> str:
    """Workers were there, and their leases have ended."""
    last = max(workers, key=lambda worker: worker.seen_at)
    since = max(0.0, time.time() - last.seen_at)
    return (
        f"worker {last.name} has not been heard of for {since:.0f} s, and no other one listens on its queue; "
        f"look at its machine ({last.host}), or start another: {_start(last.queues[0])}"
    )


def _said_of_trouble(worker: str, troubles: Sequence[str]) -> str | None:
    if NO_ROOM in troubles:
        return (
            f"worker {worker} cannot tell how its calls have ended, for the broker has no room for that: make room on "
            "its disk or in its memory, or forget() old results; the worker tries again all the time"
        )
    if ALONE in troubles:
        return (
            f"worker {worker} reaches the broker, and some of its processes do not; its log says why. Where the server "
            "serves as many clients as it may, end what keeps connections open, or raise its limit (max_connections)"
        )
    return None


def _refused(batch: Ledger) -> str | None:
    if batch.refusal is None:
        return None
    step = (
        "it was sent again"
        if batch.parcel is not None and batch.parcel.sent
        else "only who has submitted it can send it again: submit the call anew"
    )
    return f"a worker has refused it: {batch.refusal}; {step}"
