"""Signed records that come a second time: the signature is right, and yet they must not count again."""

from __future__ import annotations

from collections.abc import Hashable

#: Records of one sender that may overtake each other.
_WIDTH = 64


class Window:
    """Tells whether a number of one sender's sequence is new; one that is far behind counts as seen."""

    def __init__(self) -> None:
        self._last = 0
        self._seen = 0

    def fresh(self, number: int) -> bool:
        """Whether a number is new; it no longer is from now on."""
        ahead = number - self._last
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & ((1 << _WIDTH) - 1) if ahead < _WIDTH else 1
            self._last = number
            return True
        if -ahead >= _WIDTH or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


class Recent:
    """Tells whether an order is fresh: given lately, and not seen before.

    Args:
        window_s: seconds that an order counts, by the server's clock.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._seen: dict[Hashable, float] = {}

    def fresh(self, order: Hashable, at: float, now: float, since: float) -> bool:
        """Whether an order, given ``at``, counts ``now``; it does so once, and not from before ``since``.

        All moments are of the server's own clock: another process that may write there cannot set that.

        Args:
            order: what tells it from all others.
        """
        self._seen = {name: known for name, known in self._seen.items() if now - known <= self._window_s}
        if order in self._seen or at < since or abs(now - at) > self._window_s:
            return False
        self._seen[order] = at
        return True
