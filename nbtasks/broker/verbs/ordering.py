"""Orders to supervisors, what they answer, and what else supervisors are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from .sessionnews import Position


class Heard(NamedTuple):
    """One thing that supervisors are told.

    Attributes:
        kind: ``c`` for an order (``data`` is its signed frame); ``due``: calls are due at a time; ``wf``: something has
            failed in a workflow; ``sd``: periodic tasks have changed; ``odd``: something that was none of ours was
            dropped (``data`` is its name, for people). Empty: nobody of us has written this.
    """

    id: Position
    kind: str
    data: bytes


class Ordering(Protocol):
    """Gives orders, hears them, and answers them; both ends use it.

    Orders are kept for a while, 10,000 at least: each supervisor that is there hears each of them once. The other kinds
    are hints: whoever sees to such things looks by itself now and then.
    """

    def give(self, orders: Sequence[bytes], task: str = "", kept: bytes = b"") -> None:
        """Tell supervisors, and keep what those read that begin later; one step.

        Args:
            orders: signed.
            task: whose limits are set for workers that are still to come, too; empty for none.
            kept: the order that these read; empty where they are to know of none.
        """

    def position_at(self, moment: float) -> Position:
        """Return the position before all that was told since a moment of the server's clock (epoch seconds)."""

    def ask(self, after: Position | None, block_ms: int) -> None:
        """Ask for what was told later than a position, as :meth:`SessionNews.ask`; 100 at most."""

    def asked(self, within_s: float) -> list[Heard]:
        """Return what was asked for; nothing where none came in time: then the question stands.

        Raises:
            BrokerUnavailable: the connection was lost, and the question with it.
            NewsUnreadable: it has to be dropped.
            PlaceLost: the broker has lost what was heard last. Ask from a moment on.
        """

    def drop(self) -> None:
        """Drop all orders, and whatever stands in their place. Hear from the beginning after that."""

    def answer(self, reply: str, worker: str, frame: bytes) -> None:
        """Answer an order that wants an answer. An answer that nobody reads is kept for a minute."""

    def answers(self, reply: str, workers: Sequence[str]) -> dict[str, bytes]:
        """Return the answers of some workers to an order, of those whose answer has come."""

    def drop_answers(self, reply: str, workers: Sequence[str]) -> None:
        """Nobody reads the answers to an order any more."""

    def task_limits(self) -> list[bytes]:
        """Return the signed orders about limits of tasks that are kept, ten thousand at most."""
