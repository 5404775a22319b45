"""SQLite and forks: no connection is in the middle of anything when this process is forked, and the copy has none.

SQLite keeps for a whole process which locks it has on a file. A copy of the process has that list and none of the
locks: whatever it opened later would be without, and could take the file's log away under others. So the copy closes
what it has inherited before it does anything else. That takes no lock away from the process that it is a copy of.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator

#: Seconds for which a fork waits for what is under way.
_PATIENCE_S = 10.0


class ForkGate:
    """Counts what is under way, and has a fork wait for it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._under_way = 0
        self._forking = False
        self._connections: weakref.WeakSet[sqlite3.Connection] = weakref.WeakSet()
        #: Whether this thread is one of those that are counted.
        self._own = threading.local()

    def add(self, connection: sqlite3.Connection) -> None:
        """Know a connection, which a copy of this process closes."""
        self._connections.add(connection)

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Something is done with a connection; not while this process is being forked. It may be a part of another."""
        if getattr(self._own, "is_counted", False):
            yield
            return
        with self._condition:
            while self._forking:
                self._condition.wait()
            self._under_way += 1
        self._own.is_counted = True
        try:
            yield
        finally:
            self._own.is_counted = False
            with self._condition:
                self._under_way -= 1
                if self._forking:
                    self._condition.notify_all()

    def before(self) -> None:
        """This process is about to be forked."""
        with self._condition:
            self._forking = True
            self._condition.wait_for(lambda: not self._under_way, _PATIENCE_S)

    def go_on(self) -> None:
        """It was forked."""
        with self._condition:
            self._forking = False
            self._condition.notify_all()

    def begin_anew(self) -> None:
        """This is the copy."""
        inherited = list(self._connections) if not self._under_way else []
        self.__init__()  # type: ignore[misc]  # whoever held its lock is not in this process
        for connection in inherited:
            with contextlib.suppress(Exception):
                connection.close()


gate = ForkGate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.before, after_in_parent=gate.go_on, after_in_child=gate.begin_anew)
