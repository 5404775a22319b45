"""A transaction on a file: each statement is done as it is said, for that takes no way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any


class SqliteTalk:
    """One transaction, which has begun."""

    __slots__ = ("_connection", "_cursor")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor = connection.cursor()

    def ask(self, questions: Sequence[tuple[str, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
        """Return the rows that each question brings."""
        return [self._cursor.execute(statement, args).fetchall() for statement, args in questions]

    def change(self, statement: str, args: Sequence[Any]) -> tuple[int, int]:
        """Change rows; returns how many were found, and the number of one that was added."""
        self._cursor.execute(statement, args)
        return max(0, self._cursor.rowcount), self._cursor.lastrowid or 0

    def later(self, statement: str, args: Sequence[Any]) -> None:
        """Change rows."""
        self._cursor.execute(statement, args)

    def later_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Say the same for several rows."""
        self._cursor.executemany(statement, rows)

    def want_time(self) -> None:
        """It is at hand."""

    def now_us(self) -> int:
        """Return this machine's time: it is the only one."""
        return time.time_ns() // 1000

    def end(self) -> None:
        """Commit."""
        self._connection.commit()
        self._close()

    def undo(self) -> None:
        """Roll back."""
        self._connection.rollback()
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(Exception):
            self._cursor.close()
