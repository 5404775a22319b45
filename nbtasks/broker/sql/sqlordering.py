"""Orders to supervisors, what they answer, and what else supervisors are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.brokererrors import PlaceLost
from nbtasks.broker.verbs.ordering import Heard
from nbtasks.broker.verbs.sessionnews import Position

from .sqlentries import tell
from .sqlstandingquestion import SqlQuestion

if TYPE_CHECKING:
    from .sqllink import SqlLink
    from .sqltransaction import Row, Transaction

_MOST_TASKS = 10_000
_MOST = 100
#: So many numbers before the last one are looked at again, where what has an earlier one may be committed later.
_OVERLAP = 200
#: Milliseconds for which an answer is kept that nobody reads.
_ANSWER_MS = 60_000


class SqlOrdering:
    """Gives orders, hears them, and answers them; both ends use it.

    A position is a number, behind which nothing was told, and when that was told, as "7.1700000000000"; or "@" and a
    moment in ms, for who has heard nothing yet.
    """

    def __init__(self, line: SqlLink) -> None:
        self._line = line
        self._question: SqlQuestion[Heard] = SqlQuestion(line)
        self._overlap = 0 if line.dialect.in_order else _OVERLAP
        #: Since when (ms) what was told is to be heard, and the numbers that were heard lately.
        self._since = 0
        self._heard: set[int] = set()

    def give(self, orders: Sequence[bytes], task: str = "", kept: bytes = b"") -> None:
        """Tell supervisors, and keep what those read that begin later."""
        self._line.write(give_orders, orders, task, kept)

    def position_at(self, moment: float) -> Position:
        """Return the position before all that was told since a moment of the server's clock (epoch seconds)."""
        return Position(b"@%d" % max(0, int(moment * 1000)))

    def ask(self, after: Position | None, block_ms: int) -> None:
        """Ask for what was told later than a position."""
        if not self._question.stands:
            since, number, told = _place(after)
            if since is not None:
                # Whoever begins from a moment on may have heard the same numbers of a database that was put back since.
                self._since, self._heard = since, set()
            self._question.begin(lambda: self._look(number, told), block_ms)

    def asked(self, within_s: float) -> list[Heard]:
        """Return what was asked for; nothing where none came in time: then the question stands."""
        return self._question.wait(within_s) or []

    def _look(self, after: int, at: int) -> list[Heard]:
        # With the last one that was heard: it is there, for the newest one always stays.
        begin = after - self._overlap - 1
        rows = self._line.read(read_orders, self._since, begin, _MOST + self._overlap + 1)
        if after and (after, at) not in {(number, told) for number, told, _, _ in rows}:
            raise PlaceLost
        found, newest = [], after
        for number, told, kind, data in rows:
            if number >= newest:
                newest, at = number, told
            if number not in self._heard and number != after:
                self._heard.add(number)
                found.append(Heard(Position(b"%d.%d" % (newest, at)), kind, data))
        self._heard = {number for number in self._heard if number > newest - 2 * _OVERLAP}
        return found

    def drop(self) -> None:
        """Drop all orders."""
        self._line.write(lambda tx: tx.run("DELETE FROM @control WHERE ns = ?", tx.ns))

    def answer(self, reply: str, worker: str, frame: bytes) -> None:
        """Answer an order that wants an answer."""
        self._line.write_lazily(answer, reply, worker, frame)

    def answers(self, reply: str, workers: Sequence[str]) -> dict[str, bytes]:
        """Return the answers of some workers to an order, of those whose answer has come."""
        return dict(self._line.read(answers_to, reply, workers)) if workers else {}

    def drop_answers(self, reply: str, workers: Sequence[str]) -> None:
        """Nobody reads the answers to an order any more."""
        if workers:
            self._line.write_lazily(drop_answers, reply, workers)

    def task_limits(self) -> list[bytes]:
        """Return the signed orders about limits of tasks that are kept."""
        return [frame for (frame,) in self._line.read(task_limits)]


def _place(position: Position | None) -> tuple[int | None, int, int]:
    """Return since when (ms), or None; after which number, and when that was told."""
    text = position or b"0"
    if text.startswith(b"@"):
        return int(text[1:]), 0, 0
    number, _, told = text.partition(b".")
    return (None, int(number), int(told)) if number.isdigit() and told.isdigit() else (None, 0, 0)


def give_orders(tx: Transaction, orders: Sequence[bytes], task: str, kept: bytes) -> None:
    """Give orders to supervisors, and keep one of them for workers that are still to come."""
    if task and kept:
        tx.put("@task_limits", ("ns", "task"), {"ns": tx.ns, "task": task, "frame": kept}, ("frame",))
    elif task:
        tx.run("DELETE FROM @task_limits WHERE ns = ? AND task = ?", tx.ns, task)
    for order in orders:
        tell(tx, "c", order)


def read_orders(tx: Transaction, since: int, after: int, most: int) -> list[Row]:
    """Return what supervisors are told since a moment, behind a number."""
    return tx.rows(
        "SELECT id, told, kind, data FROM @control WHERE ns = ? AND id > ? AND told >= ? ORDER BY id LIMIT ?",
        *(tx.ns, after, since, most),
    )


def answer(tx: Transaction, reply: str, worker: str, frame: bytes) -> None:
    """Answer an order."""
    now = tx.now_ms()
    tx.run("DELETE FROM @answers WHERE ns = ? AND told < ?", tx.ns, now - _ANSWER_MS)
    row = {"ns": tx.ns, "reply": reply, "worker": worker, "told": now, "frame": frame}
    tx.put("@answers", ("ns", "reply", "worker"), row, ("told", "frame"))


def answers_to(tx: Transaction, reply: str, workers: Sequence[str]) -> list[Row]:
    """Return worker and answer of each that has answered."""
    statement = "SELECT worker, frame FROM @answers WHERE ns = ? AND reply = ? AND worker IN (*)"
    return tx.rows_in(statement, (tx.ns, reply), workers)


def drop_answers(tx: Transaction, reply: str, workers: Sequence[str]) -> None:
    """Drop answers."""
    tx.run_in("DELETE FROM @answers WHERE ns = ? AND reply = ? AND worker IN (*)", (tx.ns, reply), workers)


def task_limits(tx: Transaction) -> list[Row]:
    """Return what is kept of limits of tasks."""
    return tx.rows("SELECT frame FROM @task_limits WHERE ns = ? ORDER BY task LIMIT ?", tx.ns, _MOST_TASKS)
