"""SQLite: a file that all processes of one machine share."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtasks.broker.brokererrors import unavailable
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

from .sqldialect import COLUMN, Statements, with_tables
from .sqliteforks import gate
from .sqlitetalk import SqliteTalk

if TYPE_CHECKING:
    from nbtasks.broker.sqliteurl import SqliteUrl

#: The oldest library whose SQL and whose log (WAL) are known.
OLDEST_VERSION = (3, 24, 0)
#: KiB of pages that each connection keeps, and pages after which the log is put into the file.
_CACHE_KIB, _CHECKPOINT_PAGES = 8192, 2000
#: Bytes of the log that stay on the disk when it is not needed any more.
_MOST_LOG = 64 * 2**20
#: Who stands in the way, by the main part of the library's code; and what the code of a full disk is.
_BUSY, _LOCKED, _PROTOCOL, _FULL, _READONLY, _CANTOPEN, _CORRUPT, _NOTADB = 5, 6, 15, 13, 8, 14, 11, 26
#: Seconds after which it is looked again whether the file is still the one at its place.
_PLACE_S = 0.2
#: Have the numbers of all tables that give some go on at a moment; what has given none yet has no row there.
_NUMBERING = (
    """
    INSERT INTO sqlite_sequence (name, seq) SELECT name, 0 FROM sqlite_master
    WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%' AND name NOT IN (SELECT name FROM sqlite_sequence)
    """,
    "UPDATE sqlite_sequence SET seq = max(seq, :now)",
)
_NO_ACCESS = "whoever submits and whoever works must be able to read and write it"
_NAME_ONE = "name another place: sqlite:////path/to/file.db"


def _checked(affinity: str, kind: str) -> str:
    """Return a type that takes nothing else: by itself, any column here takes any value."""
    return f"{affinity} CHECK (typeof({COLUMN}) IN ('{kind}', 'null'))"


_WORDS = {
    _BUSY: ("locked", "busy"),
    _PROTOCOL: ("locking protocol",),
    _FULL: ("disk is full",),
    _READONLY: ("readonly",),
    _CANTOPEN: ("unable to open",),
    _CORRUPT: ("malformed",),
    _NOTADB: ("not a database",),
}


class SqliteConnection(sqlite3.Connection):
    """One that waits for no lock by itself, and that no fork comes across.

    Attributes:
        is_lazy: what it commits may come to the disk later.
        file: what names the file that it has opened, wherever that is now.
        seen_at: when (monotonic) that was seen at its place.
    """

    is_lazy = False
    file: tuple[int, int] | None = None
    seen_at = 0.0


class SqliteDialect:
    """A file. Its attributes are as :class:`Dialect` has them."""

    flavour = "sqlite"
    block_s = 30.0
    # A look costs some microseconds, and wakes nobody else.
    polls = Backoff(0.0005, 0.02, factor=1.3)
    in_order = True
    types = {  # noqa: RUF012  # nobody changes it
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "number": _checked("INTEGER", "integer"),
        "name": _checked("TEXT", "text"),
        "text": _checked("TEXT", "text"),
        "bytes": _checked("BLOB", "blob"),
        "table": "",
    }

    def __init__(self, url: SqliteUrl) -> None:
        self.label = url.shown
        self._url = url
        self._was_there = False

    # -- the file

    def connect(self) -> sqlite3.Connection:
        """Return a new connection; the file is made where there is none, for its owner alone."""
        if sqlite3.sqlite_version_info < OLDEST_VERSION:
            raise BrokerUnsuitable(
                f"this Python brings SQLite {sqlite3.sqlite_version}; nbtasks needs "
                f"{'.'.join(map(str, OLDEST_VERSION))} or later: take a newer Python, or name another broker"
            )
        self._see_to_file()
        file, seen_at = self._file(), time.monotonic()
        with gate.under_way():
            connection = sqlite3.connect(
                self._url.path,
                timeout=0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
                factory=SqliteConnection,
            )
            gate.add(connection)
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
        connection.file, connection.seen_at = file, seen_at
        self._was_there = True
        return connection

    def is_elsewhere(self, connection: Any, *, for_sure: bool = False) -> bool:
        """Whether the file was removed, or another one put in its place: others will not see what is written here."""
        now = time.monotonic()
        if now < connection.seen_at + _PLACE_S and not for_sure:
            return False
        is_elsewhere = bool(self._file() != connection.file)
        connection.seen_at = float("-inf") if is_elsewhere else now
        return is_elsewhere

    def begin_life(self, connection: Any) -> None:
        """Have numbers of rows go on at the clock (us) where the file is another one than at the last connection.

        Whoever lives has numbers from the file that was here before: of entries in hand, of the last order heard.
        """
        mark = self._mark(connection)
        if connection.execute("PRAGMA user_version").fetchone()[0] == mark:
            return
        with self.locked_schema(connection):
            for statement in _NUMBERING:
                connection.execute(statement, {"now": time.time_ns() // 1000})
            connection.execute(f"PRAGMA user_version = {mark}")

    def _mark(self, connection: Any) -> int:
        """Return what names the connection's file, in 31 bits; a new file has 0."""
        device, inode = connection.file or (0, 0)
        return int((inode * 31 + device) % (2**31 - 1) + 1)

    def _file(self) -> tuple[int, int] | None:
        """Return what names the file that is at its place now; None where there is none."""
        try:
            found = os.stat(self._url.path)  # noqa: PTH116  # a path takes twice as long
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _see_to_file(self) -> None:
        path = Path(self._url.path)
        # What was there may come back: its disk, its folder, the rights to it.
        kind = BrokerUnavailable if self._was_there else ConfigError
        try:
            # Only one that nobody has: to close a file takes from this process all locks that it has on it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if not path.is_file():
                raise ConfigError(
                    f"the broker's file {path} is no file, but a folder or a device: {_NAME_ONE}"
                ) from None
            if not os.access(path, os.R_OK | os.W_OK):
                raise kind(f"the broker's file {path} cannot be used: {_why_not(path)}") from None
        except FileNotFoundError:
            why = (
                f"no file {path.name} can be made in {path.parent} for the broker:"
                if path.parent.is_dir()
                else f"there is no folder {path.parent} for the broker's file {path.name}: make it first, or"
            )
            raise kind(f"{why} {_NAME_ONE}") from None
        except OSError as error:
            raise kind(f"the broker's file {path} cannot be used: {error.strerror}; {_NO_ACCESS}") from error

    def _set_up(self, connection: sqlite3.Connection) -> None:
        run = connection.execute
        # Once a file has a log, it stays so; to say it again takes no lock.
        if run("PRAGMA journal_mode").fetchone()[0] != "wal":
            found = run("PRAGMA journal_mode = WAL").fetchone()[0]
            if found != "wal":
                raise BrokerUnsuitable(
                    f"the broker's file {self._url.path} can have no log (WAL) where it lies, only {found}: put it on "
                    "a disk of this machine"
                )
        run(f"PRAGMA synchronous = {self._url.synchronous}")
        run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        run(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        run(f"PRAGMA journal_size_limit = {_MOST_LOG}")
        run("PRAGMA temp_store = MEMORY")

    # -- statements

    def text(self, statement: str) -> str:
        """Return a statement as SQLite has it: whoever writes has all of the file."""
        return _text(statement)

    def put_text(self, table: str, keys: Sequence[str], columns: Sequence[str], over: Sequence[str]) -> str:
        """Return the statement that puts a row."""
        return _put_text(table, tuple(keys), tuple(columns), tuple(over))

    # -- transactions

    def begin(self, connection: Any, *, writes: bool, lazily: bool) -> SqliteTalk:
        """Begin a transaction; one that writes has the file for itself from the beginning."""
        if writes and self._url.synchronous == "FULL" and lazily != connection.is_lazy:
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if lazily else 'FULL'}")
            connection.is_lazy = lazily
        talk = SqliteTalk(connection)
        connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
        return talk

    def written(self, connection: Any) -> object:
        """Return a number that changes with each transaction of another connection."""
        return connection.execute("PRAGMA data_version").fetchone()[0]

    def in_use(self) -> AbstractContextManager[None]:
        """Return a context in which something is done with a connection."""
        return gate.under_way()

    # -- errors

    def is_again(self, error: BaseException) -> bool:
        """Whether another connection writes."""
        return isinstance(error, sqlite3.OperationalError) and _code(error) in {_BUSY, _LOCKED, _PROTOCOL}

    def is_lost(self, error: BaseException) -> bool:
        """Whether the connection is of no use any more."""
        return not isinstance(error, sqlite3.Error) or _code(error) not in {_BUSY, _LOCKED, _PROTOCOL, _FULL}

    def silence_s(self, error: BaseException) -> float:
        """Return 0: a file has nothing to say."""
        return 0.0

    def is_missing(self, error: BaseException) -> bool:
        """Whether there is no such table."""
        return isinstance(error, sqlite3.OperationalError) and "no such table" in str(error)

    def is_made(self, error: BaseException) -> bool:
        """Never: all of it is there, or nothing."""
        return False

    def meaning(self, error: BaseException) -> NbtasksError:
        """Return what an error means."""
        code, said = _code(error), plain(error)
        if code in {_BUSY, _LOCKED, _PROTOCOL}:
            return BrokerUnavailable(
                f"the broker's file {self.label} is held by another process all the time ({said}): end what has it "
                "open besides nbtasks, such as a backup or a shell of sqlite3 in a transaction"
            )
        if code == _FULL:
            return BackPressure(
                f"there is no room for the broker's file {self.label} ({said}); calls that it has go on: make room "
                "on its disk, or fetch and forget() old results, then submit again"
            )
        if code in {_READONLY, _CANTOPEN}:
            return BrokerUnavailable(
                f"the broker's file {self.label} cannot be written at the moment: {said}"
            )
        if code in {_CORRUPT, _NOTADB}:
            # One that was sound a moment ago may be put back while everybody waits.
            kind = BrokerUnavailable if self._was_there else ConfigError
            return kind(
                f"the broker's file {self.label} is no SQLite file, or a damaged one ({said}): put a copy back, or "
                "name another one"
            )
        if not isinstance(error, sqlite3.Error) or "interrupted" in said:
            return unavailable(self.label, error)
        return OperationalError(f"the broker's file {self.label} refused a statement: {said}")

    def cut(self, connection: Any) -> None:
        """Interrupt the statement that runs."""
        with contextlib.suppress(Exception):
            connection.interrupt()

    def let_go(self, connection: Any) -> None:
        """It is closed already: see sqliteforks.py."""

    # -- what it is

    def life(self, transaction: Statements) -> str:
        """Return what names the file, and where the disk is not waited for, since when this machine runs."""
        made = transaction.value("SELECT life FROM @meta")
        inode = Path(self._url.path).stat().st_ino
        booted = "" if self._url.synchronous == "FULL" else _boot()
        return f"{made}/{inode}{booted}"

    def version(self, transaction: Statements) -> str:
        """Return that of the library."""
        return sqlite3.sqlite_version

    def gauges(self, transaction: Statements) -> ServerGauges:
        """Return how large the file is."""
        pages, size = transaction.value("PRAGMA page_count"), transaction.value("PRAGMA page_size")
        return ServerGauges(role="file", memory=pages * size)

    @contextlib.contextmanager
    def locked_schema(self, connection: Any) -> Iterator[None]:
        """One transaction: it is all there, or nothing."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.commit()
        except BaseException:
            connection.rollback()
            raise


@lru_cache(2048)
def _text(statement: str) -> str:
    plainer = statement.replace(" FOR UPDATE SKIP LOCKED", "").replace(" FOR UPDATE", "")
    return with_tables(plainer, "")


@lru_cache(256)
def _put_text(table: str, keys: tuple[str, ...], columns: tuple[str, ...], over: tuple[str, ...]) -> str:
    named, marks = ", ".join(columns), ", ".join("?" * len(columns))
    what = f"UPDATE SET {', '.join(f'{one} = excluded.{one}' for one in over)}" if over else "NOTHING"
    statement = f"INSERT INTO {table} ({named}) VALUES ({marks}) ON CONFLICT ({', '.join(keys)}) DO {what}"  # noqa: S608  # names are ours
    return with_tables(statement, "")


def _why_not(path: Path) -> str:
    """Return why a file cannot be read and written."""
    with contextlib.suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return "it lies on a disk that is read-only"
    return _NO_ACCESS


def _code(error: BaseException) -> int:
    """Return the main part of the library's code. Python says it since 3.11; before, its words are looked at."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return int(code) & 0xFF
    said = str(error)
    return next((one for one, words in _WORDS.items() if any(word in said for word in words)), 0)


def _boot() -> str:
    """Return what names this run of the machine; empty where that cannot be told."""
    with contextlib.suppress(OSError):
        return "/" + Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""
