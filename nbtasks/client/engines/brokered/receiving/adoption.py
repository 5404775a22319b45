"""Batches that another session has submitted, or this notebook before its kernel was restarted."""

from __future__ import annotations

import contextlib
import logging

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.sessionnews import SessionNews
from nbtasks.broker.verbs.store import BatchRecord, Store
from nbtasks.client.batches.batchengine import BatchEngine
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.mending import Mending
from nbtasks.client.batches.provenance import Provenance
from nbtasks.client.batches.registry import Registry
from nbtasks.client.engines.brokered.roster import WorkerRoster
from nbtasks.client.engines.brokered.sending.outbox import Outbox
from nbtasks.core.errors import OperationalError, SignatureMismatch, UnknownCall
from nbtasks.core.label import BatchLabel
from nbtasks.core.ranges import read_ranges
from nbtasks.wire.codec import Codec

from .intake import Intake
from .survey import Survey

_log = logging.getLogger("nbtasks")
#: Newest batches among which is looked for those that repair another one.
_LOOK_BACK = 300
#: Seconds without a word of the client that lets a batch grow, after which it has left.
LEFT_AFTER_S = 60.0


class Adoption:
    """Makes live records of batches from what the broker knows of them.

    Args:
        outbox: knows the session's current id.
        engine: of the ledgers.
        clock: of the server.

    Attributes:
        survey: lists what there is to adopt.
    """

    def __init__(
        self,
        registry: Registry,
        intake: Intake,
        store: Store,
        news: SessionNews,
        roster: WorkerRoster,
        codec: Codec,
        outbox: Outbox,
        engine: BatchEngine,
        clock: ServerClock,
        survey: Survey,
    ) -> None:
        self.survey = survey
        self._registry = registry
        self._intake = intake
        self._store = store
        self._news = news
        self._roster = roster
        self._codec = codec
        self._outbox = outbox
        self._engine = engine
        self._clock = clock
        #: Growing batch -> when its client was heard of last, in the server's time.
        self._heard_at: dict[str, float] = {}

    def adopt(self, batch_id: str) -> Ledger:
        """Return what is known of a batch, whoever submitted it.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
            SignatureMismatch: what is known of it is not signed with a key of ours.
        """
        known = self._registry.known(batch_id)
        if known is not None:
            self._join_repairs(known)
            return known
        self._outbox.flush()
        found = self._store.batch(batch_id)
        if found is None:
            raise UnknownCall(f"nobody has recorded a call {batch_id!r}, or its results have expired")
        label = self._codec.open_label(found.label, found.id)
        batch = self._live(found, label)
        self._registry.add(batch)
        self._news.adopt(batch.id, self._outbox.session)
        self._lines_of(label.function)
        if batch.followed:
            self._intake.take_in_all(batch)
        self._intake.refresh(batch)
        self._roster.show_running(batch)
        if not batch.done:
            self._intake.take_in_own_states(batch)
        if batch.done and found.ended_at is not None:
            # It was told just now, and has ended before.
            batch.note_end(self._clock.moment_here(found.ended_at))
        self._registry.note_adopted(batch)
        self._join_repairs(batch)
        if label.repairs:
            self._join_to_repaired(batch, label)
        return batch

    def _join_repairs(self, batch: Ledger) -> None:
        """Have what its own client has submitted again of a batch count in it."""
        if batch.parcel is not None or batch.problem is not None:
            return
        if not (batch.failed_count or batch.revoked_count):
            return
        for outline in reversed(self.survey.newest(_LOOK_BACK)):
            if outline.label.repairs.partition(" ")[0] == batch.id:
                with contextlib.suppress(UnknownCall):
                    self._join(batch, self.adopt(outline.id), outline.label)

    def _join_to_repaired(self, again: Ledger, label: BatchLabel) -> None:
        """Have a batch count in the one that it repairs, as long as that is known."""
        with contextlib.suppress(UnknownCall, SignatureMismatch):
            self._join(self.adopt(label.repairs.partition(" ")[0]), again, label)

    def _join(self, batch: Ledger, again: Ledger, label: BatchLabel) -> None:
        if again.mends is not None or batch.parcel is not None:
            return
        try:
            indexes = read_ranges(label.repairs.partition(" ")[2], batch.n)
        except ValueError as error:
            _log.debug("batch %s does not say what it repairs: %s", again.id, error)
            return
        if len(indexes) == again.n:
            Mending(batch, indexes, again).begin()
            self._registry.note_adopted(batch)

    def _live(self, found: BatchRecord, label: BatchLabel) -> Ledger:
        origin = Provenance(
            label.name, label.queue, label.title, label.kind, label.submitter, False, label.single, label.eta_at,
            label.on_error, label.own_id, label.workflow, label.items,
        )  # fmt: skip
        n = label.n
        created_at = self._clock.moment_here(found.submitted_at)
        batch = Ledger(found.id, max(0, n), origin, self._engine, created_at=created_at)
        if n < 0:
            # Its client is still reading items: how many there will be, nobody knows yet.
            batch.leave_open(followed=True)
        return batch

    def listen(self, batch: Ledger) -> None:
        """Have the events of a batch sent here, if they are not."""
        self._news.adopt(batch.id, self._outbox.session)

    def follow(self, batch: Ledger) -> None:
        """Learn how far a batch is that another client lets grow."""
        found = self._store.batch(batch.id)
        label = BatchLabel(-1) if found is None else self._codec.open_label(found.label, batch.id)
        n = label.n
        if n >= 0:
            self._heard_at.pop(batch.id, None)
            batch.grow(n)
            batch.complete()
            if batch.all_ended:
                self._registry.note_over(batch)
        else:
            self._intake.take_in_all(batch)
        self._intake.refresh(batch)
        if batch.followed:
            self._see_who_is_left(batch, label.at)

    def _see_who_is_left(self, batch: Ledger, said_at: float) -> None:
        """End the wait for a batch whose client has gone, or whose label somebody has put back: nobody ends it.

        Args:
            said_at: when the client has signed that it still reads items.
        """
        heard_at = self._heard_at[batch.id] = max(said_at, self._heard_at.get(batch.id, 0.0))
        silent_s = self._clock.now() - heard_at
        if silent_s < LEFT_AFTER_S:
            return
        del self._heard_at[batch.id]
        since = f"for {silent_s:,.0f} s" if heard_at else "at all"
        self._registry.fail(
            batch,
            UnknownCall(
                f"nobody knows how many calls {batch.name} ({batch.id}) has: the client that reads its items was not "
                f"heard of {since}. What has ended has its result; attach again when that client is back"
            ),
        )

    def _lines_of(self, digest: str) -> None:
        """Make the notebook's source known again, for tracebacks after a kernel restart."""
        with contextlib.suppress(OperationalError, SignatureMismatch):
            frame = self._store.function(digest)
            if frame is not None:
                self._codec.lines_of(frame, digest)
