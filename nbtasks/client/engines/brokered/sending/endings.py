"""Ends of calls that no worker tells: they were revoked, have expired, were refused or are lost."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.finish import Finish
from nbtasks.wire.codec import Codec
from nbtasks.wire.noting import Noting
from nbtasks.wire.record import Record
from nbtasks.wire.workflowrecord import WorkflowRecord
from nbtasks.wire.workflows.passingon import fallout

#: Records of one report.
_MOST_IN_REPORT = 1000


class Endings:
    """Reports to the broker what a worker would; the first end of a call is the one that counts."""

    def __init__(self, codec: Codec, line: BrokerLine, clock: ServerClock) -> None:
        self._codec = codec
        self._noting = Noting(codec, socket.gethostname(), clock.now)
        self._line = line
        self._store = line.store()

    def tell(self, batch_id: str, records: Iterable[Record]) -> None:
        """Tell the ends of calls of a batch.

        Raises:
            OperationalError: the broker does not answer, or does not take them.
        """
        self.tell_all(records)

    def tell_all(self, records: Iterable[Record]) -> None:
        """Tell the ends of calls of any batches; raises the same."""
        report, n = Finish(), 0
        for record in records:
            report.results(record.batch, record.first, record.states, self._codec.seal_record(record))
            report.happened(self._noting.end(record), if_new=True)
            n += 1
            if n == _MOST_IN_REPORT:
                self._store.finish(report)
                report, n = Finish(), 0
        if n:
            self._store.finish(report)

    def pass_on(self, workflow: WorkflowRecord) -> None:
        """Tell the ends of all calls of a workflow that cannot run any more, for something before them has failed.

        A worker does that as well, where there is one.

        Raises:
            OperationalError: as :meth:`tell`.
        """
        for record in fallout(workflow, self._codec, self._line.workflows()):
            self.tell_all([record])

    def tell_kept(self, batch_id: str, records: Iterable[Record], values: Iterable[str]) -> None:
        """Tell the ends of calls whose results an earlier run has left.

        Args:
            values: keys of the pieces of their large values.

        Raises:
            OperationalError: as :meth:`tell`.
        """
        report = Finish()
        for key in values:
            # Before the results, for with them the batch may be over.
            report.keep(batch_id, key)
        if report:
            self._store.finish(report)
        self.tell(batch_id, records)

    def tell_again(self, batch_id: str, record: Record, first: int, count: int) -> None:
        """Tell what a record says of ``count`` calls from ``first`` on, which the broker knew once."""
        states = record.states[first - record.first :][:count]
        report = Finish()
        report.results(batch_id, first, states, self._codec.seal_record(record))
        self._store.finish(report)

    def counted(self, batch_id: str) -> None:
        """Have the broker look whether a batch is over, whose number of calls it knows by now."""
        report = Finish()
        report.counted(batch_id)
        self._store.finish(report)
