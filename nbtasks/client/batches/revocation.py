"""What is known of those calls of a batch that were revoked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Revocation:
    """Of one batch.

    Attributes:
        running: calls that were revoked while they ran, and may end; -1 is all of them. They are not to be run again.
        how: it came about: calls "were ...".
    """

    running: set[int] = field(default_factory=set)
    how: str = "revoked"
