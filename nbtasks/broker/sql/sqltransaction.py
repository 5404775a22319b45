"""What a verb says to the database: statements, all of them in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sqldialect import Dialect

#: Values that stand in one list of a statement, at most.
MOST_LISTED = 400
Row = tuple[Any, ...]


class Transaction:
    """One of them. What is read in it does not change meanwhile, unless it says so.

    Attributes:
        ns: the number of the namespace.
        queues: address -> number of those queues that are known to be there; kept as long as the connection.
    """

    __slots__ = ("_cursor", "dialect", "ns", "queues")

    def __init__(self, cursor: Any, dialect: Dialect, ns: int, queues: dict[str, int]) -> None:
        self._cursor = cursor
        self.dialect = dialect
        self.ns = ns
        self.queues = queues

    def rows(self, statement: str, *args: Any) -> list[Row]:
        """Return all rows."""
        self._cursor.execute(self.dialect.text(statement), args)
        return list(self._cursor.fetchall())

    def row(self, statement: str, *args: Any) -> Row | None:
        """Return the first row; None where there is none."""
        self._cursor.execute(self.dialect.text(statement), args)
        found: Row | None = self._cursor.fetchone()
        return found

    def value(self, statement: str, *args: Any) -> Any:
        """Return the first value of the first row; None where there is none."""
        found = self.row(statement, *args)
        return None if found is None else found[0]

    def run(self, statement: str, *args: Any) -> int:
        """Change rows; returns how many were found."""
        self._cursor.execute(self.dialect.text(statement), args)
        return max(0, int(self._cursor.rowcount))

    def insert(self, statement: str, *args: Any) -> int:
        """Add a row; returns its number."""
        self._cursor.execute(self.dialect.text(statement), args)
        return int(self._cursor.lastrowid)

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Say the same for several rows."""
        some = list(rows)
        if some:
            self._cursor.executemany(self.dialect.text(statement), some)

    # -- with a list in it, which stands there as IN (*)

    def rows_in(self, statement: str, before: Sequence[Any], items: Sequence[Any], *after: Any) -> list[Row]:
        """Return all rows for a list of values of any length; in order only within a part of it."""
        found: list[Row] = []
        for start in range(0, len(items), MOST_LISTED):
            some = items[start : start + MOST_LISTED]
            found += self.rows(_listing(statement, len(some)), *before, *some, *after)
        return found

    def run_in(self, statement: str, before: Sequence[Any], items: Sequence[Any], *after: Any) -> int:
        """Change rows for a list of values of any length."""
        found = 0
        for start in range(0, len(items), MOST_LISTED):
            some = items[start : start + MOST_LISTED]
            found += self.run(_listing(statement, len(some)), *before, *some, *after)
        return found

    # -- rows that may be there

    def put(self, table: str, keys: Sequence[str], row: dict[str, Any], over: Sequence[str] = ()) -> None:
        """Put a row; where there is one by the same keys, only these columns of it change."""
        statement = self.dialect.put_text(table, keys, tuple(row), over)
        self._cursor.execute(statement, tuple(row.values()))

    def put_many(
        self,
        table: str,
        keys: Sequence[str],
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        over: Sequence[str] = (),
    ) -> None:
        """Put several."""
        some = list(rows)
        if some:
            self._cursor.executemany(self.dialect.put_text(table, keys, columns, over), some)

    # -- the server

    def now_us(self) -> int:
        """Return the server's time in microseconds of the epoch."""
        return self.dialect.now_us(self)

    def now_ms(self) -> int:
        """Return the server's time in milliseconds of the epoch."""
        return self.dialect.now_us(self) // 1000

    def fact(self, name: str) -> str:
        """Return a single fact of the namespace; empty where nobody has noted it."""
        return self.value("SELECT value FROM @facts WHERE ns = ? AND name = ?", self.ns, name) or ""

    def note(self, name: str, value: str) -> None:
        """Note one."""
        self.put("@facts", ("ns", "name"), {"ns": self.ns, "name": name, "value": value}, ("value",))


def _listing(statement: str, count: int) -> str:
    return statement.replace("IN (*)", f"IN ({', '.join('?' * count)})")
