"""One connection to a database, made on demand, over which verbs are said: each a function, and a transaction."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from nbtasks.broker.brokererrors import unavailable
from nbtasks.broker.patience import patiently
from nbtasks.broker.silence import has_fallen_silent, note_silence
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import BrokerUnavailable, NbtasksError
from nbtasks.core.unsendable import refuse_to_travel

from .sqldialect import Dialect
from .sqlschema import see_to_schema
from .sqltransaction import Transaction

T = TypeVar("T")

#: Seconds for which a verb is begun again that stands in others' way. Together with the pause before the next try of
#: who is patient it is less than five, as for Redis.
_ANSWER_S = 3.5
#: Short: whoever has the file lets go of it for a moment only, and nobody stands in a line for it.
_BETWEEN_COLLISIONS = Backoff(0.0003, 0.002, jitter=True)
#: Seconds after which who waits looks whether or not anything was written.
_LOOK_AGAIN_S = 2.5
#: Those connections of this process over which somebody waits just now.
_waiting: set[SqlLink] = set()
#: Seconds for which it is believed that namespace and queues have the numbers that they had. In a database that is put
#: back to an older state, of which nobody says a word, they may have others.
_NUMBERS_S = 5.0


class SqlLink:
    """A connection that any thread may use, one at a time.

    Args:
        namespace: whose data it sees.

    Attributes:
        label, block_s, patience_s, connections: as :class:`Connected` has them.
        dialect: the kind of database.
    """

    __stays_here__ = (
        "it may know its server's password. In a task, nbtasks.App.current() has a connection of its own"
    )
    __reduce_ex__ = refuse_to_travel

    def __init__(self, dialect: Dialect, namespace: str) -> None:
        self.dialect = dialect
        self.label = dialect.label
        self.block_s = dialect.block_s
        self.patience_s = 0.0
        self.connections = 0
        self._namespace = namespace
        self._ns = 0
        self._queues: dict[str, int] = {}
        self._numbers_until = 0.0
        self._lock = threading.Lock()
        self._connection: Any = None
        #: When the server was last heard on this connection (monotonic).
        self._heard_at = 0.0
        self._is_seen_to = False
        #: Set when the connection was cut under somebody who waits, or what he waits for may come soon.
        self._wake = threading.Event()
        self._is_cut = False

    # -- verbs

    def read(self, verb: Callable[..., T], *args: Any) -> T:
        """Say a verb that changes nothing.

        Raises:
            BrokerUnavailable: the database could not be opened, or has not done it.
        """
        return self._say(verb, args)

    def write(self, verb: Callable[..., T], *args: Any) -> T:
        """Say a verb; what it did is on the disk when this returns.

        Raises:
            BrokerUnavailable: nobody knows whether it was done.
        """
        return self._say(verb, args, writes=True)

    def write_lazily(self, verb: Callable[..., T], *args: Any) -> T:
        """Say a verb whose loss costs no call: it may come to the disk later."""
        return self._say(verb, args, writes=True, lazily=True)

    def _say(
        self, verb: Callable[..., T], args: tuple[Any, ...], *, writes: bool = False, lazily: bool = False
    ) -> T:
        def said(connection: Any) -> T:
            return self._transact(connection, lambda tx: verb(tx, *args), writes=writes, lazily=lazily)

        return patiently(self.patience_s, lambda: self._guarded(said))

    def _transact(
        self, connection: Any, action: Callable[[Transaction], T], *, writes: bool, lazily: bool
    ) -> T:
        with self.dialect.in_use():
            talk = self.dialect.begin(connection, writes=writes, lazily=lazily)
            try:
                found = action(Transaction(talk, self.dialect, self._ns, self._queues))
                talk.end()
                self._heard_at = time.monotonic()
                if writes and not lazily:
                    self._refuse_elsewhere(connection)
            except BaseException:
                # Numbers of queues that were made in it are none.
                self._queues.clear()
                # What has failed first says more than that it cannot be undone over a connection that is lost.
                with contextlib.suppress(Exception):
                    talk.undo()
                raise
        return found

    def _refuse_elsewhere(self, connection: Any) -> None:
        """What was written where nobody looks any more is said again, where they look."""
        if self.dialect.is_elsewhere(connection, for_sure=True):
            raise self.closed()

    # -- waiting

    def look_at(self, look: Callable[[], T]) -> tuple[object, T]:
        """Look; returns what had been written before, and what was found."""
        return self._written(), look()

    def wait_for(self, look: Callable[[], T], until: float, last: tuple[object, T] | None = None) -> T:
        """Look again and again until there is something, or until a moment (monotonic); returns the last look.

        Args:
            last: what :meth:`look_at` has returned a moment ago, where it has looked.

        Raises:
            BrokerUnavailable: the connection was cut meanwhile.
        """
        looked_at, looks = time.monotonic(), 0
        written, found = self.look_at(look) if last is None else last
        connection = self.connections
        while not found:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return found
            woken = self._pause(min(left_s, self.dialect.polls.after(looks + 1)))
            looks = 0 if woken else looks + 1
            before, written = written, self._written()
            if written is None or written != before or time.monotonic() > looked_at + _LOOK_AGAIN_S:
                found, looked_at = look(), time.monotonic()
            if self.connections != connection:
                raise self.closed()
        return found

    def closed(self) -> BrokerUnavailable:
        """Return the error of what has waited over a connection that there is no more."""
        return unavailable(self.label, ConnectionError("the connection was closed"))

    def hasten(self) -> None:
        """Have who waits over another connection of this process look as often as who has just begun to wait.

        What was submitted over this one may be answered at once, and by another process, which can wake nobody here.
        """
        for link in _waiting.copy():
            if link.label == self.label:
                link._wake.set()

    def _pause(self, seconds: float) -> bool:
        """Wait; returns whether that was ended."""
        _waiting.add(self)
        try:
            woken = self._wake.wait(seconds)
        finally:
            _waiting.discard(self)
        if woken:
            self._wake.clear()
        if self._is_cut:
            self.close()
            raise self.closed()
        return woken

    def _written(self) -> object:
        def asked(connection: Any) -> object:
            with self.dialect.in_use():
                return self.dialect.written(connection)

        return self._guarded(asked)

    # -- the connection

    @property
    def connected(self) -> bool:
        """Whether there is a connection that was usable when used last, or one over which tables are made just now."""
        return self._connection is not None or self._is_seen_to

    def _guarded(self, action: Callable[[Any], T]) -> T:
        """Do something with the connection, again where others are in the way; it is dropped if it is lost."""
        give_up_at, collisions = time.monotonic() + _ANSWER_S, 0
        while True:
            with self._lock:
                try:
                    return action(self._open())
                except NbtasksError as error:
                    self._note_silence(error)
                    raise
                except Exception as error:
                    self._note_silence(error)
                    again = self.dialect.is_again(error) and time.monotonic() < give_up_at
                    if not again or self.dialect.is_lost(error):
                        self._drop()
                    if not again:
                        raise self.dialect.meaning(error) from error
                except BaseException:
                    # Anything that comes between a statement and its answer would give that to the next one.
                    self._drop()
                    raise
            collisions += 1
            time.sleep(_BETWEEN_COLLISIONS.after(collisions))

    def _note_silence(self, error: Exception) -> None:
        if silence_s := self.dialect.silence_s(error):
            note_silence(self.label, silence_s)

    def _open(self) -> Any:
        if self._connection is not None:
            if not has_fallen_silent(self.label, self._heard_at) and self._is_right(self._connection):
                return self._connection
            self._drop()
        try:
            with self.dialect.in_use():
                connection = self._connected_anew()
            self._is_cut = False
            self._connection = connection
        finally:
            # Not before: who connects for the first time would hear in between that there is no server.
            self._is_seen_to = False
        self.connections += 1
        return connection

    def _is_right(self, connection: Any) -> bool:
        """Whether a connection leads to where it should, and numbers are what they were there."""
        if self.dialect.is_elsewhere(connection):
            return False
        now = time.monotonic()
        if now > self._numbers_until:
            self._numbers_until = now + _NUMBERS_S
            return self._transact(connection, self._has_numbers, writes=False, lazily=False)
        return True

    def _has_numbers(self, tx: Transaction) -> bool:
        own, queues = tx.each(
            ("SELECT ns FROM @namespaces WHERE name = ?", self._namespace),
            ("SELECT address, queue FROM @queues WHERE ns = ?", self._ns),
        )
        there: dict[str, int] = dict(queues)
        is_own = [number for (number,) in own] == [self._ns]
        return is_own and all(there.get(address) == number for address, number in self._queues.items())

    def _connected_anew(self) -> Any:
        connection = self.dialect.connect()
        try:
            self._is_seen_to = True
            see_to_schema(self.dialect, connection)
            self.dialect.begin_life(connection)
            self._queues, self._numbers_until = {}, time.monotonic() + _NUMBERS_S
            self._ns = self._transact(connection, self._namespace_number, writes=False, lazily=False)
            if not self._ns:
                self._ns = self._transact(connection, self._new_namespace, writes=True, lazily=False)
        except BaseException:
            with contextlib.suppress(Exception):
                connection.close()
            raise
        return connection

    def _namespace_number(self, tx: Transaction) -> int:
        return tx.value("SELECT ns FROM @namespaces WHERE name = ?", self._namespace) or 0

    def _new_namespace(self, tx: Transaction) -> int:
        tx.put("@namespaces", ("name",), {"name": self._namespace})
        return self._namespace_number(tx)

    def close(self) -> None:
        """Close the connection; the next verb opens a new one."""
        with self._lock:
            self._drop()

    def abort(self) -> None:
        """Cut the connection under a verb that another thread waits for."""
        connection = self._connection
        self._is_cut = True
        self._wake.set()
        if connection is not None:
            self.dialect.cut(connection)
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def disown(self) -> None:
        """Let go of the connection in a process that was forked off: the parent's goes on."""
        self.forsake()

    def forsake(self) -> None:
        """Let go of the connection in a forked copy of the process; it stays open for the process itself."""
        connection, self._connection, self._lock = self._connection, None, threading.Lock()
        self._wake, self._is_cut = threading.Event(), False
        if connection is not None:
            self.dialect.let_go(connection)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception), self.dialect.in_use():
                connection.close()
