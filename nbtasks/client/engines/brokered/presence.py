"""That this process is there, said every few seconds; and whether the broker still knows what it was told before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.periodicstore import SAID_MS
from nbtasks.core.clock import steady

if TYPE_CHECKING:
    from nbtasks.broker.verbs.periodicstore import PeriodicStore

#: For how long a client counts as there (ms), and the seconds between two times that it says so.
THERE_MS = 30_000
SAY_S = 5.0


class Presence:
    """Of one client.

    Attributes:
        client: its id.
        said_ms: when it was said last, by the server's clock; 0 before that.
    """

    def __init__(self, store: PeriodicStore, client: str) -> None:
        self.client = client
        self.said_ms = 0
        self._store = store
        self._said_at = 0.0
        self._lock = threading.Lock()

    def say(self) -> bool:
        """Say it; returns whether the broker has forgotten that it was said before.

        Then it was emptied, or put back to an older state. A broker that was away for long has forgotten nothing.

        Raises:
            OperationalError: the broker does not answer.
        """
        with self._lock:
            before, now_ms = self._store.say_there(self.client, THERE_MS)
            known, self.said_ms = self.said_ms, now_ms
            # After a week it forgets by itself.
            is_remembered = steady() - self._said_at < SAID_MS / 2000
            self._said_at = steady()
            return bool(known) and is_remembered and (before is None or before < known)

    def end(self) -> None:
        """Say that it has gone.

        Raises:
            OperationalError: the broker does not answer; that is known by itself then, some time later.
        """
        with self._lock:
            if self.said_ms:
                self._store.say_there(self.client, 0)
