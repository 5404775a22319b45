"""One thread that reads the session's event stream and feeds every batch.

A push is a hint, the store is the truth: after a lost connection, and now and then, the store is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from nbtasks.broker.link import BLOCK_S, Link
from nbtasks.broker.store import Event, Store
from nbtasks.core.errors import OperationalError

_BLOCK_MS = round(BLOCK_S * 1000)
_RECONCILE_S = 10.0
#: Events. The server stops sending whole records to a client that leaves many unread.
_TRIM_EVERY = 200


class Listener:
    """Reads events until closed.

    Args:
        session: returns the session's current id.
        on_events: takes events in.
        on_reconcile: asks the store about every unfinished batch.
        on_silence: called when nothing has come for some seconds; asks whether the broker still has everything.
    """

    def __init__(
        self,
        link: Link,
        store: Store,
        session: Callable[[], str],
        on_events: Callable[[list[Event]], None],
        on_reconcile: Callable[[], None],
        on_silence: Callable[[], object],
    ) -> None:
        self._link = link
        self._store = store
        self._session = session
        self._on_events = on_events
        self._on_reconcile = on_reconcile
        self._on_silence = on_silence
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="nbtasks-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._closed = True
        self._link.abort()

    def turn(self) -> None:
        """Read another session's events from now on: what is waited for now will never come."""
        self._link.abort()

    def _loop(self) -> None:
        session, after = self._session(), b"0-0"
        reconciled, untrimmed = time.monotonic(), 0
        broken, delay, connections = False, 0.05, 0
        while not self._closed:
            try:
                if session != self._session():
                    session, after = self._session(), b"0-0"
                broken = broken or connections not in {0, self._link.connections}
                if broken or time.monotonic() - reconciled > _RECONCILE_S:
                    self._on_reconcile()
                    broken, reconciled, delay = False, time.monotonic(), 0.05
                    connections = self._link.connections
                events = self._store.events(session, after, _BLOCK_MS)
                connections = connections or self._link.connections
                if not events:
                    self._on_silence()
                else:
                    after = events[-1].id
                    self._on_events(events)
                    untrimmed += len(events)
                    if untrimmed > _TRIM_EVERY:
                        untrimmed = 0
                        self._store.trim_events(session, after)
            except OperationalError:
                broken = True
                if not self._closed:
                    time.sleep(delay)
                    delay = min(1.0, delay * 2)
            except Exception:
                import logging

                broken = True
                logging.getLogger("nbtasks").exception("events could not be taken in")
                time.sleep(1.0)
