"""Orders to supervisors, what they answer, and what else supervisors are told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.broker.verbs.ordering import Heard
from nbtasks.broker.verbs.sessionnews import Position

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_TASKS = 10_000
_MOST = 100
#: So many numbers before the last one are looked at again: what has an earlier number may have been written later.
_OVERLAP = 200
#: Seconds after which who waits looks by itself.
_LOOK_AGAIN_S = 2.5


class PgOrdering:
    """Gives orders, hears them, and answers them; both ends use it.

    A position is a number, behind which nothing was told; or "@" and a moment in ms, for who has heard nothing yet.
    """

    def __init__(self, line: PgLink) -> None:
        self._line = line
        self._after: Position | None = None
        #: When the question is answered at the latest (monotonic); None where nothing is asked.
        self._until: float | None = None
        self._looks = 0
        self._lies = False
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
        if self._until is None:
            self._after, self._until = after, time.monotonic() + block_ms / 1000
            self._looks, self._lies = 0, False

    def asked(self, within_s: float) -> list[Heard]:
        """Return what was asked for; nothing where none came in time: then the question stands."""
        if self._until is None:
            return []
        end = time.monotonic() + within_s
        try:
            while True:
                found = self._look(lies_down=not self._lies)
                if found or time.monotonic() >= self._until:
                    self._until = None
                    return found
                left_s = min(end, self._until) - time.monotonic()
                if left_s <= 0:
                    return []
                self._lies = not self._line.wait_to_be_told(min(left_s, _LOOK_AGAIN_S), self._looks)
                self._looks += 1
        except Exception:
            self._until = None
            raise

    def _look(self, *, lies_down: bool) -> list[Heard]:
        if lies_down:
            self._line.note_told()
        since, after = _place(self._after)
        self._since = self._since if since is None else since
        channel = self._line.channel if lies_down else None
        most = _MOST + _OVERLAP
        rows = self._line.rows("read_orders", self._since, after - _OVERLAP, most, channel)
        self._lies = True
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
