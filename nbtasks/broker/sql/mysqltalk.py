"""A transaction on a server: as few ways there as can be, for each of them takes longer than what is done there.

Changes whose outcome nobody asks for are gathered, and go along with the next question, or with COMMIT. Several
statements that go at once are done in their order up to the first one that fails, so a transaction is what it would be
with each of them said alone.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from nbtasks.core.errors import OperationalError

#: The server's time as it is now, not as when the statement or the transaction began.
_TIME = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"
#: Characters that go at once, but for a single row that is larger: far less than any max_allowed_packet.
_MOST = 1_000_000
#: Bytes by which max_allowed_packet is to be raised.
_STEP = 16 * 2**20
#: What stands before, in and behind the values of a statement that adds rows.
_ADDING = re.compile(r"(INSERT .*? VALUES )(\([^()]*\))(.*)", re.DOTALL)


class MysqlTalk:
    """One transaction. It begins with the first change, or lock; one that only reads needs none.

    Args:
        most: bytes that the server takes at once.
    """

    __slots__ = (
        "_began",
        "_connection",
        "_cursor",
        "_later",
        "_length",
        "_locks",
        "_most",
        "_time",
        "_wants_time",
    )

    def __init__(self, connection: Any, *, locks: bool, most: int) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._locks = locks
        self._most = most
        self._began = False
        #: Changes that were not said yet, and how long they are.
        self._later: list[str] = []
        self._length = 0
        self._wants_time = False
        #: The server's time less that of our steady clock (us).
        self._time: int | None = None

    def ask(self, questions: Sequence[tuple[str, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
        """Return the rows that each question brings."""
        texts = [self._cursor.mogrify(statement, args) for statement, args in questions]
        asks_time = self._wants_time and self._time is None
        # At the end, behind what may have to wait for others.
        found = self._said([*texts, _TIME] if asks_time else texts)
        if asks_time:
            self._note_time(found.pop())
        return found

    def change(self, statement: str, args: Sequence[Any]) -> tuple[int, int]:
        """Change rows now; returns how many were found, and the number of one that was added."""
        self._locks = True
        self._said([self._cursor.mogrify(statement, args)])
        return max(0, self._cursor.rowcount), int(self._cursor.lastrowid or 0)

    def later(self, statement: str, args: Sequence[Any]) -> None:
        """Change rows, along with what is said next."""
        self._put(self._cursor.mogrify(statement, args))

    def later_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Say the same for several rows."""
        parts = _ADDING.fullmatch(statement)
        if parts is None:
            for row in rows:
                self.later(statement, row)
            return
        begin, values, end = (part.replace("%%", "%") for part in parts.groups())
        for some in _in_parts([self._cursor.mogrify(values, row) for row in rows]):
            self._put(f"{begin}{', '.join(some)}{end}")

    def want_time(self) -> None:
        """The server's time will be asked for soon: it comes along with the next answer."""
        self._wants_time = True

    def now_us(self) -> int:
        """Return the server's time, as it is now: asked once, and reckoned from there."""
        if self._time is None:
            self._note_time(self._said([_TIME])[0])
        assert self._time is not None
        return self._time + time.monotonic_ns() // 1000

    def end(self) -> None:
        """Commit, along with what was not said yet."""
        if not self._began and len(self._later) == 1:
            # It is a transaction of its own.
            self._send(self._taken())
        elif self._began or self._later:
            self._said(["COMMIT"])
        self._close()

    def undo(self) -> None:
        """Roll back."""
        if self._began:
            self._connection.rollback()
        self._close()

    # -- what goes to the server

    def _put(self, text: str) -> None:
        if self._length + len(text) > _MOST and self._later:
            self._said([])
        self._locks = True
        self._later.append(text)
        self._length += len(text)

    def _taken(self) -> list[str]:
        taken, self._later, self._length = self._later, [], 0
        return taken

    def _said(self, texts: list[str]) -> list[list[tuple[Any, ...]]]:
        """Say what was to be said later, and these; returns the rows that these bring."""
        before = self._taken()
        if self._locks and not self._began:
            self._began = True
            before.insert(0, "BEGIN")
        return self._send([*before, *texts])[len(before) :]

    def _send(self, texts: list[str]) -> list[list[tuple[Any, ...]]]:
        text = "; ".join(texts)
        if len(text) > _MOST:
            self._refuse_too_long(text)
        self._cursor.execute(text)
        found = [self._rows()]
        while self._cursor.nextset():
            found.append(self._rows())
        return found

    def _refuse_too_long(self, text: str) -> None:
        """Refuse what the server would hang up on, for nobody can tell that from a line that was cut."""
        # The driver adds a byte, and the server wants less than it says.
        size = len(text.encode(errors="surrogateescape")) + 2
        if size > self._most:
            raise OperationalError(
                f"this takes {size:,} bytes in one statement, and the broker takes {self._most:,} at most "
                f"(max_allowed_packet): send less at once, or SET GLOBAL max_allowed_packet = {_rounded(size)} and "
                "write it into the server's configuration"
            )

    def _rows(self) -> list[tuple[Any, ...]]:
        return list(self._cursor.fetchall()) if self._cursor.description else []

    def _note_time(self, rows: list[tuple[Any, ...]]) -> None:
        self._time = int(rows[0][0]) - time.monotonic_ns() // 1000

    def _close(self) -> None:
        with contextlib.suppress(Exception):
            self._cursor.close()


def _rounded(size: int) -> int:
    """Return the next multiple of 16 MiB."""
    return -(-size // _STEP) * _STEP


def _in_parts(values: list[str]) -> Iterator[list[str]]:
    """Return values in parts that are not too long."""
    part: list[str] = []
    length = 0
    for value in values:
        if part and length + len(value) > _MOST:
            yield part
            part, length = [], 0
        part.append(value)
        length += len(value)
    if part:
        yield part
