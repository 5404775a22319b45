"""Which calls of a batch have results that an earlier run has left, and when those were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtasks.wire.record import Record


class Reused:
    """Of one batch.

    Attributes:
        count: number of such calls.
        made_at: when the oldest of their results was made, in local epoch seconds; None where there is none.
    """

    def __init__(self) -> None:
        self.count = 0
        self.made_at: float | None = None
        #: (first, count) of them.
        self._calls: list[tuple[int, int]] = []

    def note(self, record: Record) -> None:
        """A record of such results counts."""
        self.count += len(record.states)
        self._calls.append((record.first, len(record.states)))
        made_at = min(record.made) + record.ahead_s
        self.made_at = made_at if self.made_at is None else min(made_at, self.made_at)

    def marked(self, states: bytes | bytearray, code: int) -> bytes:
        """Return state codes with another code for these calls."""
        if not self._calls:
            return bytes(states)
        marked = bytearray(states)
        for first, count in self._calls:
            marked[first : first + count] = bytes([code]) * count
        return bytes(marked)
