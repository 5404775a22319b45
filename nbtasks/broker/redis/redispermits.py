"""Rate limits: permits to start calls, from the server and in its time, so that all workers together keep to them."""

from __future__ import annotations

from dataclasses import dataclass

from .channel import Argument
from .keys import Keys
from .link import Link
from .untrusted import number_or

#: Delayed calls that one script looks at, so that it keeps nobody waiting, and how often it does at most.
_MOST_AT_ONCE = 100
_MOST_LOOKS = 20


@dataclass(frozen=True)
class Grant:
    """What the server says to a child that wants to start calls.

    Attributes:
        permits: so many may start.
        first_s: seconds until the first one may; negative where it could have started already.
        again_s: seconds after which the others shall ask again.
    """

    permits: int
    first_s: float
    again_s: float


@dataclass(frozen=True)
class Limited:
    """Calls wait for a rate limit, or for a lock. Nothing of this is signed; it is only shown.

    Attributes:
        rate: as ``10/s``; empty where it is a lock.
        next_s: seconds until the next start.
        lock: id of the lock.
        index: of the call that was found to wait.
    """

    rate: str
    next_s: float = 0.0
    lock: str = ""
    index: int = 0


class Permits:
    """Takes permits, and says who waits for some."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def take(self, limit: str, every_s: float, most: int, in_hand: int, address: str) -> Grant:
        """Take permits to start calls.

        Args:
            limit: its name, from :meth:`Keys.limit_of`.
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
