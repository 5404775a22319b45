"""Who wants to know what happens to a batch: those who look now and then, and those who are called."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Watchers:
    """Everybody who wants to know about one batch."""

    def __init__(self) -> None:
        self._watching: list[Watcher] = []
        #: What is called once, and when it is due: that is asked after each result.
        self._waiting: list[tuple[Callable[[], bool], Callable[[], None]]] = []
        self._lock = threading.Lock()

    def add(self, ring: Callable[[], object] | None = None) -> Watcher:
        """Return a view of what changes from now on.

        Args:
            ring: called after each change, on the thread that has taken it in: it only wakes who looks.
        """
        watcher = Watcher(self, ring)
        with self._lock:
            self._watching = [*self._watching, watcher]
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """Tell it nothing any more."""
        with self._lock:
            self._watching = [item for item in self._watching if item is not watcher]

    def note(self, first: int, count: int) -> None:
        """Tell those who look that ``count`` calls from ``first`` on have changed."""
        for watcher in self._watching:
            watcher.note(first, count)

    @property
    def somebody_waits(self) -> bool:
        """Whether something is to be called later."""
        return bool(self._waiting)

    def when(self, ready: Callable[[], bool], start: Callable[[], None]) -> None:
        """Have ``start()`` among what is due, once, when ``ready()``."""
        with self._lock:
            self._waiting.append((ready, start))

    def due(self) -> list[Callable[[], None]]:
        """Return what is to be called now, and forget it."""
        if not self._waiting:
            return []
        with self._lock:
            due = [item for item in self._waiting if item[0]()]
            self._waiting = [item for item in self._waiting if item not in due]
        return [start for _, start in due]


class Watcher:
    """One reader's view of what has changed in a batch."""

    def __init__(self, watchers: Watchers, ring: Callable[[], object] | None = None) -> None:
        self._watchers = watchers
        self._ranges: list[tuple[int, int]] = []
        self._event = threading.Event()
        self._ring = ring or self._event.set

    def take(self) -> list[tuple[int, int]]:
        """Return the (first, count) of what has changed since the last look."""
        self._event.clear()
        ranges, self._ranges = self._ranges, []
        return ranges

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for any change, at most ``timeout`` seconds."""
        return self._event.wait(timeout)

    def close(self) -> None:
        """Stop watching."""
        self._watchers.remove(self)

    def note(self, first: int, count: int) -> None:
        """Calls have changed, or something else where ``count`` is 0."""
        if count:
            self._ranges.append((first, count))
        self._ring()
