"""Orders to supervisors, what they answer, and what else supervisors are told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from nbtasks.broker.brokererrors import PlaceLost
from nbtasks.broker.verbs.ordering import Heard
from nbtasks.broker.verbs.sessionnews import Position

from .standingquestion import StandingQuestion

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_TASKS = 10_000
_MOST = 100


class _Place(NamedTuple):
    """How far somebody has heard. Numbers come in another order than commits, so a number alone does not say that.

    Attributes:
        since: from when on (ms).
        seen: a snapshot; all that it has was heard.
        upto: the one with which it is heard now; None: what the first one has is all.
        xid, number: transaction and number of what was heard last, with that one.
    """

    since: int = 0
    seen: str = "1:1:"
    upto: str | None = None
    xid: str = "0"
    number: int = 0


class PgOrdering:
    """Gives orders, hears them, and answers them; both ends use it.

    A position is a :class:`_Place` in words; or "@" and a moment in ms, for who has heard nothing yet.
    """

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self._after: Position | None = None
        #: The server that positions are of.
        self._server = ""
        self._question = StandingQuestion(line)
        #: What the question has brought, before it was asked for.
        self._come: list[Heard] = []

    def give(self, orders: Sequence[bytes], task: str = "", kept: bytes = b"") -> None:
        """Tell supervisors, and keep what those read that begin later."""
        self._line.rows("give_orders", task or None, kept or None, list(orders))

    def position_at(self, moment: float) -> Position:
        """Return the position before all that was told since a moment of the server's clock (epoch seconds)."""
        return Position(b"@%d" % max(0, int(moment * 1000)))

    def ask(self, after: Position | None, block_ms: int) -> None:
        """Ask for what was told later than a position."""
        if not self._question.stands:
            self._after = after
            self._come = self._look(lies_down=True)
            self._question.begin(block_ms)

    def asked(self, within_s: float) -> list[Heard]:
        """Return what was asked for; nothing where none came in time: then the question stands."""
        with self._question as question:
            end = min(time.monotonic() + within_s, question.until)
            while not self._come and (left_s := end - time.monotonic()) > 0:
                if question.wait(left_s):
                    self._come = self._look(lies_down=False) or self._look(lies_down=True)
            if not self._come and time.monotonic() >= question.until:
                self._come = self._look(lies_down=False)
                question.end()
            if self._come:
                question.end()
        found, self._come = self._come, []
        return found

    def _look(self, *, lies_down: bool) -> list[Heard]:
        channel = self._line.lying_down() if lies_down else None
        place = _place(self._after)
        if place == _Place(place.since):
            self._server = ""
        found = self._heard_from(place, channel)
        if not found and place.upto is not None:
            # All up to the second snapshot was read: go on from there.
            found = self._heard_from(_Place(place.since, place.upto), channel)
        return found

    def _heard_from(self, place: _Place, channel: str | None) -> list[Heard]:
        rows = self._line.rows("read_orders", *place, _MOST, channel)
        server = self._server = self._server or self._line.server
        if rows[0][0] is None or server != self._line.server:
            raise PlaceLost
        found = [
            Heard(_position(_Place(place.since, place.seen, upto, xid, number)), kind, data)
            for upto, xid, number, kind, data in rows
            if number is not None
        ]
        if found and len(found) < _MOST:
            # That is all: whoever has heard the last one has heard what the second snapshot has.
            found[-1] = found[-1]._replace(id=_position(_Place(place.since, rows[0][0])))
        return found

    def drop(self) -> None:
        """Drop all orders."""
        self._line.rows("drop_orders")

    def answer(self, reply: str, worker: str, frame: bytes) -> None:
        """Answer an order that wants an answer."""
        self._line.rows("answer", reply, worker, frame)

    def answers(self, reply: str, workers: Sequence[str]) -> dict[str, bytes]:
        """Return the answers of some workers to an order, of those whose answer has come."""
        return dict(self._line.rows("answers_to", reply, list(workers)))

    def drop_answers(self, reply: str, workers: Sequence[str]) -> None:
        """Nobody reads the answers to an order any more."""
        self._line.rows("drop_answers", reply, list(workers))

    def task_limits(self) -> list[bytes]:
        """Return the signed orders about limits of tasks that are kept."""
        return [frame for (frame,) in self._line.rows("limits_of_tasks", _MOST_TASKS)]


def _place(position: Position | None) -> _Place:
    text = (position or b"").decode()
    if text.startswith("@"):
        return _Place(int(text[1:]))
    if not text:
        return _Place()
    since, seen, *between = text.split(" ")
    if not between:
        return _Place(int(since), seen)
    upto, xid, number = between
    return _Place(int(since), seen, upto, xid, int(number))


def _position(place: _Place) -> Position:
    words = place if place.upto is not None else place[:2]
    return Position(" ".join(map(str, words)).encode())
