"""Give back what a dead consumer held: a child of this worker that died, or any child of a worker that is gone."""

from __future__ import annotations

import itertools
from collections import Counter

from nbtasks.broker.verbs.delivery import Delivery
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.store import Store
from nbtasks.core import attempts
from nbtasks.core.callheader import CallHeader
from nbtasks.core.errors import CallError, SignatureMismatch, WorkerLostError
from nbtasks.core.events import CallEvent, GivenBack
from nbtasks.core.happenings import Whose
from nbtasks.core.ids import call_id, new_id
from nbtasks.core.ranges import runs
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE
from nbtasks.wire.batchnews import BatchNews
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.noting import Noting
from nbtasks.wire.record import Record
from nbtasks.worker.jobs.revokedrunning import RevokedRunning
from nbtasks.worker.jobs.telling import tell
from nbtasks.worker.log import LOGGER

from .judging import Loss, Piece, Verdict, judge


class Recovery:
    """Carries verdicts out."""

    def __init__(self, delivery: Delivery, store: Store, codec: Codec, worker: str, noting: Noting) -> None:
        self._delivery = delivery
        self._codec = codec
        self._worker = worker
        self._revoked = RevokedRunning(store.standing, codec)
        self._noting = noting
        self._id = new_id()
        self._numbers = itertools.count(1)

    def consumer(self, name: str, loss: Loss, of_dead: str | None = None) -> int:
        """Give back everything that a dead consumer held; returns the number of entries.

        Args:
            of_dead: its worker; nothing is given back any more once that has a lease again.
        """
        dead = self._delivery.on_behalf_of(name, of_dead)
        entries = dead.in_hand()
        given: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for entry in entries:
            verdict = self._entry(dead, entry, loss)
            given[entry.batch] += sum(count for _, count, _ in verdict.pieces)
            failed[entry.batch] += len(verdict.fail)
        for batch in given:
            if given[batch] or failed[batch]:
                LOGGER.warning(
                    "batch %s: %d call(s) given back, %d failed: %s",
                    batch, given[batch], failed[batch], loss.story,
                )  # fmt: skip
        return len(entries)

    def _entry(self, dead: Delivery, entry: Entry, loss: Loss) -> Verdict:
        header = self._header(entry)
        if header is None:
            # Nothing is signed for what nobody has signed. Who takes it refuses it, and says so.
            dead.give(entry, [(entry.first, entry.count, entry.attempt)])
            return Verdict()
        whose = Whose(entry.batch, header.name, entry.address.queue, header.single, header.task_id)
        final, revoked = self._revoked.among(entry.batch, entry.first, entry.count)
        verdict = judge(entry, final, loss, header.at_most_once, revoked)
        if verdict.fail:
            tell(dead, self._failures(entry, verdict.fail, loss, whose))
        if verdict.revoked:
            tell(dead, self._revocations(entry, verdict.revoked, whose))
        if dead.give(entry, verdict.pieces) and verdict.pieces:
            tell(dead, self._news(entry, verdict.pieces, whose))
        return verdict

    def _news(self, entry: Entry, pieces: list[Piece], whose: Whose) -> Finish:
        """Tell who waits that these calls do not run any more, and will again."""
        events: list[CallEvent] = [GivenBack(first, count) for first, count, _ in pieces]
        news = BatchNews(entry.batch, self._worker, self._id, next(self._numbers), events)
        report = Finish()
        report.event(entry.batch, self._codec.seal_events(news, entry.key_id))
        tried = attempts.number_of(entry.attempt)
        report.happened(self._noting.told(events, whose, tried, entry.key_id))
        for first, count, _ in pieces:
            report.own_state(entry.batch, first, count, b"")
        return report

    def _header(self, entry: Entry) -> CallHeader | None:
        """Return the header of an entry's chunk; None where it is not signed, or not for these calls."""
        try:
            chunk = self._codec.open_chunk(entry.frame, entry.batch, entry.address)
        except SignatureMismatch:
            return None
        inside = chunk.first <= entry.first and entry.first + entry.count <= chunk.first + len(chunk.payloads)
        return chunk.header if inside else None

    def _revocations(self, entry: Entry, indexes: list[int], whose: Whose) -> Finish:
        report = Finish()
        for first, count in runs(indexes):
            record = Record.alike(
                entry.batch, first, count, REVOKED_CODE, b"", self._worker, attempts.tries(entry.attempt)
            )
            sealed = self._codec.seal_record(record, entry.key_id)
            report.results(entry.batch, first, record.states, sealed)
            report.happened(self._noting.end(record, entry.key_id, whose), if_new=True)
        return report

    def _failures(self, entry: Entry, indexes: list[int], loss: Loss, whose: Whose) -> Finish:
        report = Finish()
        tried = attempts.deaths(entry.attempt) + 1
        for index in indexes:
            name = call_id(entry.batch, index, 1 if whose.single else None)
            payload = failures.pack(_error(index, entry, loss, name, tried), with_traceback=False)
            attempt = attempts.number_of(entry.attempt)
            record = Record.alike(entry.batch, index, 1, FAILURE_CODE, payload, self._worker, attempt)
            report.results(entry.batch, index, record.states, self._codec.seal_record(record, entry.key_id))
            report.happened(self._noting.end(record, entry.key_id, whose), if_new=True)
        return report


def _error(index: int, entry: Entry, loss: Loss, name: str, tried: int) -> CallError:
    """Return what a call ends with that was executing when its process died, or that cannot be run again."""
    if loss.error is not None and index in loss.blames(entry.batch):
        return type(loss.error)(f"call {name} {loss.error}", name)
    died = f"died ({tried} times)" if tried > 1 else "died"
    if loss.opening and index in loss.blames(entry.batch):
        return WorkerLostError(
            f"the process that was about to run call {name} {died} while it made the task ready: {loss.story}",
            name,
        )
    return WorkerLostError(f"the process that ran call {name} {died}: {loss.story}", name)
