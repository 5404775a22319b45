"""MariaDB and MySQL: InnoDB, over PyMySQL."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CLIENT
from pymysql.converters import conversions, escape_bytes

from nbtasks.broker.brokererrors import LoginRefused, unavailable
from nbtasks.broker.unreachable import plain
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import (
    BackPressure,
    BrokerUnavailable,
    BrokerUnsuitable,
    ConfigError,
    NbtasksError,
    OperationalError,
)
from nbtasks.core.servergauges import ServerGauges

from .mysqltalk import MysqlTalk
from .sqldialect import Statements, with_tables

if TYPE_CHECKING:
    from nbtasks.broker.mysqlurl import MysqlUrl

#: What stands before our tables' names: others may be in the same database.
_PREFIX = "nbtasks_"
#: The oldest ones that pass over rows which others have locked.
_OLDEST = {"mariadb": (10, 6), "mysql": (8, 0)}
#: Seconds until an answer is given up: while one is let in, and afterwards. With what comes before the next try it is
#: less than five, as for Redis; and others may have a row for less long than that.
_CONNECT_S, _ANSWER_S = 3, 4
#: The other end's kernel answers these, however slow the server is: seconds, and for what waits to be sent ms.
_KEEPALIVE = {
    "TCP_KEEPIDLE": 2,
    "TCP_KEEPALIVE": 2,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": _ANSWER_S * 1000,
}
#: Bytes that a statement may have, at least: a function brings much source along; large values come in parts.
_LEAST_PACKET = 16 * 2**20
#: Seconds that others may have a row, and the tables while they are made.
_LOCKED_S, _MAKING_S = 3, 60
#: The fact that says when the server was started, in seconds; by how many two looks at that may differ.
_STARTED, _ROUNDED_S = "started", 3
_NAME = "VARCHAR(380) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
#: Two transactions stood in each other's way: a deadlock, a row that was locked for too long, one that somebody
#: else has made, or has changed since it was read.
_AGAIN = frozenset({1213, 1205, 1062, 1020})
_LOGIN = frozenset({1044, 1045, 1049, 1698, 1130})
_DENIED = frozenset({1142, 1143, 1227, 1370})
_ROOM = frozenset({1021, 1041, 1114, 1153, 1037})
_READ_ONLY = frozenset({1290, 1792, 1836})
_CROWDED = frozenset({1040, 1203, 1226})
#: The server ends, or has ended this connection.
_LOST = frozenset(
    {0, 1053, 1080, 1158, 1159, 1160, 1161, 1317, 1927, 2000, 2002, 2003, 2006, 2013, 2014, 2055}
)
_RIGHTS = "grant its user SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX and DROP on all tables of its database"
_MEANINGS: tuple[tuple[frozenset[int], type[NbtasksError], str], ...] = (
    (
        _DENIED,
        ConfigError,
        "does not allow what nbtasks needs ({said}): {rights}",
    ),
    (
        _ROOM,
        BackPressure,
        "has no room ({said}); calls that it has go on: make room on its disk, or forget() old results and try again",
    ),
    (_READ_ONLY, BrokerUnavailable, "does not take writes at the moment: {said}"),
    (
        _CROWDED,
        BrokerUnavailable,
        "serves as many clients as it may ({said}): end what keeps connections open, or raise its max_connections",
    ),
    (_AGAIN, BrokerUnavailable, "is held up by other transactions: {said}"),
)
#: Of these the driver says no more than that the connection is gone.
_GONE = frozenset({0, 2006, 2013})
#: What the driver says when it has given up waiting, among other things.
_TIMED_OUT = frozenset({2003, 2006, 2013})
_NO_TABLE = 1146
#: What is to be made is there: a table, a column, an index.
_MADE = frozenset({1050, 1060, 1061})
_MARK = re.compile(r"'[^']*'|\?")
_CONVERSIONS = {**conversions, memoryview: lambda value, _=None: escape_bytes(bytes(value))}


class MysqlDialect:
    """A server, and a database there. Its attributes are as :class:`Dialect` has them."""

    flavour = "mysql"
    block_s = 5.0
    # Each look is a question to the server, and nobody can be woken: who has waited for longer may wait for longer.
    polls = Backoff(0.0007, 0.05, factor=1.3)
    in_order = False
    types = {  # noqa: RUF012  # nobody changes it
        "id": "BIGINT AUTO_INCREMENT PRIMARY KEY",
        "number": "BIGINT",
        "name": _NAME,
        "text": "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "bytes": "LONGBLOB",
        "table": "ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
    }

    def __init__(self, url: MysqlUrl) -> None:
        self.label = url.shown
        self._url = url
        self._was_let_in = False
        self._most_at_once = _LEAST_PACKET

    # -- the connection

    def connect(self) -> Any:
        """Return a new connection."""
        url = self._url
        self._see_to_files()
        try:
            connection = pymysql.connect(
                host=url.host,
                port=url.port,
                user=url.user or None,
                password=url.password,
                database=url.database,
                charset="utf8mb4",
                # So who reads has nothing to end; who writes says BEGIN.
                autocommit=True,
                connect_timeout=_CONNECT_S,
                read_timeout=_CONNECT_S,
                write_timeout=_ANSWER_S,
                # How many rows were found, whether or not anything in them has changed; several statements at once.
                client_flag=CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
                conv=_CONVERSIONS,
                **url.options,
            )
        except pymysql.MySQLError as error:
            raise self._refused(error) from error
        try:
            connection._read_timeout = _ANSWER_S
            _keep_alive(connection._sock)
            self._see_to_version(str(connection.get_server_info()))
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@max_allowed_packet")
                self._most_at_once = int(cursor.fetchone()[0])
                self._see_to_packets(self._most_at_once)
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                cursor.execute(
                    "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', "
                    f"innodb_lock_wait_timeout = {_LOCKED_S}"
                )
        except BaseException:
            connection.close()
            raise
        self._was_let_in = True
        return connection

    def _see_to_files(self) -> None:
        """Name a file that is not there: the driver's error does not."""
        for option, path in self._url.options.items():
            if not os.access(path, os.R_OK):
                # A server makes its socket when it is started.
                kind = BrokerUnavailable if option == "unix_socket" or self._was_let_in else ConfigError
                raise kind(
                    f"the broker at {self.label} cannot be reached: {option} of its URL names {path}, and there is no "
                    "such file, or it cannot be read here"
                )

    def _refused(self, error: pymysql.MySQLError) -> NbtasksError:
        code, said = _code(error), _said(error)
        if code in _LOGIN:
            kind = LoginRefused if self._was_let_in else ConfigError
            return kind(
                f"the broker at {self.label} refuses the login: {said}; check user, password and database of the URL "
                "(App(broker=...), NBTASKS_BROKER, connection file)"
            )
        return self.meaning(error)

    def _see_to_version(self, version: str) -> None:
        """Refuse a server that is too old."""
        kind = "mariadb" if "mariadb" in version.lower() else "mysql"
        # Some say that they are a MySQL 5.5 first, for old clients.
        numbers = [int(one) for one in re.findall(r"\d+", version.removeprefix("5.5.5-"))[:2]]
        if tuple(numbers) < _OLDEST[kind]:
            name = "MariaDB" if kind == "mariadb" else "MySQL"
            raise BrokerUnsuitable(
                f"the broker at {self.label} is {name} {'.'.join(map(str, numbers))}; nbtasks needs "
                f"{'.'.join(map(str, _OLDEST[kind]))} or later"
            )

    def _see_to_packets(self, most: int) -> None:
        """Refuse a server that hangs up on statements that are usual here: nobody could tell that from a cut line."""
        if most < _LEAST_PACKET:
            raise BrokerUnsuitable(
                f"the broker at {self.label} takes statements of {most:,} bytes at most (max_allowed_packet); nbtasks "
                f"needs {_LEAST_PACKET:,}, which is MariaDB's own default: set it in the server's configuration, or "
                f"with SET GLOBAL max_allowed_packet = {_LEAST_PACKET}"
            )

    def is_elsewhere(self, connection: Any, *, for_sure: bool = False) -> bool:
        """Never: a server that goes takes its connections with it."""
        return False

    def begin_life(self, connection: Any) -> None:
        """Numbers go on where they were."""

    def cut(self, connection: Any) -> None:
        """End the connection under whoever waits for an answer."""
        with contextlib.suppress(Exception):
            connection._sock.shutdown(socket.SHUT_RDWR)

    def let_go(self, connection: Any) -> None:
        """Not a word to the server."""
        with contextlib.suppress(Exception):
            connection._force_close()

    # -- statements

    def text(self, statement: str) -> str:
        """Return a statement as PyMySQL has it."""
        return _text(statement)

    def put_text(self, table: str, keys: Sequence[str], columns: Sequence[str], over: Sequence[str]) -> str:
        """Return the statement that puts a row."""
        return _put_text(table, tuple(keys), tuple(columns), tuple(over))

    def begin(self, connection: Any, *, writes: bool, lazily: bool) -> MysqlTalk:
        """It begins with its first statement."""
        return MysqlTalk(connection, locks=writes, most=self._most_at_once)

    def in_use(self) -> AbstractContextManager[None]:
        """A fork does no harm that :meth:`let_go` does not undo."""
        return nullcontext()

    def written(self, connection: Any) -> object:
        """Nobody knows."""
        return None

    @contextlib.contextmanager
    def locked_schema(self, connection: Any) -> Iterator[None]:
        """Tables are made one by one: what is there after a cut in the middle is left as it is."""
        name = f"{_PREFIX}schema {self._url.database}"[:64]
        with connection.cursor() as cursor:
            for _ in range(_MAKING_S // _LOCKED_S):
                # No answer may take longer.
                cursor.execute("SELECT GET_LOCK(%s, %s)", (name, _LOCKED_S))
                if cursor.fetchone()[0] == 1:
                    break
            else:
                raise BrokerUnavailable(
                    f"tables of the broker at {self.label} are being made by somebody else"
                )
            try:
                yield
            finally:
                with contextlib.suppress(pymysql.MySQLError):
                    cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))

    # -- errors

    def is_again(self, error: BaseException) -> bool:
        """Whether another transaction stood in the way."""
        return isinstance(error, pymysql.MySQLError) and _code(error) in _AGAIN

    def is_lost(self, error: BaseException) -> bool:
        """Whether the connection is of no use any more."""
        return (
            not isinstance(error, pymysql.MySQLError)
            or isinstance(error, pymysql.err.InterfaceError)
            or _code(error) in _LOST
        )

    def silence_s(self, error: BaseException) -> float:
        """Return for how many seconds the server has said nothing, where the driver gave up waiting."""
        at_login = isinstance(error, NbtasksError)
        said = error.__cause__ if at_login else error
        if not isinstance(said, pymysql.MySQLError) or not isinstance(said.__context__, TimeoutError):
            return 0.0
        return 0.0 if _code(said) not in _TIMED_OUT else _CONNECT_S if at_login else _ANSWER_S

    def is_missing(self, error: BaseException) -> bool:
        """Whether there is no such table."""
        return isinstance(error, pymysql.MySQLError) and _code(error) == _NO_TABLE

    def is_made(self, error: BaseException) -> bool:
        """Whether what is to be made is there."""
        return isinstance(error, pymysql.MySQLError) and _code(error) in _MADE

    def meaning(self, error: BaseException) -> NbtasksError:
        """Return what an error means."""
        code, said = _code(error), _said(error)
        if self.is_lost(error):
            plainly = ConnectionError("the connection was lost" if code in _GONE else said)
            plainly.__cause__ = error
            return unavailable(self.label, plainly)
        for codes, kind, text in _MEANINGS:
            if code in codes:
                return kind(f"the broker at {self.label} {text.format(said=said, rights=_RIGHTS)}")
        return OperationalError(f"the broker at {self.label} refused a statement: {said}")

    # -- what it is

    def life(self, transaction: Statements) -> str:
        """Return what was drawn when the tables were made.

        Where a server confirms before it has written, each run of it is a life of its own.
        """
        made = str(transaction.value("SELECT life FROM @meta"))
        if transaction.value("SELECT @@innodb_flush_log_at_trx_commit") == 1:
            return made
        _, uptime = transaction.row("SHOW GLOBAL STATUS LIKE 'Uptime'") or ("", 0)
        started, noted = transaction.now_us() // 1_000_000 - int(uptime), transaction.fact(_STARTED)
        if noted and abs(started - int(noted)) <= _ROUNDED_S:
            return f"{made}/{noted}"
        transaction.note(_STARTED, str(started))
        return f"{made}/{started}"

    def version(self, transaction: Statements) -> str:
        """Return that of the server."""
        return str(transaction.value("SELECT VERSION()"))

    def gauges(self, transaction: Statements) -> ServerGauges:
        """Return how many clients it has in this database."""
        clients = transaction.value(
            "SELECT count(*) FROM information_schema.processlist WHERE db = database()"
        )
        return ServerGauges(role="server", clients=clients)


def _keep_alive(line: socket.socket) -> None:
    """Have the system find a silent network out on a connection over which nothing is said just now."""
    if line.family == getattr(socket, "AF_UNIX", None):
        return
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


@lru_cache(2048)
def _text(statement: str) -> str:
    marked = _MARK.sub(lambda found: "%s" if found[0] == "?" else found[0], statement.replace("%", "%%"))
    return with_tables(marked, _PREFIX)


@lru_cache(256)
def _put_text(table: str, keys: tuple[str, ...], columns: tuple[str, ...], over: tuple[str, ...]) -> str:
    named, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
    what = ", ".join(f"{one} = VALUES({one})" for one in over) if over else f"{keys[0]} = {keys[0]}"
    statement = f"INSERT INTO {table} ({named}) VALUES ({marks}) ON DUPLICATE KEY UPDATE {what}"  # noqa: S608
    return with_tables(statement, _PREFIX)


def _code(error: BaseException) -> int:
    """Return the number of an error of the server or the client; -1 where it has none."""
    first = error.args[0] if error.args else -1
    return first if isinstance(first, int) else -1


def _said(error: BaseException) -> str:
    """Return the server's own words."""
    return plain(error.args[1] if len(error.args) > 1 else error)
