"""What a verb says to the database: statements, all of them in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .sqldialect import Dialect, Talk

#: Values that stand in one list of a statement, at most.
MOST_LISTED = 400
Row = tuple[Any, ...]


class Transaction:
    """One of them. What is read in it does not change meanwhile, unless it says so.

    Attributes:
        ns: the number of the namespace.
        queues: address -> number of those queues that are known to be there; kept as long as the connection.
    """

    __slots__ = ("_talk", "dialect", "ns", "queues")

    def __init__(self, talk: Talk, dialect: Dialect, ns: int, queues: dict[str, int]) -> None:
        self._talk = talk
        self.dialect = dialect
        self.ns = ns
        self.queues = queues

    def rows(self, statement: str, *args: Any) -> list[Row]:
        """Return all rows."""
        return self._talk.ask([(self.dialect.text(statement), args)])[0]

    def row(self, statement: str, *args: Any) -> Row | None:
        """Return the first row; None where there is none."""
        return next(iter(self.rows(statement, *args)), None)

    def value(self, statement: str, *args: Any) -> Any:
        """Return the first value of the first row; None where there is none."""
        found = self.row(statement, *args)
        return None if found is None else found[0]

    def each(self, *questions: Sequence[Any]) -> list[list[Row]]:
        """Return the rows of several questions, each a statement and what is handed in, which are asked at once."""
        return self._talk.ask([(self.dialect.text(statement), args) for statement, *args in questions])

    def run(self, statement: str, *args: Any) -> None:
        """Change rows. What comes of it is not waited for."""
        self._talk.later(self.dialect.text(statement), args)

    def changed(self, statement: str, *args: Any) -> int:
        """Change rows; returns how many were found."""
        return self._talk.change(self.dialect.text(statement), args)[0]

    def insert(self, statement: str, *args: Any) -> int:
        """Add a row; returns its number."""
        return self._talk.change(self.dialect.text(statement), args)[1]

    def many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Say the same for several rows."""
        some = list(rows)
        if some:
            self._talk.later_many(self.dialect.text(statement), some)

    # -- with a list in it, which stands there as IN (*)

    def rows_in(self, statement: str, before: Sequence[Any], items: Sequence[Any], *after: Any) -> list[Row]:
        """Return all rows for a list of values of any length; in order only within a part of it."""
        questions = questions_in(statement, before, items, *after)
        return [row for rows in self.each(*questions) for row in rows] if questions else []

    def run_in(self, statement: str, before: Sequence[Any], items: Sequence[Any], *after: Any) -> None:
        """Change rows for a list of values of any length."""
        for question in questions_in(statement, before, items, *after):
            self.run(*question)

    # -- rows that may be there

    def put(self, table: str, keys: Sequence[str], row: dict[str, Any], over: Sequence[str] = ()) -> None:
        """Put a row; where there is one by the same keys, only these columns of it change."""
        statement = self.dialect.put_text(table, keys, tuple(row), over)
        self._talk.later(statement, tuple(row.values()))

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
            self._talk.later_many(self.dialect.put_text(table, keys, columns, over), some)

    # -- the server

    def want_time(self) -> None:
        """The server's time will be asked for soon: it may come along with the next answer."""
        self._talk.want_time()

    def now_us(self) -> int:
        """Return the server's time in microseconds of the epoch."""
        return self._talk.now_us()

    def now_ms(self) -> int:
        """Return the server's time in milliseconds of the epoch."""
        return self._talk.now_us() // 1000

    def fact(self, name: str) -> str:
        """Return a single fact of the namespace; empty where nobody has noted it."""
        return self.value("SELECT value FROM @facts WHERE ns = ? AND name = ?", self.ns, name) or ""

    def note(self, name: str, value: str) -> None:
        """Note one."""
        self.put("@facts", ("ns", "name"), {"ns": self.ns, "name": name, "value": value}, ("value",))


def questions_in(
    statement: str, before: Sequence[Any], items: Sequence[Any], *after: Any
) -> list[Sequence[Any]]:
    """Return what a statement asks with a list of values of any length, which stands in it as IN (*)."""
    parts = [items[start : start + MOST_LISTED] for start in range(0, len(items), MOST_LISTED)]
    return [(_listing(statement, len(part)), *before, *part, *after) for part in parts]


def _listing(statement: str, count: int) -> str:
    return statement.replace("IN (*)", f"IN ({', '.join('?' * count)})")
