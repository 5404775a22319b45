"""What sessions are told, and how who waits for it hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.sessionnews import Position, SessionEvent

from .sqlstandingquestion import SqlQuestion

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

#: Sessions that hear of one batch.
_MOST_SESSIONS = 4
_MOST = 500


class SqlSessionNews:
    """Reads the news of one session at a time. A position is the number of a piece of news."""

    def __init__(self, line: SqlLink) -> None:
        self._line = line
        self._question: SqlQuestion[SessionEvent] = SqlQuestion(line)

    def ask(self, session: str, after: Position | None, block_ms: int) -> None:
        """Ask for news of a session; not if that is asked already."""
        if not self._question.stands:
            self._question.begin(lambda: self._look(session, _number(after)), block_ms)

    def asked(self, within_s: float, eager: bool = False) -> list[SessionEvent] | None:
        """Return the news that were asked for, none where none came; None where there is no answer yet."""
        return self._question.wait(within_s)

    def _look(self, session: str, after: int) -> list[SessionEvent]:
        return [
            SessionEvent(Position(b"%d" % number), kind, batch, frame, first, size, wins)
            for number, kind, batch, first, size, wins, frame in self._line.read(read_news, session, after)
        ]

    def trim(self, session: str, upto: Position) -> None:
        """Drop news that were read."""
        self._line.write_lazily(trim_news, session, _number(upto))

    def drop(self, session: str) -> None:
        """Drop all news of a session."""
        self._line.write(drop_news, session)

    def adopt(self, batch: str, session: str) -> bool:
        """Send the news of a batch to one more session from now on; False when nobody knows the batch."""
        return self._line.write(adopt, batch, session)

    def end_session(self, session: str) -> None:
        """Drop what only a session's own client reads."""
        self._line.write(end_session, session)


def _number(position: Position | None) -> int:
    return int(position) if position is not None and position.isdigit() else 0


def read_news(tx: Transaction, session: str, after: int) -> list[Row]:
    """Return what a session is told behind some number."""
    return tx.rows(
        "SELECT id, kind, batch, first, size, wins, frame FROM @news WHERE ns = ? AND session = ? AND id > ? "
        "ORDER BY id LIMIT ?",
        *(tx.ns, session, after, _MOST),
    )


def trim_news(tx: Transaction, session: str, upto: int) -> None:
    """Drop news before some number."""
    tx.run("DELETE FROM @news WHERE ns = ? AND session = ? AND id < ?", tx.ns, session, upto)


def drop_news(tx: Transaction, session: str) -> None:
    """Drop all of them."""
    tx.run("DELETE FROM @news WHERE ns = ? AND session = ?", tx.ns, session)


def adopt(tx: Transaction, batch: str, session: str) -> bool:
    """Have the news of a batch sent to one more session; those before the last few are dropped."""
    found = tx.value("SELECT sessions FROM @batches WHERE ns = ? AND batch = ? FOR UPDATE", tx.ns, batch)
    if found is None:
        return False
    heard = [*(one for one in found.split() if one != session), session][-_MOST_SESSIONS:]
    tx.run("UPDATE @batches SET sessions = ? WHERE ns = ? AND batch = ?", " ".join(heard), tx.ns, batch)
    return True


def end_session(tx: Transaction, session: str) -> None:
    """Drop all that there is of a session."""
    for table in ("news", "listeners", "sessions"):
        tx.run(f"DELETE FROM @{table} WHERE ns = ? AND session = ?", tx.ns, session)  # noqa: S608
