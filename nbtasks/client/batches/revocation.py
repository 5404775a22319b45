"""What is known of those calls of a batch that were revoked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Revocation:
    """Of one batch.

    Attributes:
        running: calls that were revoked while they ran, and may end; -1 is all of them. They are not to be run again.
        how: it came about: calls "were ...".
        line: what has to be done before the states of calls are up to date; see catchingup.py.
        stand_ins: call -> the batches that have taken its place, and are revoked with it.
    """

    running: set[int] = field(default_factory=set)
    how: str = "revoked"
    line: Any = None
    stand_ins: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def stand_ins_of(self, index: int) -> list[str]:
        """Return the batches that have taken the place of a call; of all calls for an index of -1."""
        found = [after for call, after in list(self.stand_ins.items()) if index in (-1, call)]
        return [batch for after in found for batch in after]
