"""What differs between the databases that one text of SQL is written for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from nbtasks.core.backoff import Backoff
    from nbtasks.core.errors import NbtasksError
    from nbtasks.core.servergauges import ServerGauges

#: What stands before the name of each of our tables.
_TABLE = re.compile(r"(?<!@)@([a-z_]+)")


#: Stands for the column's name in what a type is here.
COLUMN = "{column}"


class Statements(Protocol):
    """What a dialect itself says in a transaction."""

    def value(self, statement: str, *args: Any) -> Any:
        """Return the first value of the first row; None where there is none."""

    def row(self, statement: str, *args: Any) -> tuple[Any, ...] | None:
        """Return the first row; None where there is none."""

    def fact(self, name: str) -> str:
        """Return a single fact of the namespace; empty where nobody has noted it."""

    def note(self, name: str, value: str) -> None:
        """Note one."""

    def now_us(self) -> int:
        """Return the server's time in microseconds of the epoch."""


class Talk(Protocol):
    """One transaction as it is said over one connection.

    What is to be changed may be said later, in its order: along with the next question, or at the end, whichever comes
    first.
    """

    def ask(self, questions: Sequence[tuple[str, Sequence[Any]]]) -> list[list[tuple[Any, ...]]]:
        """Return the rows that each question brings."""

    def change(self, statement: str, args: Sequence[Any]) -> tuple[int, int]:
        """Change rows now; returns how many were found, and the number of one that was added."""

    def later(self, statement: str, args: Sequence[Any]) -> None:
        """Change rows."""

    def later_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Say the same for several rows."""

    def want_time(self) -> None:
        """The server's time will be asked for soon: it may come along with the next answer."""

    def now_us(self) -> int:
        """Return the server's time in microseconds of the epoch, as it is now."""

    def end(self) -> None:
        """Have it done."""

    def undo(self) -> None:
        """Have it not done."""


class Dialect(Protocol):
    """One kind of database, at one place.

    Statements are written once: with ``?`` for what is handed in, ``@`` before our tables' names, and FOR UPDATE where
    rows are to stay as they are until the transaction ends.

    Attributes:
        label: the URL without its secrets, for messages.
        flavour: the kind, for people.
        block_s: seconds for which somebody may be waited for.
        polls: between two looks of who waits.
        in_order: numbers of rows come in the order in which they are committed.
        types: word in our schema -> what it is here, with :data:`COLUMN` for the column's name.
    """

    label: str
    flavour: str
    block_s: float
    polls: Backoff
    in_order: bool
    types: dict[str, str]

    def connect(self) -> Any:
        """Return a new connection, as the DB-API has it.

        Raises:
            ConfigError: it is refused, and will be.
            BrokerUnavailable: it could not be made.
        """

    def is_elsewhere(self, connection: Any, *, for_sure: bool = False) -> bool:
        """Whether a connection leads to something else than a new one would. Asked before each verb.

        Args:
            for_sure: as it is now, not as it was a moment ago.
        """

    def begin_life(self, connection: Any) -> None:
        """See that no number is given to a row that one in what was at this place before may have had."""

    def text(self, statement: str) -> str:
        """Return a statement as it is understood here."""

    def put_text(self, table: str, keys: Sequence[str], columns: Sequence[str], over: Sequence[str]) -> str:
        """Return the statement that puts a row, where there is one by the same keys over some columns of that."""

    def begin(self, connection: Any, *, writes: bool, lazily: bool) -> Talk:
        """Begin a transaction. One that only reads may see in each question what others have done meanwhile.

        Args:
            lazily: losing it costs no call: nobody waits for the disk.
        """

    def in_use(self) -> AbstractContextManager[None]:
        """Return a context in which something is done with a connection."""

    def written(self, connection: Any) -> object:
        """Return what is another thing when anybody else has written; None where that cannot be told."""

    def is_again(self, error: BaseException) -> bool:
        """Whether the same transaction, begun anew, can be done: it stood in another one's way."""

    def is_lost(self, error: BaseException) -> bool:
        """Whether the connection is of no use any more."""

    def silence_s(self, error: BaseException) -> float:
        """Return for how many seconds nothing was heard, where that is what an error says; else 0."""

    def is_missing(self, error: BaseException) -> bool:
        """Whether there is no such table."""

    def is_made(self, error: BaseException) -> bool:
        """Whether what is to be made is there: where tables are made one by one, from before a cut in the middle."""

    def meaning(self, error: BaseException) -> NbtasksError:
        """Return what an error means that a transaction has ended with."""

    def cut(self, connection: Any) -> None:
        """Have whoever uses the connection find that it ends. From any thread."""

    def let_go(self, connection: Any) -> None:
        """Let go of a connection in a forked copy of the process, for which it goes on."""

    def life(self, transaction: Statements) -> str:
        """Return what names the server's life, between whose runs it has forgotten nothing that it had confirmed."""

    def version(self, transaction: Statements) -> str:
        """Return that of the server."""

    def gauges(self, transaction: Statements) -> ServerGauges:
        """Return what the server says of itself."""

    def locked_schema(self, connection: Any) -> AbstractContextManager[None]:
        """Return a context in which nobody else makes or changes our tables."""


def with_tables(statement: str, prefix: str) -> str:
    """Return a statement with our tables' names in it."""
    return _TABLE.sub(rf"{prefix}\1", statement)
