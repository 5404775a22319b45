"""Calls that must not run twice, of which the server no longer knows whether they were taken before.

A server that was restored to an older state, or whose groups somebody has removed, gives out again what workers have
taken. Such a call is not started. It has some time to end by itself, for perhaps it runs; then it has failed.
"""

from __future__ import annotations

from collections.abc import Callable

from nbtasks.broker.runners import Runners
from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.broker.verbs.entry import SETTLED, Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.fleet import Fleet
from nbtasks.core import attempts
from nbtasks.core.errors import WorkerLostError
from nbtasks.core.ids import call_id
from nbtasks.core.ranges import runs
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.noting import Noting
from nbtasks.wire.record import Record
from nbtasks.worker.log import LOGGER

from .revokedrunning import RevokedRunning
from .telling import tell

#: Longer than it takes a worker to show what it runs, and a client to tell again what it knows.
_GRACE_S = 5.0


class Doubts:
    """Sees to entries of calls that must not run twice, for one child.

    Args:
        server_now: the server's time in epoch seconds.
    """

    def __init__(
        self,
        delivery: Delivery,
        fleet: Fleet,
        revoked: RevokedRunning,
        codec: Codec,
        worker: str,
        server_now: Callable[[], float],
    ) -> None:
        self._delivery = delivery
        self._fleet = fleet
        self._revoked = revoked
        self._codec = codec
        self._noting = Noting(codec, worker, server_now)
        self._worker = worker
        self._server_now = server_now

    def settle(self, entry: Entry, chunk: Chunk) -> bool:
        """See to an entry whose calls may have begun; returns False where they have not: they are to be run."""
        if not self._delivery.may_have_begun(entry):
            return False
        final, revoked = self._revoked.among(entry.batch, entry.first, entry.count)
        left = [index for index in range(entry.first, entry.first + entry.count) if index not in final]
        if entry.doubt == SETTLED:
            runners = Runners(self._fleet)
            wait = [index for index in left if runners.run(entry.batch, index)]
        else:
            wait = left
        report = Finish()
        single = 1 if chunk.header.single else None
        for index in left:
            if index not in wait:
                self._end(report, entry, index, call_id(entry.batch, index, single), index in revoked)
        report.doubt(entry, round((self._server_now() + _GRACE_S) * 1000), runs(wait))
        tell(self._delivery, report)
        return True

    def _end(self, report: Finish, entry: Entry, index: int, name: str, revoked: bool) -> None:
        LOGGER.warning("call %s may have begun before the broker lost who took it; it is not started", name)
        error = WorkerLostError(
            f"the broker no longer knows who took call {name}, which may have been begun: it was started anew or "
            "restored to an older state, or its groups were removed. With acks_late=False it is not started again: "
            "see what it has done, then submit it anew",
            name,
        )
        payload = b"" if revoked else failures.pack(error, with_traceback=False)
        state = REVOKED_CODE if revoked else FAILURE_CODE
        tried = attempts.tries(entry.attempt)
        record = Record.alike(entry.batch, index, 1, state, payload, self._worker, tried)
        report.results(entry.batch, index, record.states, self._codec.seal_record(record, entry.key_id))
        report.happened(self._noting.end(record, entry.key_id), if_new=True)
