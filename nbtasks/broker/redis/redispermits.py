"""Rate limits: permits to start calls, from the server and in its time, so that all workers together keep to them."""

from __future__ import annotations

from nbtasks.broker.verbs.permits import Grant, Limited

from .channel import Argument
from .keys import Keys
from .link import Link
from .untrusted import number_or

#: Delayed calls that one script looks at, so that it keeps nobody waiting, and how often it does at most.
_MOST_AT_ONCE = 100
_MOST_LOOKS = 20


class RedisPermits:
    """Takes permits, and says who waits for some."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def take(self, limit: str, every_s: float, most: int, in_hand: int, address: str) -> Grant:
        """Take permits to start calls.

        Args:
            limit: its name, from :func:`limit_of`.
            every_s: seconds from one start to the next.
            most: so many could start soon.
            in_hand: calls that wait, these included; what gets no permit is assigned a time to ask again.
            address: of the queue.
        """
        keys = [self._keys.root, self._keys.limit(limit)]
        args: list[Argument] = [repr(every_s * 1e6), most, in_hand, address]
        permits, first_us, again_ms = self._link.script("permit", keys, args)
        return Grant(int(permits), int(first_us) / 1e6, int(again_ms) / 1000)

    def limited(self, address: str, batch: str) -> Limited | None:
        """Return which limit, or lock, calls of a batch wait for; None where none is found to."""
        passed = 0
        for _ in range(_MOST_LOOKS):
            args: list[Argument] = [address, batch, passed, _MOST_AT_ONCE]
            limit, next_ms, passed, index = self._link.script("limited", [self._keys.root], args)
            if limit.startswith(b"@"):
                lock = limit[1:].decode(errors="replace")
                return Limited("", lock=lock, index=number_or(index, 0))
            if limit:
                return Limited(limit.decode(errors="replace").partition(":")[2], int(next_ms) / 1000)
            if passed < 0:
                break
        return None
