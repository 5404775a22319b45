"""The periodic tasks that a session has put: they are put again where the broker has lost them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.periodicstore import MOST_AT_ONCE
from nbtasks.core.errors import NbtasksError, SignatureMismatch
from nbtasks.wire.periodicrecord import PeriodicRecord

from .presence import SAY_S, Presence

if TYPE_CHECKING:
    from nbtasks.broker.runners import Runners
    from nbtasks.broker.verbs.periodicstore import PeriodicStanding, PeriodicStore
    from nbtasks.core.due.periodic import Periodic
    from nbtasks.wire.frames import Sealer

_log = logging.getLogger("nbtasks")
#: Seconds between two tries to put what was lost, and for which workers may not have shown yet what they run.
_AGAIN_S = 1.0
_GRACE_S = 6.0
#: One that pauses is put as due so much later (ms), so that nobody fires it before it pauses.
_LATER_MS = 3_600_000


@dataclass(eq=False)
class OwnPeriodic:
    """One of them.

    Attributes:
        frame, function: what the broker keeps of it, and of its code.
        next_ms: when it is due next, as of the last look.
        is_paused: whether it pauses.
        run: the batch of its last run, where that went on and no other one may begin meanwhile; else empty.
    """

    task: Periodic
    frame: bytes
    function: bytes
    next_ms: int | None
    is_paused: bool = False
    run: str = ""

    def take_in(self, found: PeriodicStanding) -> None:
        """Note what has become of it."""
        self.next_ms, self.is_paused = found.next_ms, found.paused_ms is not None
        last = found.last[0] if found.last else None
        goes_on = last is not None and last[2] == 0 and not self.task.overlaps
        self.run = last[1] if last is not None and goes_on else ""

    def due_again(self, now_ms: int, seen_ms: int) -> int | None:
        """Return when it is to be due first, where it is put again; None: never.

        Args:
            seen_ms: when the broker was seen last before it has lost it.
        """
        if self.is_paused:
            return now_ms + _LATER_MS
        due = self.next_ms
        if due is None or due > now_ms:
            return due
        if due > seen_ms + 2000 * SAY_S:
            # The broker was away by then, so nobody has fired it: whoever does now goes by what it says of missed runs.
            return due
        # It may have been fired in the last moments, of which the broker knows nothing any more.
        later = self.task.timetable.after(now_ms / 1000, due / 1000)
        return None if later is None else round(later * 1000)


class OwnPeriodics:
    """Of one session.

    What somebody else changes or removes while the broker is sound is not this session's any more, and does not come
    back.

    Args:
        put: puts one, first due at a moment (ms); returns when it is due next.
        runners: looks what runs.
    """

    def __init__(
        self,
        store: PeriodicStore,
        sealer: Sealer,
        presence: Presence,
        put: Callable[[Periodic, bytes, bytes, int], int | None],
        runners: Callable[[], Runners],
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._presence = presence
        self._put = put
        self._runners = runners
        self._own: dict[str, OwnPeriodic] = {}
        #: Since when (monotonic) something is to be put again, and when the broker was seen before that, by its clock.
        self._lost_at: float | None = None
        self._seen_ms = 0
        self._rounds = 0
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Say that this process is there, from now on."""
        self._say()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="nbtasks-periodic", daemon=True)
                self._thread.start()

    def note(self, one: OwnPeriodic) -> None:
        """It was put by this session."""
        with self._lock:
            self._own[one.task.id] = one

    def remove(self, id: str) -> bool:
        """Remove one from the broker, whosever it is; False where there is none."""
        # Not while it is put again.
        with self._lock:
            self._own.pop(id, None)
            return self._store.remove(id)

    def end(self) -> list[str]:
        """See to them no more; returns the ids of those that end with this session."""
        with self._lock:
            self._ended = True
            self._wake.set()
            own, self._own = self._own, {}
            return [id for id, one in own.items() if one.task.client]

    # -- on the thread

    def _loop(self) -> None:
        while not self._ended:
            self._wake.wait(SAY_S if self._lost_at is None else _AGAIN_S)
            self._wake.clear()
            if self._ended:
                return
            try:
                self._act()
            except NbtasksError:
                # The broker may come back, and the session tells of it otherwise.
                continue
            except Exception:
                if not self._ended:
                    _log.exception("it could not be looked whether the broker has lost periodic tasks")

    def _say(self) -> None:
        seen_ms = self._presence.said_ms
        if self._presence.say() and self._lost_at is None:
            self._seen_ms, self._lost_at = seen_ms, time.monotonic()
            self._wake.set()

    def _act(self) -> None:
        with self._lock:
            own = dict(self._own)
        self._rounds += 1
        # With many of them a look takes the broker some time.
        looks = self._lost_at is None and self._rounds % (1 + len(own) // MOST_AT_ONCE) == 0
        found = self._look(own) if looks else {}
        # After the look: where nothing was lost until now, that has shown what is there.
        self._say()
        if self._lost_at is not None:
            self._put_again(self._lost_at)
        elif looks:
            self._take_in(own, found)

    def _look(self, ids: Iterable[str]) -> dict[str, PeriodicStanding]:
        names, found = list(ids), {}
        for start in range(0, len(names), MOST_AT_ONCE):
            _, standings = self._store.look(*names[start : start + MOST_AT_ONCE])
            found.update({one.id: one for one in standings})
        return found

    def _take_in(self, own: Mapping[str, OwnPeriodic], found: Mapping[str, PeriodicStanding]) -> None:
        for id, one in own.items():
            standing = found.get(id)
            if standing is not None and standing.frame == one.frame:
                one.take_in(standing)
                continue
            with self._lock:
                if self._own.get(id) is one:
                    del self._own[id]

    def _put_again(self, lost_at: float) -> None:
        with self._lock:
            own = dict(self._own)
        found, runners, waits = self._look(own), None, False
        for id, one in own.items():
            if one.run:
                if time.monotonic() - lost_at < _GRACE_S:
                    waits = True
                    continue
                runners = runners or self._runners()
                if runners.run_any(one.run):
                    waits = True
                    continue
            standing = found.get(id)
            if standing is None or self._is_older(standing, one):
                self._put_one(id, one)
        if not waits:
            self._lost_at = None

    def _is_older(self, standing: PeriodicStanding, one: OwnPeriodic) -> bool:
        """Whether what is there is of a time before this one was put: the broker was put back to an older state."""
        if standing.frame == one.frame:
            return False
        try:
            there = PeriodicRecord.opened(self._sealer, standing.frame, standing.id)
        except SignatureMismatch:
            return True
        return there.task.coded_at <= one.task.coded_at

    def _put_one(self, id: str, one: OwnPeriodic) -> None:
        with self._lock:
            if self._ended or self._own.get(id) is not one:
                return
            due_ms = one.due_again(self._presence.said_ms, self._seen_ms)
            if due_ms is None:
                return
            _log.warning("periodic task %r is put again, for the broker has lost it", one.task.name)
            next_ms = self._put(one.task, one.frame, one.function, due_ms)
            if one.is_paused:
                self._store.pause(id)
            else:
                one.next_ms, one.run = next_ms, ""
