"""What was submitted, as long as it can be sent again: function, arguments, large values, signed chunks.

A batch that another process has submitted has none here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.core.brief import brief
from nbtasks.core.header import CallHeader
from nbtasks.core.options import TaskOptions

from .sent import Refusals, Sent

if TYPE_CHECKING:
    from nbtasks.client.definition import Definition
    from nbtasks.wire.values import BlobPiece

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class CallOptions:
    """What is set for the calls of one submit, over the task's own options."""

    task: TaskOptions
    delay_s: float
    label: str | None
    quiet: bool
    header: CallHeader


class Parcel:
    """The calls of one batch on their way to workers.

    Args:
        function, frame: content hash and frame of the task's function.
        calls: positional and named arguments of each.
        due_ms: when they may start, in ms of the server's time; 0: at once.

    Attributes:
        frame: empty when all have ended; until then the broker may lose it.
        blobs: their large values, until then.
        spent: the same from then on.
        sent: their chunks, until then.
        sending: some of these are not with the outbox yet.
        refusals: how often they were refused.
    """

    def __init__(
        self,
        task: Definition,
        options: CallOptions,
        function: str,
        frame: bytes,
        calls: Sequence[Call],
        due_ms: int = 0,
    ) -> None:
        self.task = task
        self.options = options
        self.function = function
        self.frame = frame
        self.calls = calls
        self.due_ms = due_ms
        self.blobs: list[BlobPiece] = []
        self.spent: list[BlobPiece] = []
        self.sent: list[Sent] = []
        self.sending = False
        self.refusals = Refusals()

    def label(self, index: int) -> str:
        """Return the arguments of a call in short; no code of theirs runs."""
        if index >= len(self.calls):
            return f"#{index}"
        args, kwargs = self.calls[index]
        parts = [brief(value) for value in args]
        parts += [f"{name}={brief(value)}" for name, value in kwargs.items()]
        return ", ".join(parts)[:200]

    def settle(self) -> None:
        """All have ended: nothing is sent again. Arguments stay, for those who submit the calls anew."""
        self.spent, self.blobs = self.blobs, []
        self.sent, self.frame = [], b""

    def take_spent(self) -> list[BlobPiece]:
        """Return large values that nobody needs any more, once."""
        spent, self.spent = self.spent, []
        return spent
