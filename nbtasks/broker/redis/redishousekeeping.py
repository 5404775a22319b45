"""Duties of supervisors: elections, and what has to be cleared away."""

from __future__ import annotations

from .keys import GROUP, Keys
from .link import Link
from .servercheck import server_life


class RedisHousekeeping:
    """That of a namespace."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def elected(self, duty: str, worker: str, ms: int) -> bool:
        """Try to be the one supervisor that does a duty for the next ``ms``."""
        return bool(self._link.script("elect", [self._keys.root, self._keys.lock(duty)], [worker, ms]))

    def server_life(self) -> str:
        """Return what names the server's life, between whose runs it has forgotten nothing."""
        return server_life(self._link)

    def audited_life(self) -> str:
        """Return the name of the server's life in which orphans were last looked for."""
        return (self._link.call_or_nothing(("GET", self._keys.audited), None) or b"").decode(errors="replace")

    def note_audit(self, life: str) -> None:
        """Note that orphans were looked for in this life of the server."""
        self._link.call("SET", self._keys.audited, life)

    def sweep_batches(self, older_than_ms: float) -> None:
        """Take batches off the list whose record has expired, and see that those expire that are over."""
        kept = 0
        while True:
            found = self._link.call_or_nothing(
                ("ZRANGEBYSCORE", self._keys.batches, "-inf", older_than_ms, "LIMIT", kept, 1000), []
            )
            if not found:
                return
            lives = self._link.pipeline([("PTTL", self._keys.batch("").encode() + name) for name in found])
            gone = [name for name, life in zip(found, lives, strict=True) if life == -2]
            endless = [name for name, life in zip(found, lives, strict=True) if life == -1]
            if gone:
                self._link.call("ZREM", self._keys.batches, *gone)
            if endless:
                # One may have ended at the moment when the server lost the end of its file.
                self._link.script("finish", [self._keys.root], [GROUP, 0, *_each(endless)])
            kept += len(found) - len(gone)

    def bound_events(self, most_bytes: int) -> int:
        """Drop the oldest entries of the stream of events where they take more than that; returns how many."""
        return int(self._link.script("bound_events", [self._keys.root, self._keys.happened], [most_bytes]))


def _each(batches: list[bytes]) -> list[bytes | str]:
    """Return finish operations that look whether these batches are over."""
    return [part for batch in batches for part in ("S", batch)]
