"""The one thread that keeps live cards up to date: five times a second while there are any, asleep otherwise.

Widgets are not thread-safe, so nothing else writes to them. Whoever wants something of a card (a button in
the page, a waiting cell) leaves a note here.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

TICK_S = 0.2
#: Before a new card's first tick: many a task has ended by then.
FIRST_TICK_S = 0.06

_log = logging.getLogger("nbtasks")


class Live(Protocol):
    """What the writer keeps up to date."""

    def tick(self, now: float) -> bool:
        """Bring the view up to date; returns whether it goes on."""
        ...


class Writer:
    """Runs ticks and notes, each on its one thread."""

    def __init__(self) -> None:
        self._notes: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._live: list[Live] = []
        self._next_tick = 0.0
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def follow(self, live: Live) -> None:
        """Keep ``live`` up to date until it says that it is done; that it is followed already does not matter."""
        self.note(lambda: self._follow(live))

    def note(self, action: Callable[[], None]) -> None:
        """Have ``action`` run soon on the writer's thread. Never waits; safe on any thread."""
        self._notes.put(action)
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                # With an empty context, so that output is no cell's own on every version of Python.
                run = contextvars.Context().run
                self._thread = threading.Thread(
                    target=run, args=(self._run,), name="nbtasks-cards", daemon=True
                )
                self._thread.start()

    def _follow(self, live: Live) -> None:
        if live not in self._live:
            self._live.append(live)
        self._next_tick = min(self._next_tick, time.monotonic() + FIRST_TICK_S)

    def _run(self) -> None:
        while True:
            try:
                left = max(0.0, self._next_tick - time.monotonic()) if self._live else None
                self._do(self._notes.get(timeout=left))
            except queue.Empty:
                self._tick()

    def _tick(self) -> None:
        now = time.time()
        self._live = [live for live in self._live if self._goes_on(live, now)]
        self._next_tick = time.monotonic() + TICK_S

    def _goes_on(self, live: Live, now: float) -> bool:
        try:
            return live.tick(now)
        except (Exception, SystemExit):  # noqa: BLE001 - a card that breaks stays as it is; others and the tasks go on
            _log.debug("a card could not be updated", exc_info=True)
            return False

    def _do(self, action: Callable[[], None]) -> None:
        try:
            action()
        except (Exception, SystemExit):  # noqa: BLE001 - as above
            _log.debug("a card's button failed", exc_info=True)
