"""What the client of some batches is told: results and events, as they come. A hint: the truth is in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, Protocol

#: How far something was read. It is handed back as it came, and means nothing to anybody else.
Position = NewType("Position", bytes)


# One for each call, and to make one that is frozen takes four times as long.
@dataclass
class SessionEvent:
    """One piece of news.

    ``kind`` is ``r`` (results of ``count`` calls from ``first`` on; ``wins`` lists the ranges that counted, as
    ``first+count`` with blanks between them, empty for all; an empty frame is to be fetched), ``e`` (an event frame),
    or empty: nobody of us has written this.
    """

    id: Position
    kind: str
    batch: str
    frame: bytes
    first: int = 0
    count: int = 0
    wins: str = ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether there are results that the event does not carry itself."""
        return self.kind == "r" and not self.frame


class SessionNews(Protocol):
    """The news of sessions, kept for a day after the last ones, until they are trimmed, or up to 20,000 a session.

    A session hears of the batches that it has submitted and of those that it has adopted; at most four sessions hear of
    one batch, the last ones. Results are told after they are there: who is told of one can read it, and who reads the
    store after a connection was made misses nothing. Records of more than 32 KiB, and all of them to a client that has
    left 500 pieces of news unread, are not sent along.
    """

    def ask(self, session: str, after: Position | None, block_ms: int) -> None:
        """Ask for the news of a session later than a position, 500 at most; not if a question stands already.

        The question stands until :meth:`asked` has taken its answer, or the connection is lost. Any thread may take
        it. Nothing else may be done over this line meanwhile.

        Args:
            after: None: from the first that is kept.
            block_ms: for so long the server waits for news, where there are none; at most the line's ``block_s``.

        Raises:
            NewsUnreadable: nothing could come after this position.
        """

    def asked(self, within_s: float, eager: bool = False) -> list[SessionEvent] | None:
        """Return the news that were asked for, none where none came; None where there is no answer yet.

        Where a thread is interrupted in here, or the answer is lost, nothing is lost: it is asked for again, with the
        same position.

        Args:
            within_s: seconds to wait for the answer; without :attr:`Connected.is_prompt` it may take longer.
            eager: as in :meth:`Submission.submit`.

        Raises:
            BrokerUnavailable: the connection was lost, and the question with it.
            NewsUnreadable: they have to be dropped.
            PlaceLost: the broker has lost what was read last. Ask from the first that is kept.
        """

    def trim(self, session: str, upto: Position) -> None:
        """Drop news that were read: those before a position."""

    def drop(self, session: str) -> None:
        """Drop all news of a session, and whatever stands in their place. Read from the beginning after that."""

    def adopt(self, batch: str, session: str) -> bool:
        """Tell one more session of a batch from now on; False when nobody knows the batch. May be said again."""

    def end_session(self, session: str) -> None:
        """Drop what only a session's own client reads, the number of its last flush with it."""
