"""Takes what is final out of its queue, and does not wait for workers to do that: perhaps there are none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nbtasks.client.batches.ratelimits import may_be_aside
from nbtasks.core.errors import OperationalError

if TYPE_CHECKING:
    from nbtasks.broker.servertime import ServerClock
    from nbtasks.broker.verbs.brokerline import BrokerLine
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.client.batches.registry import Registry

    from .roster import WorkerRoster

#: Seconds that a caller may be kept waiting while a queue is looked through.
_WITHDRAW_S = 0.3


class Withdrawing:
    """Withdraws calls of a session's batches."""

    def __init__(
        self, line: BrokerLine, roster: WorkerRoster, clock: ServerClock, registry: Registry
    ) -> None:
        self._line = line
        self._roster = roster
        self._clock = clock
        self._registry = registry

    def withdraw(self, batch: Ledger) -> None:
        """Look through the queue of a batch; what takes longer is done in the background."""
        eta = batch.origin.eta_at
        due_at = eta
        if eta is None and may_be_aside(batch):
            # What a rate limit or a lock holds back comes again at any time from then on.
            due_at = batch.created_at
        since = (
            self._clock.server_moment(batch.created_at),
            None if due_at is None else self._clock.reckoned(due_at),
        )
        address = self._roster.address(batch.queue)
        withdrawal = self._line.withdrawal(address, batch.id, batch.n, since)
        with contextlib.suppress(OperationalError):
            if not withdrawal.run(_WITHDRAW_S):
                self._registry.in_background(withdrawal.run)
