"""What sessions are told. Whoever reads it takes it away; until it says that it has, it is kept here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.verbs.sessionnews import Position, SessionEvent

if TYPE_CHECKING:
    from .pglink import PgLink

#: Sessions that hear of one batch.
_MOST_SESSIONS = 4
_MOST = 500


class PgSessionNews:
    """Reads the news of one session at a time.

    A position is how many pieces of news this object had read then: the server's own numbers come in another order than
    what they number.
    """

    def __init__(self, line: PgLink) -> None:
        self._line = line
        #: The session whose news are asked for, and until when (monotonic); none where nothing is.
        self._asked: tuple[str, float] | None = None
        self._asked_on = 0
        self._lies = False
        self._looks = 0
        self._read = 0
        self._session = ""
        #: What was read, and may not have been taken in.
        self._kept: list[SessionEvent] = []

    def ask(self, session: str, after: Position | None, block_ms: int) -> None:
        """Ask for news of a session; not if that is asked already."""
        if self._asked is not None:
            return
        if session != self._session:
            self._session, self._kept = session, []
        taken_in = _number(after)
        self._kept = [event for event in self._kept if _number(event.id) > taken_in]
        self._asked = session, time.monotonic() + block_ms / 1000
        self._looks = 0
        if not self._kept:
            self._look(lies_down=True)
        self._asked_on = self._line.connections

    def asked(self, within_s: float, eager: bool = False) -> list[SessionEvent] | None:
        """Return the news that were asked for, none where none came; None where there is no answer yet."""
        if self._asked is None:
            return []
        _, until = self._asked
        wake_at = time.monotonic() + within_s
        try:
            while not self._kept:
                now = time.monotonic()
                if now >= until:
                    # The last look, and where this session is to be woken no more.
                    self._look(lies_down=False)
                    break
                if now >= wake_at:
                    return None
                woken = self._line.wait_to_be_told(min(until, wake_at) - now, self._looks)
                self._looks += 1
                if woken:
                    self._look(lies_down=False)
                    if not self._kept:
                        self._look(lies_down=True)
        except Exception:
            self._asked = None
            raise
        self._asked = None
        return list(self._kept)

    def _look(self, *, lies_down: bool) -> None:
        """Read what there is.

        Args:
            lies_down: this session is to be woken when something comes, where there is nothing now.
        """
        if lies_down:
            self._line.note_told()
        rows = self._line.rows("read_news", self._session, _MOST, self._line.channel if lies_down else None)
        for _, kind, batch, first, count, wins, frame in rows:
            self._read += 1
            place = Position(b"%d" % self._read)
            self._kept.append(SessionEvent(place, kind, batch, frame, first, count, wins))

    def trim(self, session: str, upto: Position) -> None:
        """Nothing is left of what was read."""

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
