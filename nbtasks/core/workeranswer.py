"""What supervisors answer. The short keys of answers stand here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .wirefields import WireField, WireFields, flag, text


@dataclass(frozen=True)
class WorkerAnswer:
    """What one worker says to an order or a question.

    Attributes:
        reply: which order it is about: the place that this one named.
        worker: id of the worker.
        value: JSON types: what was asked for, or one sentence.
        failed: the order was not followed; the value says why.
    """

    reply: str
    worker: str
    value: Any = None
    failed: bool = False

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return _FIELDS.written(self)

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> WorkerAnswer:
        """Read what :meth:`to_wire` has made.

        Raises:
            ValueError: it makes no sense.
        """
        try:
            return cls(**_FIELDS.read(wire))
        except TypeError as error:
            raise ValueError(f"an answer lacks something: {wire!r:.80}") from error


_FIELDS = WireFields(
    WorkerAnswer,
    {
        "re": WireField("reply", text),
        "w": WireField("worker", text),
        "v": WireField("value", lambda value: value),
        "no": WireField("failed", flag, int),
    },
)
