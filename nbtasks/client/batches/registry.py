"""The live records of a session: which batches are followed, who waits for them, what is called when they end."""

from __future__ import annotations

import functools
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from nbtasks.client import observers

from .background import Background, do
from .ledger import Ledger
from .paces import Paces
from .remains import Listed

if TYPE_CHECKING:
    from nbtasks.wire.record import Record

_log = logging.getLogger("nbtasks")
_MOST_REMEMBERED = 1000
#: Seconds for which a thread that waits reads by itself.
_SHORT_S = 0.25
#: Callbacks of then() that run at once.
_MOST_CALLBACKS = 16
#: Seconds that they have to end when the App is closed.
_CALLBACKS_S = 10.0
#: The same for what the library has to do.
_DUTIES_S = 2.0


_all: weakref.WeakSet[Registry] = weakref.WeakSet()


def unfinished_here() -> list[Ledger]:
    """Return the batches of this process whose results are taken in, whatever session they are of; no repairs."""
    return [batch for registry in list(_all) for batch in registry.all_unfinished() if batch.mends is None]


class Registry:
    """The batches of one session. A batch that nobody holds a handle of any more goes by itself once it has ended.

    Attributes:
        changed: notified after every change; whoever waits for a batch waits on it.
        paces: how long calls take.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.paces = Paces()
        self._unfinished: dict[str, Ledger] = {}
        self._known: weakref.WeakValueDictionary[str, Ledger] = weakref.WeakValueDictionary()
        self._recent: deque[Listed] = deque(maxlen=_MOST_REMEMBERED)
        self._lock = threading.Lock()
        #: Users' callbacks may take as long as they like: what the library has to do does not wait behind them, and
        #: neither does, up to a point, one of them behind another.
        self._callbacks = Background("nbtasks-callbacks", _MOST_CALLBACKS)
        self._duties = Background("nbtasks-duties", 1)
        self._packing = Background("nbtasks-packing", 1)
        _all.add(self)

    def add(self, batch: Ledger) -> None:
        """Have results of a batch taken in from now on."""
        with self._lock:
            self._unfinished[batch.id] = batch
            self._known[batch.id] = batch
            if not batch.quiet:
                self._recent.append(Listed(batch))
        observers.added(batch)

    def drop(self, batch: Ledger) -> None:
        """Take no more results of a batch in."""
        with self._lock:
            self._unfinished.pop(batch.id, None)
        self._let_go(batch)

    def forget(self, batch: Ledger) -> None:
        """The results of a batch were dropped on purpose."""
        self._let_go(batch, forgotten=True)

    def _let_go(self, batch: Ledger, forgotten: bool = False) -> None:
        if batch.quiet:
            # Not on the list.
            return
        with self._lock:
            for listed in reversed(self._recent):
                if listed.id == batch.id:
                    listed.let_go(forgotten)
                    return

    def known(self, id: str) -> Ledger | None:
        """Return a batch that somebody holds, ended or not."""
        return self._known.get(id)

    def unfinished(self, id: str) -> Ledger | None:
        """Return a batch whose results are taken in."""
        return self._unfinished.get(id)

    def all_unfinished(self) -> list[Ledger]:
        """Return all batches whose results are taken in."""
        with self._lock:
            return list(self._unfinished.values())

    def disowned(self) -> list[Ledger]:
        """Return the same in a process that was forked off, where a thread that is not there may hold the lock."""
        return list(self._unfinished.values())

    def ended_since(self, moment: float) -> list[Ledger]:
        """Return batches that have ended since a moment (local epoch seconds), as far as their results are known."""
        with self._lock:
            found = dict(self._known.items())
            for listed in self._recent:
                listed.let_results_go(moment)
                if listed.id not in found and (batch := listed.complete) is not None:
                    found[listed.id] = batch
            return [
                batch
                for batch in found.values()
                if batch.ended_at and batch.ended_at > moment and batch.id not in self._unfinished
            ]

    def recent(self, *, quiet: bool = False) -> list[Ledger]:
        """Return the batches that are worth listing, oldest first; with ``quiet`` the others, too, that are known."""
        with self._lock:
            found = {listed.id: listed.batch for listed in self._recent}
            if quiet:
                found.update(self._known.items())
                found.update(self._unfinished)
                found = {name: batch for name, batch in found.items() if batch.mends is None}
        return sorted(found.values(), key=lambda batch: batch.created_at) if quiet else list(found.values())

    # -- their ends

    def note_results(self, batch: Ledger, record: Record) -> list[Ledger]:
        """A record had results that were new: do what is due then. Returns what has ended: the batch, as a rule.

        What was submitted again counts in the batch that it repairs, too.
        """
        self.paces.note(batch, record)
        ended = []
        for one in (batch,) if batch.mends is None else (batch, batch.mends.batch):
            self.call_back(one)
            if one.all_ended:
                self.drop(one)
                ended.append(one)
        if (
            batch.origin.on_error == "stop"
            and batch.failed_count
            and not (batch.revoked_count or batch.all_ended)
        ):
            self.in_background(
                lambda: batch.revoke(
                    terminate=True, how="revoked, because another call of the map has failed"
                )
            )
        return ended

    def note_reused(self, batch: Ledger) -> None:
        """A batch has results that an earlier run has left: do what is due then."""
        self.call_back(batch)
        if batch.all_ended:
            self.drop(batch)

    def fail(self, batch: Ledger, error: Exception) -> None:
        """End a batch that can never be submitted; waiting for it raises the error."""
        batch.note_problem(error)
        if not (batch.parcel is not None and batch.parcel.sent):
            self.drop(batch)
        self.call_back(batch)
        if batch.mends is not None:
            # What it was to repair stays as it was.
            self.call_back(batch.mends.batch)
        batch.note_change()
        self.announce()

    def note_over(self, batch: Ledger) -> None:
        """A batch turned out to have ended without another result."""
        batch.note_change()
        self.drop(batch)
        self.call_back(batch)
        self.announce()

    def note_adopted(self, batch: Ledger) -> None:
        """A batch of another session is known as it is now; it may be over."""
        if batch.done:
            if batch.ended_at is None:
                batch.note_end(time.time())
            self.drop(batch)
            self.call_back(batch)

    # -- waiting

    def wait_for(
        self,
        ready: Callable[[], bool],
        timeout: float | None,
        eager: bool = False,
        read_here: Callable[[float, bool], bool] | None = None,
    ) -> bool:
        """Wait until ``ready()``, at most ``timeout`` seconds; returns whether it is.

        Args:
            eager: it is about one short call.
            read_here: reads what is told, on the thread that waits, for so many seconds at most; returns whether it
                could. Asked in the first moments only: who waits longer has time.
        """
        began = time.monotonic()
        deadline = None if timeout is None else began + timeout
        changed = self.changed
        while not ready():
            now = time.monotonic()
            left = 0.25 if deadline is None else min(0.25, deadline - now)
            if left <= 0:
                return False
            if read_here is not None and now - began < _SHORT_S and read_here(left, eager):
                continue
            with changed:
                if not ready():
                    # In short steps, so that the Stop button gets through on every platform.
                    changed.wait(left)
        return True

    # -- telling

    def announce(self) -> None:
        """Wake everybody who waits."""
        with self.changed:
            self.changed.notify_all()

    def when(
        self, batch: Ledger, ready: Callable[[], bool], action: Callable[[], None], duty: bool = False
    ) -> None:
        """Call ``action()`` once, on another thread, when ``ready()``, which is asked after each result.

        Args:
            duty: it is the library's own, and no user's callback.
        """
        start = self.in_background if duty else self._call
        batch.watchers.when(ready, functools.partial(start, action))
        self.call_back(batch)

    def call_back(self, batch: Ledger) -> None:
        """Start those actions of a batch that are due."""
        for start in batch.watchers.due():
            start()

    def _call(self, callback: Callable[[], object]) -> None:
        # Of a call that had ended before its App was closed: there is no thread any more, and nothing to wait for.
        if not self._callbacks.put(callback):
            do(callback)

    def in_background(self, action: Callable[[], object]) -> None:
        """Do something of the library's own that may wait, away from the listener's thread; one after another."""
        self._duties.put(action)

    def pack_in_background(self, action: Callable[[], object]) -> None:
        """Do something that packs users' objects, which is code of theirs: no duty waits for it."""
        self._packing.put(action)

    def close(self) -> None:
        """Start no more actions; those that were due may end, for some seconds."""
        self._duties.close(_DUTIES_S)
        self._packing.close(_DUTIES_S)
        if not self._callbacks.close(_CALLBACKS_S):
            _log.warning(
                "callbacks of then() have not ended after %g s: nobody waits for them any longer",
                _CALLBACKS_S,
            )
