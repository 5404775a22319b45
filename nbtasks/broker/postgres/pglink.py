"""One connection to a PostgreSQL, made on demand, over which verbs are said: each a function, and a transaction."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from nbtasks.broker.brokererrors import BrokerLoading, LoginRefused, unavailable
from nbtasks.broker.patience import patiently
from nbtasks.broker.pgurl import PgUrl
from nbtasks.broker.silence import has_fallen_silent, note_silence
from nbtasks.broker.unreachable import plain
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import BrokerUnavailable, ConfigError, NbtasksError
from nbtasks.core.unsendable import refuse_to_travel

from .pgconnection import ANSWER_S, CONNECT_S, PgConnection
from .pgerrors import AGAIN, is_crowded, is_lost, is_starting, login_problem, silent, translated_pg
from .schema import Schema

T = TypeVar("T")

#: Seconds for which somebody may be waited for; and where no network lies between.
_BLOCK_S, _LOCAL_BLOCK_S = 2.5, 30.0
#: Seconds after which who waits to be told looks by itself: whoever was to tell it, or was told in its place, may have
#: died. Over a network, that finds out as well that there is none any more: with the time for an answer it is less than
#: five.
_LOOK_AGAIN_S, _LOCAL_LOOK_AGAIN_S = 1.0, 2.5
#: Seconds after which who waits notices what another connection of this process has found out.
_NOTICE_S = 0.5
#: Seconds between two looks of who waits behind a pooler, where nobody is woken: at first, and at most.
_POLLS = Backoff(0.005, 0.25)
#: Times that a verb is said again which stood in another one's way.
_MOST_COLLISIONS = 5
#: So many bytes in one verb, as a function that captures much, and how many seconds more each time so many may take.
_MUCH, _FOR_MUCH_S = 4 * 2**20, 1.0


class PgLink:
    """A connection that any thread may use, one at a time.

    Args:
        label: the URL without its password, for messages.
        namespace: whose data it sees.

    Attributes:
        block_s, patience_s, connections: as :class:`Connected` has them.
        channel: on which it is woken; None behind a pooler: there nobody is.
        look_again_s: seconds after which who waits to be told looks by itself.
        server: names the server behind the last connection, by what it has promised to keep: see ``server_life``.
    """

    __stays_here__ = (
        "it knows its server's password. In a task, nbtasks.App.current() has a connection of its own"
    )
    __reduce_ex__ = refuse_to_travel

    def __init__(self, url: PgUrl, label: str, namespace: str) -> None:
        self.label = label
        self.block_s = _LOCAL_BLOCK_S if url.is_local else _BLOCK_S
        self.look_again_s = _LOCAL_LOOK_AGAIN_S if url.is_local else _LOOK_AGAIN_S
        self.patience_s = 0.0
        self.connections = 0
        self.channel: str | None = None
        self.server = ""
        self._url = url
        self._namespace = namespace
        self._ns = 0
        self._statements: dict[tuple[str, int], bytes] = {}
        self._lock = threading.Lock()
        self._connection: PgConnection | None = None
        #: When the server was last heard on this connection (monotonic).
        self._heard_at = 0.0
        self._is_pooled = bool(url.pooler)
        self._is_seen_to = False

    # -- verbs

    def rows(self, verb: str, *args: Any) -> list[tuple[Any, ...]]:
        """Say a verb; return its rows.

        Raises:
            BrokerUnavailable: the connection could not be made or was lost; nobody knows whether it was done.
        """
        return patiently(self.patience_s, lambda: self._talk([(verb, args)]))[0]

    def one(self, verb: str, *args: Any) -> Any:
        """Say a verb that answers with one value; return that."""
        return self.rows(verb, *args)[0][0]

    def several(
        self, verbs: Sequence[tuple[str, Sequence[Any]]], on_first: Callable[[Any], None] | None = None
    ) -> list[list[tuple[Any, ...]]]:
        """Say several, each a transaction of its own, in one round trip. Tried once.

        Args:
            on_first: called with the rows of the first one, before the others are waited for.
        """
        return self._talk(verbs, on_first)

    def lasting(self, verb: str, *args: Any, size: int = 0) -> Any:
        """Say a verb that answers with one value and waits for no disk, and wait for the disk; return the value.

        Args:
            size: bytes that it brings, about: the server may need longer for many.
        """
        verbs = [(verb, args), ("on_disk", ())]
        return patiently(self.patience_s, lambda: self._talk(verbs, more_s=size // _MUCH * _FOR_MUCH_S))[0][
            0
        ][0]

    def life(self) -> str:
        """Return what names the server's life, between whose runs it has forgotten nothing that it had confirmed."""
        return str(self.one("server_life"))

    def _talk(
        self,
        verbs: Sequence[tuple[str, Sequence[Any]]],
        on_first: Callable[[Any], None] | None = None,
        more_s: float = 0.0,
    ) -> list[list[tuple[Any, ...]]]:
        def talk(connection: PgConnection) -> list[list[tuple[Any, ...]]]:
            if len(verbs) == 1:
                found = [self._say(connection, *verbs[0]).fetchall()]
                if on_first is not None:
                    on_first(found[0])
                return found
            with connection.pipeline() as pipeline:
                cursors = []
                for verb, args in verbs:
                    cursors.append(self._say(connection, verb, args))
                    pipeline.sync()
                found = []
                for cursor in cursors:
                    found.append(cursor.fetchall())
                    if on_first is not None and len(found) == 1:
                        on_first(found[0])
            return found

        def talk_longer(connection: PgConnection) -> list[list[tuple[Any, ...]]]:
            with connection.allowing(more_s):
                return talk(connection)

        return self.guarded(talk_longer if more_s else talk)

    def _say(self, connection: PgConnection, verb: str, args: Sequence[Any]) -> psycopg.Cursor[Any]:
        key = verb, len(args)
        if key not in self._statements:
            marks = sql.SQL(", ").join([sql.SQL("%b::bigint"), *[sql.SQL("%b")] * len(args)])
            name = sql.Identifier(self._url.schema, verb)
            self._statements[key] = sql.SQL("SELECT * FROM {}({})").format(name, marks).as_bytes(connection)
        # Behind a pooler the next transaction may come to another server process, which has not prepared it.
        prepare = not self._is_pooled
        return connection.execute(self._statements[key], (self._ns, *args), prepare=prepare, binary=True)

    # -- waiting

    def wait_to_be_told(self, within_s: float, looks: int) -> bool:
        """Wait until this connection is woken, or behind a pooler until it is time to look again.

        Args:
            looks: how often it was looked in vain.

        Returns whether it is worth to look.
        """
        if self.channel is None:
            pause_s = _POLLS.after(looks + 1)
            time.sleep(max(0.0, min(within_s, pause_s)))
            return within_s > pause_s
        with self._lock:
            try:
                # Whoever is interrupted here has taken nothing, so the connection is kept.
                if self._connection is not None and self._is_doubtful():
                    raise _doubtful()
                return self._woken(self._open(), time.monotonic() + within_s)
            except (psycopg.Error, OSError) as error:
                self._drop()
                raise unavailable(self.label, error) from error

    def _woken(self, connection: PgConnection, until: float) -> bool:
        while not self._is_doubtful():
            left_s = max(0.0, until - time.monotonic())
            if connection.wait_to_be_told(min(left_s, _NOTICE_S)):
                self._heard_at = time.monotonic()
                return True
            if left_s <= _NOTICE_S:
                return False
        raise _doubtful()

    def lying_down(self) -> str | None:
        """Return the channel on which this connection is woken from now on; None behind a pooler.

        What it was woken for before is about to be looked at.
        """

        def note(connection: PgConnection) -> str | None:
            connection.told = False
            if self.channel is not None and not connection.listens:
                # Not before: the server wakes each connection that listens, whomever a notification is for.
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self.channel)))
                connection.listens = True
            return self.channel

        return self.guarded(note)

    # -- the connection

    @property
    def connected(self) -> bool:
        """Whether the last verb left a usable connection, or there is one over which the schema is made just now."""
        return self._connection is not None or self._is_seen_to

    def guarded(self, action: Callable[[PgConnection], T]) -> T:
        """Do something with the connection, which is dropped if anything goes wrong with it."""
        with self._lock:
            collisions = 0
            while True:
                try:
                    found = action(self._open())
                    self._heard_at = time.monotonic()
                    return found
                except psycopg.Error as error:
                    if isinstance(error, psycopg.errors.ConnectionTimeout):
                        note_silence(self.label, CONNECT_S)
                    lost = is_lost(error)
                    if lost or self._in_the_middle():
                        self._drop()
                    if error.sqlstate in AGAIN and collisions < _MOST_COLLISIONS:
                        collisions += 1
                        continue
                    if lost and not error.sqlstate:
                        raise unavailable(self.label, error) from error
                    raise self._for_now(translated_pg(error, self.label)) from error
                except ConfigError as error:
                    raise self._for_now(error) from None
                except OSError as error:
                    was_connected = self._connection is not None
                    if isinstance(error, TimeoutError):
                        note_silence(self.label, ANSWER_S)
                    self._drop()
                    if was_connected and isinstance(error, TimeoutError):
                        raise silent(error, self.label) from None
                    raise unavailable(self.label, error) from error
                except BaseException:
                    # Anything that comes between a verb and its answer would give the answer to the next verb.
                    self._drop()
                    raise

    def _for_now(self, error: NbtasksError) -> NbtasksError:
        """Return an error as one that passes, where what is refused was right before.

        Login, rights or tables are being changed, or another server has their place.
        """
        return LoginRefused(str(error)) if self.connections and isinstance(error, ConfigError) else error

    def _in_the_middle(self) -> bool:
        connection = self._connection
        return (
            connection is not None
            and connection.pgconn.transaction_status != psycopg.pq.TransactionStatus.IDLE
        )

    def _open(self) -> PgConnection:
        connection = self._connection
        if connection is not None and not connection.closed and not self._is_doubtful():
            return connection
        self._drop()
        connection = self._connect()
        self._is_seen_to = True
        try:
            Schema(self._url.schema, self.label).see_to(connection)
            self._is_pooled = self._pooled(connection)
            self.channel = None if self._is_pooled else f"nbtasks_{secrets.token_hex(8)}"
            schema = self._url.schema
            asked = sql.SQL("SELECT {}(%b), {}(0)").format(
                sql.Identifier(schema, "namespace"), sql.Identifier(schema, "server_life")
            )
            found = connection.execute(asked, (self._namespace,), binary=True).fetchone()
            assert found is not None
            self._ns, self.server = found
            connection.limit_s = ANSWER_S
        except BaseException:
            connection.close()
            raise
        finally:
            self._is_seen_to = False
        self._connection = connection
        self._heard_at = time.monotonic()
        self.connections += 1
        return connection

    def _is_doubtful(self) -> bool:
        return has_fallen_silent(self.label, self._heard_at)

    def _connect(self) -> PgConnection:
        try:
            return PgConnection.to(self._url)
        except psycopg.Error as error:
            problem = login_problem(error, self.label)
            if problem is not None:
                raise problem from None
            if is_starting(error):
                raise BrokerLoading(f"the broker at {self.label} is still starting") from error
            if is_crowded(error):
                raise BrokerUnavailable(
                    f"the broker at {self.label} serves as many clients as it may ({plain(error)}): end what keeps "
                    "connections to it open, put a pooler such as PgBouncer before it, or raise its max_connections"
                ) from error
            raise

    def _pooled(self, connection: PgConnection) -> bool:
        """Whether a pooler stands between: it has told us a process that is not the one which answers."""
        if self._url.pooler is not None:
            return self._url.pooler
        answering = _only(connection.execute("SELECT pg_backend_pid()", prepare=False))
        return bool(answering != connection.info.backend_pid)

    def close(self) -> None:
        """Close the connection; the next verb opens a new one."""
        with self._lock:
            self._drop()

    def abort(self) -> None:
        """Cut the connection under a verb that another thread waits for."""
        connection = self._connection
        if connection is not None:
            connection.cut()
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
        if connection is not None:
            connection.let_go()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()


def _doubtful() -> Exception:
    return ConnectionError("another connection got no answer")


def _only(cursor: psycopg.Cursor[Any]) -> Any:
    """Return the one value that was asked for."""
    row = cursor.fetchone()
    return None if row is None else row[0]
