"""How long calls of a function take, and what follows from it: how much to take, how much of a chunk to keep."""

from __future__ import annotations

#: Seconds of work that a child keeps before it, at least and at most; the rest is for others.
KEEP_S, _MOST_KEPT_S = 0.05, 0.25
#: It keeps so many times the work that giving the rest away costs: with a slow broker it would do little else.
_WORTH = 4
_MOST_ENTRIES = 64
#: Seconds that a call takes at least, whatever its function does: many that do next to nothing are work, too.
_LEAST_S = 10e-6


class Pace:
    """Run times per function: rises at once, falls slowly, so that one slow call is not forgotten by the next."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._gift_s = 0.0

    @property
    def keep_s(self) -> float:
        """Seconds of work that are kept."""
        return min(_MOST_KEPT_S, max(KEEP_S, _WORTH * self._gift_s))

    def note_gift(self, seconds: float) -> None:
        """To give calls away took so long."""
        self._gift_s += (min(seconds, _MOST_KEPT_S) - self._gift_s) / 4

    def note(self, function: str, seconds: float) -> None:
        """A call took so long."""
        before = self._seconds.get(function)
        if before is not None:
            self._seconds[function] = (
                (before + seconds) / 2 if seconds > before else before * 0.9 + seconds * 0.1
            )
            return
        self._seconds[function] = seconds
        if len(self._seconds) > 1000:
            self._seconds.pop(next(iter(self._seconds)))

    def keep(self, function: str, remaining: int) -> int:
        """Return how many of the remaining calls to keep; all of them while nothing is known."""
        seconds = self._seconds.get(function)
        if seconds is None:
            return remaining
        return max(1, min(remaining, int(self.keep_s / max(seconds, _LEAST_S))))

    def most_permits(self, function: str, remaining: int) -> int:
        """Return for how many of the remaining calls to take permits; for one while nothing is known."""
        return self.keep(function, remaining) if function in self._seconds else 1

    def most_entries(self, function: str | None, calls_per_entry: float) -> int:
        """Return how many entries to take at once, after a job of this function."""
        seconds = self._seconds.get(function) if function is not None else None
        if seconds is None:
            return 1
        return max(
            1, min(_MOST_ENTRIES, int(self.keep_s / (max(seconds, _LEAST_S) * max(calls_per_entry, 1.0))))
        )
