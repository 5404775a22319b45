"""What a child notes in the stream of events: collected, and added to a report that goes to the broker anyway."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from nbtasks.broker.verbs.finish import Finish
from nbtasks.core import attempts
from nbtasks.core.events import CallEvent, Progressed, Retried
from nbtasks.core.happenings import MOST_ROWS, Happenings, Row, Whose, ends_row, error_rows, told_row
from nbtasks.core.ids import new_id
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE, SUCCESS_CODE
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.record import Record
from nbtasks.worker.taskcounts import Counts

from .ended import Done
from .job import Job

#: Seconds between two notes: to sign one costs more than some calls do.
_EVERY_S = 0.05
#: State of a call that has ended -> what it counts as.
_COUNTED = {SUCCESS_CODE: "succeeded", FAILURE_CODE: "failed", REVOKED_CODE: "revoked"}
#: Rows that are kept while the broker does not answer.
_MOST_KEPT = 20 * MOST_ROWS


class Chronicle:
    """Notes what happens to the calls of one child. Any thread may note something.

    A process that is killed takes along what it has noted in the last moment and not sent.

    Args:
        worker: its name.
        child: its number.
        server_now: the server's time in epoch seconds.
        write_counts: shows the supervisor what was counted of each task.

    Attributes:
        at_once: nothing is collected any more, for the process ends.
    """

    def __init__(
        self,
        codec: Codec,
        worker: str,
        child: int,
        server_now: Callable[[], float],
        write_counts: Callable[[Counts], None],
    ) -> None:
        self._codec = codec
        self._worker = worker
        self._child = child
        self._server_now = server_now
        self._id = new_id()
        self._numbers = itertools.count(1)
        #: Calls that have ended, with their record and the moment that it counts from: their rows are not made yet.
        self._ended: deque[tuple[Sequence[Done], Record, float]] = deque()
        #: Id of the key that the calls were signed with, and the row.
        self._rows: deque[tuple[str, Row]] = deque()
        self._lost = 0
        self._last_at = 0.0
        self._write_counts = write_counts
        #: Task -> what has become of its calls -> how many.
        self._counts: dict[str, dict[str, int]] = {}
        self.at_once = False

    def __bool__(self) -> bool:
        return bool(self._rows or self._ended)

    @property
    def is_due(self) -> bool:
        """Whether there is something to send by now."""
        return bool(self) and (self.at_once or time.monotonic() - self._last_at >= _EVERY_S)

    def ended(self, run: Sequence[Done], record: Record, now: float) -> None:
        """Calls in a row have ended. It is noted with :meth:`write_up`: somebody waits for their results.

        Args:
            record: what is told of them.
            now: the moment (monotonic) that it counts from when each has begun.
        """
        self._ended.append((run, record, now))

    def write_up(self) -> None:
        """Note which calls have ended; by whoever makes or has sent a report, which is one thread at a time."""
        while self._ended:
            self._write_up(*self._ended.popleft())

    def _write_up(self, run: Sequence[Done], record: Record, now: float) -> None:
        job, states = run[0].job, record.states
        errors: list[Row] = []
        if states.count(SUCCESS_CODE) == len(states):
            self._count(job, "succeeded", len(states))
        else:
            errors = error_rows(_texts_of(run))
            for state in set(states):
                self._count(job, _COUNTED[state], states.count(state))
        self._note(
            job.key_id,
            ends_row(
                _whose(job).head(),
                record.first,
                states,
                record.attempt,
                job.taken,
                now,
                record.begun,
                record.seconds,
                errors,
            ),
        )

    def told(self, job: Job, event: CallEvent) -> None:
        """A call tells something while it runs, or goes on elsewhere, or later."""
        attempt = attempts.number_of(job.entry.attempt)
        if isinstance(event, Progressed) and event.meta:
            # It may be large, and is for who has submitted the call.
            event = replace(event, meta=b"")
        elif isinstance(event, Retried):
            self._count(job, "retried", 1)
        self._note(job.key_id, told_row(_whose(job).head(), event, attempt, time.monotonic(), job.taken))

    def refused(self, batch: str, key_id: str, event: CallEvent) -> None:
        """Calls are not run, for they are not what was submitted."""
        self._note(key_id, told_row(Whose(batch).head(), event, 1, time.monotonic()))

    def _count(self, job: Job, what: str, calls: int) -> None:
        ends = self._counts.setdefault(job.header.name, {})
        ends[what] = ends.get(what, 0) + calls

    def _note(self, key_id: str, row: Row) -> None:
        if len(self._rows) < _MOST_KEPT:
            self._rows.append((key_id, row))
        else:
            self._lost += 1

    def add_to(self, report: Finish) -> None:
        """Add what was noted to a report, unless something was only just sent."""
        if not self.is_due:
            return
        self._last_at = time.monotonic()
        self.write_up()
        self._write_counts(self._counts)
        for key_id, rows in self._taken():
            lost, self._lost = self._lost, 0
            told = Happenings(
                self._worker,
                self._id,
                next(self._numbers),
                self._server_now(),
                rows,
                self._child,
                int(time.monotonic() * 1e6),
                lost,
            )
            report.happened(self._codec.seal_happenings(told, key_id))

    def _taken(self) -> Iterator[tuple[str, list[Row]]]:
        """Take out what there is, by key, as much as fits into one message."""
        by_key: dict[str, list[Row]] = {}
        for _ in range(min(len(self._rows), MOST_ROWS)):
            key_id, row = self._rows.popleft()
            by_key.setdefault(key_id, []).append(row)
        yield from by_key.items()


def _whose(job: Job) -> Whose:
    header = job.header
    return Whose(job.entry.batch, header.name, job.entry.address.queue, header.single, header.task_id)


def _texts_of(run: Sequence[Done]) -> Iterator[tuple[int, str]]:
    """Yield the text of each error, and the place of its call."""
    last, said = b"", ""
    for place, item in enumerate(run):
        if item.state != SUCCESS_CODE and item.payload:
            if item.payload is not last:
                last, said = item.payload, failures.in_short(item.payload)
            yield place, said
