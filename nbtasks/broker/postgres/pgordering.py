"""Orders to supervisors, what they answer, and what else supervisors are told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.verbs.ordering import Heard
from nbtasks.broker.verbs.sessionnews import Position

from .standingquestion import StandingQuestion

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_TASKS = 10_000
_MOST = 100
#: So many numbers before the last one are looked at again: what has an earlier number may have been written later.
_OVERLAP = 200


class PgOrdering:
    """Gives orders, hears them, and answers them; both ends use it.

    A position is a number, behind which nothing was told; or "@" and a moment in ms, for who has heard nothing yet.
    """

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self._after: Position | None = None
        self._question = StandingQuestion(line)
        #: What the question has brought, before it was asked for.
        self._come: list[Heard] = []
        #: Since when (ms) what was told is to be heard, and the numbers that were heard lately.
        self._since = 0
        self._heard: set[int] = set()

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
        since, after = _place(self._after)
        self._since = self._since if since is None else since
        most = _MOST + _OVERLAP
        rows = self._line.rows("read_orders", self._since, after - _OVERLAP, most, channel)
        return self._new(rows, after)

    def _new(self, rows: Sequence[tuple[Any, ...]], after: int) -> list[Heard]:
        """Return what was not told before."""
        found, newest = [], after
        for number, kind, data in rows:
            newest = max(newest, number)
            if number not in self._heard:
                self._heard.add(number)
                found.append(Heard(Position(b"%d" % newest), kind, data))
        self._heard = {number for number in self._heard if number > newest - 2 * _OVERLAP}
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


def _place(position: Position | None) -> tuple[int | None, int]:
    """Return since when (ms), or None, and after which number."""
    text = position or b"0"
    if text.startswith(b"@"):
        return int(text[1:]), 0
    return None, int(text) if text.isdigit() else 0
