"""What sessions are told, and how who waits for it hears of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.brokererrors import PlaceLost
from nbtasks.broker.verbs.sessionnews import Position, SessionEvent

from .standingquestion import StandingQuestion

if TYPE_CHECKING:
    from .pglink import PgLink

#: Sessions that hear of one batch.
_MOST_SESSIONS = 4
_MOST = 500


class PgSessionNews:
    """Reads the news of one session at a time. A position is the number of a piece of news."""

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self._question = StandingQuestion(line)
        self._session, self._after = "", 0
        #: What the question has brought, before it was asked for.
        self._come: list[SessionEvent] = []
        #: The server that positions are of.
        self._server = ""

    def ask(self, session: str, after: Position | None, block_ms: int) -> None:
        """Ask for news of a session; not if that is asked already."""
        if self._question.stands:
            return
        self._session, self._after = session, _number(after)
        if after is None:
            self._server = ""
        self._come = self._look(lies_down=True)
        self._question.begin(block_ms)

    def asked(self, within_s: float, eager: bool = False) -> list[SessionEvent] | None:
        """Return the news that were asked for, none where none came; None where there is no answer yet."""
        with self._question as question:
            wake_at = time.monotonic() + within_s
            while not self._come:
                now = time.monotonic()
                if now >= question.until:
                    self._come = self._look(lies_down=False)
                    break
                if now >= wake_at:
                    return None
                if question.wait(min(wake_at, question.until) - now):
                    self._come = self._look(lies_down=False) or self._look(lies_down=True)
            question.end()
        return self._come

    def _look(self, *, lies_down: bool) -> list[SessionEvent]:
        """Return what there is.

        Args:
            lies_down: this session is to be woken when something comes, where there is nothing now.
        """
        channel = self._line.lying_down() if lies_down else None
        rows = self._line.rows("read_news", self._session, self._after, _MOST, channel)
        self._server = self._server or self._line.server
        if self._server != self._line.server:
            # News are numbered by the server's clock, which may be behind that of the one before.
            raise PlaceLost
        return [
            SessionEvent(Position(b"%d" % number), kind, batch, frame, first, count, wins)
            for number, kind, batch, first, count, wins, frame in rows
        ]

    def trim(self, session: str, upto: Position) -> None:
        """Drop news that were read."""
        self._line.rows("trim_news", session, _number(upto))

    def drop(self, session: str) -> None:
        """Drop all news of a session."""
        self._line.rows("drop_news", session)

    def adopt(self, batch: str, session: str) -> bool:
        """Send the news of a batch to one more session from now on; False when nobody knows the batch."""
        return bool(self._line.one("adopt", batch, session, _MOST_SESSIONS))

    def end_session(self, session: str) -> None:
        """Drop what only a session's own client reads."""
        self._line.rows("end_session", session)


def _number(position: Position | None) -> int:
    return int(position) if position is not None and position.isdigit() else 0
