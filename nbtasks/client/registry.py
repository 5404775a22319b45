"""The live records of a session: which batches are followed, who waits for them, what is called when they end."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .batch import Batch

_log = logging.getLogger("nbtasks")
_MOST_REMEMBERED = 1000


class Registry:
    """The batches of one session. A batch that nobody holds a handle of any more goes by itself once it has ended.

    Attributes:
        changed: notified after every change; whoever waits for a batch waits on it.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._unfinished: dict[str, Batch] = {}
        self._known: weakref.WeakValueDictionary[str, Batch] = weakref.WeakValueDictionary()
        self._recent: deque[Batch] = deque(maxlen=_MOST_REMEMBERED)
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def add(self, batch: Batch) -> None:
        """Have results of a batch taken in from now on."""
        with self._lock:
            self._unfinished[batch.id] = batch
            self._known[batch.id] = batch
            if not batch.quiet:
                self._recent.append(batch)

    def drop(self, batch: Batch) -> None:
        """Take no more results of a batch in."""
        with self._lock:
            self._unfinished.pop(batch.id, None)

    def known(self, id: str) -> Batch | None:
        """Return a batch that somebody holds, ended or not."""
        return self._known.get(id)

    def unfinished(self, id: str) -> Batch | None:
        """Return a batch whose results are taken in."""
        return self._unfinished.get(id)

    def all_unfinished(self) -> list[Batch]:
        """Return all batches whose results are taken in."""
        with self._lock:
            return list(self._unfinished.values())

    def disowned(self) -> list[Batch]:
        """Return the same in a process that was forked off, where a thread that is not there may hold the lock."""
        return list(self._unfinished.values())

    def ended_since(self, moment: float) -> list[Batch]:
        """Return batches that have ended since a moment (local epoch seconds)."""
        with self._lock:
            known = list(self._known.values())
            return [
                batch
                for batch in known
                if batch.ended_at and batch.ended_at > moment and batch.id not in self._unfinished
            ]

    def recent(self, *, quiet: bool = False) -> list[Batch]:
        """Return the batches that are worth listing, oldest first; with ``quiet`` the others, too, that are known."""
        with self._lock:
            found = {batch.id: batch for batch in self._recent}
            if quiet:
                found.update(self._known.items())
                found.update(self._unfinished)
        return sorted(found.values(), key=lambda batch: batch.created_at) if quiet else list(found.values())

    # -- their ends

    def fail(self, batch: Batch, error: Exception) -> None:
        """End a batch that can never be submitted; waiting for it raises the error."""
        batch.problem = error
        if not batch.sent_something:
            self.drop(batch)
        self.call_back(batch)
        batch.note_change()
        self.announce()

    def finish_empty(self, batch: Batch) -> None:
        """A batch turned out to have ended without another result."""
        batch.note_change()
        self.drop(batch)
        self.call_back(batch)
        self.announce()

    def note_adopted(self, batch: Batch) -> None:
        """A batch of another session is known as it is now; it may be over."""
        if batch.done:
            batch.ended_at = batch.ended_at or time.time()
            self.drop(batch)
            self.call_back(batch)

    # -- telling

    def announce(self) -> None:
        """Wake everybody who waits."""
        with self.changed:
            self.changed.notify_all()

    def when(self, batch: Batch, ready: Callable[[], bool], action: Callable[[], None]) -> None:
        """Call ``action()`` once, on a thread of its own, when ``ready()``, which is asked after each result."""
        with self._lock:
            batch.callbacks.append((ready, action))
        self.call_back(batch)

    def call_back(self, batch: Batch) -> None:
        """Start those actions of a batch that are due."""
        if not batch.callbacks:
            return
        with self._lock:
            due = [item for item in batch.callbacks if item[0]()]
            batch.callbacks = [item for item in batch.callbacks if item not in due]
        for _, action in due:
            self.in_background(action)

    def in_background(self, action: Callable[[], object]) -> None:
        """Run something that may wait, away from the listener's thread."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="nbtasks-callbacks")
        self._pool.submit(_logged, action)

    def close(self) -> None:
        """Start no more actions."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)


def _logged(action: Callable[[], object]) -> None:
    try:
        action()
    except Exception:
        _log.exception("a callback failed")
