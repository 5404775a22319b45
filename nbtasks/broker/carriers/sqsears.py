"""Long polls of Amazon SQS: it waits for messages of one queue in one request, so each queue has a thread that asks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

#: Seconds of one poll: the longest that there are.
POLL_S = 20
#: Seconds after an error until it is asked again.
_AGAIN_S = 1.0


class SqsEars:
    """Asks as long as somebody waits, and keeps the first message that comes; what comes besides goes back at once.

    Args:
        receive: asks for a message to an address for up to so many seconds; returns its handle, None where none came.
        give_back: lets somebody else have one: (address, handle).
    """

    def __init__(
        self, receive: Callable[[str, int], str | None], give_back: Callable[[str, str], Any]
    ) -> None:
        self._receive = receive
        self._give_back = give_back
        self._changed = threading.Condition()
        self._threads: dict[str, threading.Thread] = {}
        self._addresses: frozenset[str] = frozenset()
        self._is_wanted = False
        self._is_over = False
        self._brought: tuple[str, str] | None = None
        self._error: Exception | None = None

    def wait(self, addresses: Collection[str], within_s: float) -> tuple[str, str] | None:
        """Return (address, handle) of what came first; it stays until :meth:`settled`.

        Raises:
            Exception: what one of the polls has raised.
        """
        with self._changed:
            self._addresses = frozenset(addresses)
            self._is_wanted = True
            for address in self._addresses - self._threads.keys():
                thread = threading.Thread(target=self._ask, args=(address,), name="nbtasks-sqs", daemon=True)
                self._threads[address] = thread
                thread.start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._brought or self._error, within_s)
            error, self._error = self._error, None
            if error is not None and self._brought is None:
                raise error
            return self._brought

    def settled(self, served: bool) -> tuple[str, str] | None:
        """Return what was brought, which is this one's no more.

        Args:
            served: nobody waits now.
        """
        with self._changed:
            brought, self._brought = self._brought, None
            self._is_wanted = self._is_wanted and not served
            return brought

    def end(self) -> None:
        """Ask no more; what a poll that is under way brings goes back, and who waits is told that it is over."""
        with self._changed:
            self._is_over, self._is_wanted = True, False
            self._error = ConnectionAbortedError("the connection was closed")
            self._changed.notify_all()

    def _ask(self, address: str) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over or self._is_due(address))
                if self._is_over:
                    return
            try:
                handle = self._receive(address, POLL_S)
            except Exception as error:  # noqa: BLE001  # who waits raises it
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                time.sleep(_AGAIN_S)
                continue
            if handle is not None and not self._keep(address, handle):
                with contextlib.suppress(Exception):
                    self._give_back(address, handle)

    def _is_due(self, address: str) -> bool:
        return self._is_wanted and self._brought is None and address in self._addresses

    def _keep(self, address: str, handle: str) -> bool:
        with self._changed:
            if not self._is_due(address):
                return False
            self._brought = address, handle
            self._changed.notify_all()
            return True
