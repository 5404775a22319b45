"""Asks the broker about everything, now and then: a push is a hint, the store is the truth."""

from __future__ import annotations

import logging
import time

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.store import Store
from nbtasks.client.batches.registry import Registry
from nbtasks.client.engines.brokered.roster import WorkerRoster
from nbtasks.client.engines.brokered.sending.sender import Sender
from nbtasks.core.errors import SignatureMismatch

from .adoption import Adoption
from .gaps import Gaps
from .intake import Intake

_log = logging.getLogger("nbtasks")
#: Seconds that a server may lose in a crash, and the time until the next look, with much to spare.
_LOST_S = 30.0


class Reconciling:
    """Brings what is known here in step with what the broker has."""

    def __init__(
        self,
        gaps: Gaps,
        clock: ServerClock,
        registry: Registry,
        store: Store,
        adoption: Adoption,
        intake: Intake,
        sender: Sender,
        roster: WorkerRoster,
    ) -> None:
        self._gaps = gaps
        self._clock = clock
        self._registry = registry
        self._store = store
        self._adoption = adoption
        self._intake = intake
        self._sender = sender
        self._roster = roster

    def look_for_gap(self) -> None:
        """Ask whether the broker still has everything: nothing has come for a while."""
        self._gaps.look()

    def reconcile(self) -> None:
        """Ask about every batch that has not ended, or has ended a moment ago."""
        self._clock.follow()
        # What it has lost of those that have not ended is sent again by the outbox, as soon as that hears of it.
        lost = self._gaps.look()
        unfinished = [] if lost else self._registry.all_unfinished()
        batches = [*unfinished, *self._registry.ended_since(time.time() - _LOST_S)]
        for batch, states in zip(batches, self._store.states_of([(b.id, b.n) for b in batches]), strict=True):
            try:
                if batch.followed:
                    self._adoption.follow(batch)
                else:
                    self._intake.refresh(batch, states)
                    parcel = batch.parcel
                    if batch.growing and parcel is not None and parcel.sent:
                        self._sender.send_sign_of_life(batch, parcel)
            except SignatureMismatch as error:
                _log.error("batch %s: refused: %s", batch.id, error)
        if not lost:
            # Else it has lost the workers, too, until each renews its lease.
            self._note_lost()
        self._registry.announce()
        self._intake.clear_leftovers()

    def _note_lost(self) -> None:
        """Calls whose worker is gone do not run any more; perhaps nobody is left to say so."""
        for batch in self._registry.all_unfinished():
            # What was submitted again runs in another batch.
            repairs = batch.repairs
            running = {index for index in list(batch.running) if repairs is None or index not in repairs}
            for index in running - self._roster.running(batch) if running else ():
                batch.note_given(index, 1)
