"""How long the calls of a function take, about: the size of chunks follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtasks.wire.record import Record

    from .ledger import Ledger


class Paces:
    """Of one session's functions."""

    def __init__(self) -> None:
        #: Content hash of a function -> seconds.
        self._known: dict[str, float] = {}

    def of(self, function: str) -> float | None:
        """Return the seconds that a call of a function takes, by its content hash; None where none has ended."""
        return self._known.get(function)

    def note(self, batch: Ledger, record: Record) -> None:
        """Take in how long calls have taken. It rises at once and falls slowly."""
        if batch.parcel is None:
            return
        longest, function = max(record.seconds), batch.parcel.function
        before = self._known.get(function)
        self._known[function] = (
            longest if before is None or longest > before else before * 0.8 + longest * 0.2
        )
