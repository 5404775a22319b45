"""What supervisors do for all, one of them at a time: who is elected, and what has to be cleared away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.verbs.submission import SESSION_TTL_MS

if TYPE_CHECKING:
    from .pglink import PgLink

_MOST_AT_ONCE = 500
_AUDITED = "audited"


class PgHousekeeping:
    """Duties of supervisors."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def elected(self, duty: str, worker: str, ms: int) -> bool:
        """Try to be the one supervisor that does a duty for the next ``ms``."""
        return bool(self._line.one("elect", duty, worker, ms))

    def server_life(self) -> str:
        """Return what names the server's life, between whose runs it has forgotten nothing."""
        return self._line.life()

    def audited_life(self) -> str:
        """Return the name of the server's life in which orphans were last looked for."""
        return self._line.one("fact", _AUDITED) or ""

    def note_audit(self, life: str) -> None:
        """Note that orphans were looked for in this life of the server."""
        self._line.rows("note_fact", _AUDITED, life)

    def sweep_batches(self, older_than_ms: float) -> None:
        """Remove what has expired."""
        while self._line.one("sweep", _MOST_AT_ONCE) >= _MOST_AT_ONCE:
            continue
        self._line.rows("clear_away", SESSION_TTL_MS)

    def bound_events(self, most_bytes: int) -> int:
        """Drop the oldest entries of the stream of events where they take more than that; returns how many."""
        return int(self._line.one("bound_events", most_bytes))
