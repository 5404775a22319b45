"""What supervisors do for all, one of them at a time: who is elected, and what has to be cleared away."""

from __future__ import annotations

from typing import Protocol


class Housekeeping(Protocol):
    """Duties of supervisors."""

    def elected(self, duty: str, worker: str, ms: int) -> bool:
        """Try to be the one supervisor that does a duty for the next ``ms``; True also for the one that is.

        An election saves work and nothing else: what is done by two at once must be right as well.
        """

    def server_life(self) -> str:
        """Return what names the server's life, between whose runs it has forgotten nothing that it had confirmed."""

    def audited_life(self) -> str:
        """Return the name of the server's life in which orphans were last looked for; empty where none is noted."""

    def note_audit(self, life: str) -> None:
        """Note that orphans were looked for in this life of the server."""

    def sweep_batches(self, older_than_ms: float) -> None:
        """Take batches off the list that have expired, and see that those expire that are over.

        Said once an hour by each supervisor: a leg on which nothing expires by itself removes here, or in what it does
        by itself, whatever has.

        Args:
            older_than_ms: only those that were submitted before that (epoch ms of the server).
        """

    def bound_events(self, most_bytes: int) -> int:
        """Drop the oldest entries of the stream of events where they take more than that; returns how many."""
