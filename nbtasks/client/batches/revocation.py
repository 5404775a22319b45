"""What is known of those calls of a batch that were revoked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Revocation:
    """Of one batch.

    Attributes:
        running: calls that were revoked while they ran, and may end; -1 is all of them. They are not to be run again.
        how: it came about: calls "were ...".
        stand_ins: call -> the batches that have taken its place, and are revoked with it.
    """

    running: set[int] = field(default_factory=set)
    how: str = "revoked"
    stand_ins: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def stand_ins_of(self, index: int) -> list[str]:
        """Return the batches that have taken the place of a call; of all calls for an index of -1."""
        found = [after for call, after in list(self.stand_ins.items()) if index in (-1, call)]
        return [batch for after in found for batch in after]
