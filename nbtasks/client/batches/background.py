"""Threads that do one thing after another, away from whoever asks for it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger("nbtasks")


class Background:
    """At most so many threads, each begun when there is something to do that no other one has time for.

    They do not keep the interpreter from ending; :meth:`close` waits for what they do.

    Args:
        name: of the threads, for debuggers.
        most: threads; with one, things are done in order.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._waiting: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closed = False

    def put(self, action: Callable[[], object]) -> bool:
        """Do something soon; what it raises is logged. Returns False, and leaves it out, when closed."""
        with self._changed:
            if self._closed:
                return False
            self._waiting.append(action)
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif len(self._threads) < self._most:
                thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                # At the interpreter's end none can be started any more; then it is done by who closes.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._threads.add(thread)
            return True

    def close(self, wait_s: float) -> bool:
        """Take no more, and wait until all is done, so many seconds at most; returns whether it is.

        What has not begun by then is left out.
        """
        deadline = time.monotonic() + wait_s
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            me = threading.current_thread()
            while self._threads - {me} and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            left_out = list(self._waiting) if not self._threads else []
            self._waiting.clear()
            ended = not self._threads - {me}
        for action in left_out:
            do(action)
        return ended

    def _loop(self) -> None:
        while (action := self._next()) is not None:
            do(action)
            # Nothing is kept alive here while there is nothing to do.
            del action

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads.discard(threading.current_thread())
            self._changed.notify_all()
            return None


def do(action: Callable[[], object]) -> None:
    """Do something now; what it raises is logged."""
    try:
        action()
    except BaseException:
        # A user's callback may raise anything, and the next one is another's.
        _log.exception("a callback failed")
