"""Give back what a dead consumer held: a child of this worker that died, or any child of a worker that is gone.

Only the call that was executing is charged with the loss. Where nobody can know which one it was, the chunk is.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from nbtasks.broker.redis.delivery import Delivery, Entry, Finish
from nbtasks.broker.redis.store import Store
from nbtasks.core import attempts
from nbtasks.core.errors import CallError, SignatureMismatch, WorkerLostError
from nbtasks.core.ids import call_id, new_id
from nbtasks.core.ranges import runs
from nbtasks.core.states import FAILURE_CODE, REVOKED_CODE
from nbtasks.wire.codec import Codec, News, Record
from nbtasks.wire.errors import failures
from nbtasks.worker.jobs.revokedrunning import Revoked
from nbtasks.worker.jobs.telling import tell
from nbtasks.worker.log import LOGGER

#: (first, count, attempt)
Piece = tuple[int, int, int]


@dataclass(frozen=True)
class Loss:
    """What is known about a death.

    Attributes:
        story: what happened, for people: signal or exit code, memory, last words.
        executing: (batch, index) of the call that was executing; None where nothing was.
        charged: so many calls, from that one on, where they were only made ready to run.
        seen: whether somebody saw what was executing; else the whole chunk is charged.
        error: ends the executing call with this instead of running it again (its time limit, a revocation).
        uncharged: the worker was shut down on purpose; nothing is charged.
        shared: calls ran side by side there: any of the chunks that were begun may have been executed.
    """

    story: str
    executing: tuple[str, int] | None = None
    charged: int = 1
    seen: bool = True
    error: CallError | None = None
    uncharged: bool = False
    shared: bool = False


@dataclass
class Verdict:
    """What becomes of one entry."""

    pieces: list[Piece] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)


def judge(
    entry: Entry, final: frozenset[int], loss: Loss, at_most_once: bool, revoked: frozenset[int] = frozenset()
) -> Verdict:
    """Decide which calls of an entry run again, charged or not, and which have failed. Pure.

    Args:
        revoked: calls that were revoked while they ran; they do not run again.
    """
    verdict = Verdict()
    indexes = [index for index in range(entry.first, entry.first + entry.count) if index not in final]
    # What was ended on purpose keeps its reason.
    ended = _charged(entry, loss) if loss.error is not None else range(0)
    verdict.revoked = [index for index in indexes if index in revoked and index not in ended]
    indexes = [index for index in indexes if index not in verdict.revoked]
    if at_most_once and loss.shared:
        # What may have been started is not started again.
        verdict.fail = indexes
        return verdict
    if loss.uncharged:
        running = (
            loss.executing[1] if loss.executing is not None and loss.executing[0] == entry.batch else None
        )
        if at_most_once:
            # What may have been started is not started again.
            verdict.fail = indexes if not loss.seen else [index for index in indexes if index == running]
            indexes = [index for index in indexes if index not in verdict.fail]
        verdict.pieces = [(*run, entry.attempt) for run in runs(indexes)]
        return verdict
    if not loss.seen:
        given_up = at_most_once or attempts.losses(entry.attempt) + 1 >= attempts.MOST_LOSSES_UNSEEN
        if given_up:
            verdict.fail = indexes
        else:
            verdict.pieces = [(*run, attempts.after_loss(entry.attempt)) for run in runs(indexes)]
        return verdict
    charged = _charged(entry, loss)
    guilty = [index for index in indexes if index in charged]
    given_up = at_most_once or loss.error is not None
    if given_up or attempts.losses(entry.attempt) + 1 >= attempts.MOST_LOSSES:
        verdict.fail = guilty
    else:
        verdict.pieces = [(*run, attempts.after_loss(entry.attempt)) for run in runs(guilty)]
    innocent = [index for index in indexes if index not in charged]
    verdict.pieces += [(*run, entry.attempt) for run in runs(innocent)]
    return verdict


def _charged(entry: Entry, loss: Loss) -> range:
    """Return the indexes of the calls of an entry that are charged with a loss that was seen."""
    if loss.executing is None or loss.executing[0] != entry.batch:
        return range(0)
    return range(loss.executing[1], loss.executing[1] + loss.charged)


class Rescue:
    """Carries verdicts out."""

    def __init__(self, delivery: Delivery, store: Store, codec: Codec, worker: str) -> None:
        self._delivery = delivery
        self._codec = codec
        self._worker = worker
        self._revoked = Revoked(store.standing, codec)
        self._id = new_id()
        self._numbers = itertools.count(1)

    def consumer(self, name: str, loss: Loss, lease: str | None = None) -> int:
        """Give back everything that a dead consumer held; returns the number of entries.

        Args:
            lease: key of its worker's lease; nothing is given back any more once that is there again.
        """
        dead = self._delivery.on_behalf_of(name, lease)
        entries = dead.held()
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
        final, revoked = self._revoked.among(entry.batch, entry.first, entry.count)
        verdict = judge(entry, final, loss, not header.get("al", True), revoked)
        if verdict.fail:
            tell(dead, self._failures(entry, verdict.fail, loss, bool(header.get("one"))))
        if verdict.revoked:
            tell(dead, self._revocations(entry, verdict.revoked))
        if dead.give(entry, verdict.pieces) and verdict.pieces:
            tell(dead, self._news(entry, verdict.pieces))
        return verdict

    def _news(self, entry: Entry, pieces: list[Piece]) -> Finish:
        """Tell who waits that these calls do not run any more, and will again."""
        events = [{"t": "given", "i": first, "n": count} for first, count, _ in pieces]
        news = News(entry.batch, self._worker, self._id, next(self._numbers), events)
        report = Finish()
        report.event(entry.batch, self._codec.seal_events(news, entry.key_id))
        return report

    def _header(self, entry: Entry) -> dict[str, Any] | None:
        """Return the options of an entry's chunk; None where it is not signed, or not for these calls."""
        try:
            chunk = self._codec.open_chunk(entry.frame, entry.batch, entry.address)
        except SignatureMismatch:
            return None
        inside = chunk.first <= entry.first and entry.first + entry.count <= chunk.first + len(chunk.payloads)
        return chunk.options if inside else None

    def _revocations(self, entry: Entry, indexes: list[int]) -> Finish:
        report = Finish()
        for first, count in runs(indexes):
            record = Record.alike(
                entry.batch, first, count, REVOKED_CODE, b"", self._worker, attempts.tries(entry.attempt)
            )
            sealed = self._codec.seal_record(record, entry.key_id)
            report.results(entry.batch, first, record.states, sealed)
        return report

    def _failures(self, entry: Entry, indexes: list[int], loss: Loss, single: bool) -> Finish:
        report = Finish()
        tried = attempts.losses(entry.attempt) + 1
        for index in indexes:
            name = call_id(entry.batch, index, 1 if single else None)
            payload = failures.pack(_error(index, entry, loss, name, tried), with_traceback=False)
            attempt = attempts.tries(entry.attempt) + tried - 1
            record = Record.alike(entry.batch, index, 1, FAILURE_CODE, payload, self._worker, attempt)
            report.results(entry.batch, index, record.states, self._codec.seal_record(record, entry.key_id))
        return report


def _error(index: int, entry: Entry, loss: Loss, name: str, tried: int) -> CallError:
    """Return what a call ends with that was executing when its process died, or that cannot be run again."""
    if loss.error is not None and index in _charged(entry, loss):
        return type(loss.error)(f"call {name} {loss.error}", name)
    times = f" ({tried} times)" if tried > 1 else ""
    return WorkerLostError(f"the process that ran call {name} died{times}: {loss.story}", name)
