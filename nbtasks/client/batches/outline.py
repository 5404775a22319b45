"""A batch that somebody has submitted, as far as its label tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtasks.core.label import BatchLabel


@dataclass(frozen=True)
class Outline:
    """A batch as it is told by its label. Times are local epoch seconds.

    Attributes:
        done_count: calls that have ended.
    """

    id: str
    label: BatchLabel
    submitted_at: float
    ended_at: float | None
    done_count: int

    @property
    def left(self) -> int:
        """Calls that have not ended; of a batch that grows, nobody knows, and it counts as one."""
        return max(0, self.label.n - self.done_count) if self.label.n >= 0 else 1

    @property
    def title(self) -> str:
        """What cards call it."""
        return self.label.title or self.label.name
