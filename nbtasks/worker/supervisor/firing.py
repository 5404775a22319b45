"""Firing a periodic task: at which of its due times it runs, and the call that it is then.

Nothing is unpickled here: arguments travel on as they are.
"""

from __future__ import annotations

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.periodicstore import DueTask, PeriodicStore
from nbtasks.core.due.interval import schedule
from nbtasks.core.due.missed import first_to_fire, were
from nbtasks.core.due.periodic import DueRun, Periodic, run_id
from nbtasks.core.errors import SignatureMismatch
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.periodicrecord import PeriodicRecord
from nbtasks.worker.log import LOGGER, log_once

#: Due times of one that are seen to in one go, and how many are remembered.
_MOST_TIMES = 100
_MOST_KNOWN = 2000
#: A client that is gone for so long does not come back (ms); and when it is tried again to read what nobody can.
_GONE_MS = 3_600_000
_UNREADABLE_MS = 60_000


class Firing:
    """Fires the periodic tasks that are signed with one key."""

    def __init__(self, store: PeriodicStore, sealer: Sealer, clock: ServerClock) -> None:
        self._store = store
        self._sealer = sealer
        self._codec = Codec(sealer)
        self._clock = clock
        #: Version of a frame -> what was in it.
        self._known: dict[str, PeriodicRecord] = {}
        #: Periodic task -> the run of which it was said that it keeps others out.
        self._told_busy: dict[str, str] = {}
        self._now_ms = 0

    def see_to(self, due: DueTask, now_ms: int) -> bool:
        """Fire one for all times at which it was due; False where it only waits for a run to end.

        Args:
            now_ms: the server's time.
        """
        self._now_ms = now_ms
        try:
            record = self._record(due)
        except SignatureMismatch as error:
            log_once(f"periodic task {due.id} was refused: {error}")
            return self._store.pass_over(due.id, due.due_ms, self._now_ms + _UNREADABLE_MS)
        if record is None:
            return self._store.pass_over(due.id, due.due_ms, self._now_ms + _UNREADABLE_MS)
        if not due.is_there:
            return self._pass_gone(due, record)
        due_ms: int | None = due.due_ms
        for _ in range(_MOST_TIMES):
            if due_ms is None or due_ms > self._now_ms:
                break
            moved, due_ms = self._one_time(due, record, due_ms)
            if not moved:
                return False
        return True

    def _record(self, due: DueTask) -> PeriodicRecord | None:
        known = self._known.get(due.version)
        if known is None or known.task.id != due.id:
            frame = self._store.frame(due.id)
            if frame is None:
                return None
            known = PeriodicRecord.opened(self._sealer, frame, due.id)
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[due.version] = known
        return known

    def _pass_gone(self, due: DueTask, record: PeriodicRecord) -> bool:
        """Leave out what is due of one whose notebook is not there; remove it when that does not come back."""
        if due.gone_since_ms and self._now_ms - due.gone_since_ms > _GONE_MS:
            LOGGER.info("periodic task %r has ended with its notebook", record.task.name)
            return self._store.remove(due.id, record.task.client)
        later = record.task.timetable.after(self._now_ms / 1000, due.due_ms / 1000)
        return self._store.pass_over(due.id, due.due_ms, _ms(later), is_gone=True)

    def _one_time(self, due: DueTask, record: PeriodicRecord, due_ms: int) -> tuple[bool, int | None]:
        """See to one due time; returns whether something moved on, and the next due time."""
        task, now = record.task, self._now_ms / 1000
        table = task.timetable
        target, passed = first_to_fire(table, due_ms / 1000, now, task.missed)
        if not isinstance(table.when, schedule) and table.after(due_ms / 1000 - 0.001, 0.0) != due_ms / 1000:
            # Nobody of us has put that there.
            target, passed = table.after(now, now), 0
        if target != due_ms / 1000:
            LOGGER.info("periodic task %r: %s missed", task.name, were(passed))
            return self._store.pass_over(due.id, due_ms, _ms(target), passed), _ms(target)
        later = _ms(table.after(due_ms / 1000, due_ms / 1000))
        fired, before = self._store.fire(due.version, due_ms, later, self._run(record, due_ms))
        if fired == "OK":
            LOGGER.info("periodic task %r is due (%s)", task.name, task.label.name)
        elif fired == "BUSY":
            self._tell_busy(task, str(before))
        elif fired in {"NOFN", "FULL"}:
            why = "the server has lost its code" if fired == "NOFN" else "its queue is full"
            log_once(f"periodic task {task.name!r} cannot run: {why}")
            self._store.pass_over(due.id, due_ms, later, 1)
        # Whoever was faster, or has put another version, it is looked at again.
        return fired != "WAIT", later if fired in {"OK", "BUSY", "NOFN", "FULL"} else None

    def _tell_busy(self, task: Periodic, before: str) -> None:
        """Say once of a run that due times are left out while it goes on: nobody may be there who ends it."""
        if self._told_busy.get(task.id) == before:
            return
        if len(self._told_busy) > _MOST_KNOWN:
            self._told_busy.clear()
        self._told_busy[task.id] = before
        LOGGER.warning(
            "periodic task %r is due, but its run before (%s) goes on: due times are left out until that has ended",
            task.name,
            before,
        )

    def _run(self, record: PeriodicRecord, due_ms: int) -> DueRun:
        task, now = record.task, self._clock.now()
        not_after = None
        if task.expires_s is not None:
            not_after = now + (due_ms - self._now_ms) / 1000 + task.expires_s
        batch = run_id(task.name, due_ms)
        return record.run(self._codec, batch, due_ms, not_after, now, self._store.key_id)


def _ms(moment: float | None) -> int | None:
    return None if moment is None else round(moment * 1000)
