"""Orders to supervisors, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.broker.brokererrors import PlaceLost
from nbtasks.broker.verbs.ordering import Heard
from nbtasks.broker.verbs.sessionnews import Position

from .keys import Keys
from .link import Link
from .positions import id_after, is_ahead, position_at
from .untrusted import pairs

#: How long an answer is kept that nobody reads; how many orders one answer has, and of how many tasks limits are read.
_KEPT_MS = 60_000
_MOST_TOLD = 100
_MOST_TASKS = 10_000


class RedisOrdering:
    """Gives orders, and answers them; both ends use it."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        #: After which position is asked, and which one was heard last.
        self._asked: Position | None = None
        self._heard: Position | None = None

    def give(self, orders: Sequence[bytes], task: str = "", kept: bytes = b"") -> None:
        """Tell supervisors.

        Args:
            orders: signed.
            task: whose limits are set for workers that are still to come, too; empty for none.
            kept: the order that these read; empty where they are to know of none.
        """
        self._link.script("order", [self._keys.root], [task, kept, *orders])

    def answer(self, reply: str, worker: str, frame: bytes) -> None:
        """Answer an order that wants an answer."""
        keys = [self._keys.root, self._keys.answer(reply, worker)]
        self._link.script("answer", keys, [frame, _KEPT_MS])

    def answers(self, reply: str, workers: Sequence[str]) -> dict[str, bytes]:
        """Return the answers of some workers to an order, of those whose answer has come."""
        found = self._link.pipeline([("GET", self._keys.answer(reply, worker)) for worker in workers])
        return {
            worker: frame for worker, frame in zip(workers, found, strict=True) if isinstance(frame, bytes)
        }

    def drop_answers(self, reply: str, workers: Sequence[str]) -> None:
        """Nobody reads the answers to an order any more."""
        if workers:
            self._link.call("DEL", *(self._keys.answer(reply, worker) for worker in workers))

    def task_limits(self) -> list[bytes]:
        """Return the signed orders about limits of tasks that are kept."""
        found = self._link.call_or_nothing(("HGETALL", self._keys.task_limits), [])
        return [frame for _, frame in pairs(found)][:_MOST_TASKS]

    @staticmethod
    def position_at(moment: float) -> Position:
        """Return the position before all that was told since a moment of the server's clock (epoch seconds)."""
        return position_at(moment)

    def ask(self, after: Position | None, block_ms: int) -> None:
        """Ask for what was told later than ``after``, as in :meth:`Link.ask`."""
        if not self._link.asked:
            self._asked = after
            self._link.ask(self._keys.control, id_after(after), _MOST_TOLD, block_ms)

    def asked(self, within_s: float) -> list[Heard]:
        """Return what was asked for; one that is none of ours has no kind.

        There are none where none came in time; then the question stands.
        """
        answer = self._link.answer(within_s)
        if answer:
            self._heard = Position(answer[-1][0])
        # A position that stands for a moment may be of later than all that there is.
        elif answer is not None and self._heard is not None and self._asked == self._heard:
            self._check_place(self._heard)
        return [_heard(Position(entry_id), fields) for entry_id, fields in answer or ()]

    def _check_place(self, heard: Position) -> None:
        if is_ahead(self._link, self._keys.control, heard):
            raise PlaceLost

    def drop(self) -> None:
        """Drop a stream of orders that cannot be read: it is of another type, or takes no more of them."""
        self._link.call("DEL", self._keys.control)


def _heard(entry_id: Position, fields: list[bytes]) -> Heard:
    if len(fields) < 4 or fields[0] != b"k":
        return Heard(entry_id, "", b"")
    return Heard(entry_id, fields[1].decode(errors="replace"), fields[3])
