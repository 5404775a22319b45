"""Looks at the queues from outside, and queues what is due."""

from __future__ import annotations

from collections.abc import Mapping

from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES

from .channel import Argument, Command
from .keys import GROUP, Keys
from .link import Link
from .untrusted import addresses, batch_name

#: Entries that one script looks at, so that it keeps nobody waiting, and calls that one queues.
_MOST_AT_ONCE = 100
_MOST_PROMOTED = 200
_MOST_ADDRESSES = 1000


class RedisQueues:
    """Those of a namespace."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def addresses(self) -> list[Address]:
        """Return every queue address that has been used, of a thousand at most."""
        return sorted(addresses(self._link.call_or_nothing(("SMEMBERS", self._keys.addresses), [])))[
            :_MOST_ADDRESSES
        ]

    def length(self, address: str, lanes: str) -> int:
        """Return how many entries wait or run in these lanes of a queue."""
        replies = self._link.pipeline([("XLEN", self._keys.lane(address, lane)) for lane in lanes])
        return sum(int(length) for length in replies if not isinstance(length, Exception))

    def waiting(self, address: str, lanes: str) -> int:
        """Return how many entries of these lanes of a queue no worker has taken yet."""
        streams = [self._keys.lane(address, lane) for lane in lanes]
        asked: list[Command] = [("XLEN", stream) for stream in streams]
        asked += [("XPENDING", stream, GROUP) for stream in streams]
        replies = self._link.pipeline(asked)
        lengths, held = replies[: len(streams)], replies[len(streams) :]
        # Before its first worker a lane has no group, and nothing is taken: an error says so.
        taken = sum(int(reply[0]) for reply in held if not isinstance(reply, Exception))
        return max(0, sum(int(length) for length in lengths if not isinstance(length, Exception)) - taken)

    def in_hand(self, address: str, sizes: Mapping[str, int]) -> dict[str, set[int]]:
        """Return batch -> indexes of those calls of a queue that workers have in hand, running or about to.

        Args:
            sizes: the batches that are asked about, each with its number of calls.
        """
        found: dict[str, set[int]] = {}
        # Of each priority returned work goes first: a call moves from the other lane to there.
        for lane in LANES:
            start = b"-"
            while start:
                args: list[Argument] = [GROUP, self._keys.cuts(address), f"{lane}/", start, _MOST_AT_ONCE]
                entries, start = self._link.script("in_hand", [self._keys.lane(address, lane)], args)
                for name, first, count in entries:
                    batch = batch_name(name)
                    if batch in sizes:
                        calls = range(int(first), min(int(first) + int(count), sizes[batch]))
                        found.setdefault(batch, set()).update(calls)
        return found

    def promote(self, address: str, now: float) -> tuple[int, float | None]:
        """Queue calls that are due at a moment of the server's time (epoch seconds).

        Returns how many, and the seconds until the next one (None: none waits).
        """
        args: list[str | int] = [address, round(now * 1000), _MOST_PROMOTED]
        moved, next_ms = self._link.script("promote", [self._keys.root], args)
        return int(moved), None if next_ms < 0 else next_ms / 1000
