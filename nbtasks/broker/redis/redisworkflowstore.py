"""What is kept about workflows: in which of them something has failed, how calls have ended."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from nbtasks.broker.verbs.store import final_states
from nbtasks.broker.verbs.submission import SESSION_TTL_MS

from .channel import Argument
from .keys import Keys
from .link import Link
from .untrusted import batch_name, ranges_in

#: Records that are read in one round trip: large ones lie in pieces of their own.
_MOST_AT_ONCE = 100
#: A group of one flush that ends together; a single call's record has its name.
_ONLY = "0+1"


class RedisWorkflowStore:
    """Reads what both ends need of workflows."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def states_of_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return state codes of (batch, first, count), zero where a call is not final."""
        commands = [
            ("GETRANGE", self._keys.states(batch), first, first + count - 1) for batch, first, count in parts
        ]
        found = self._link.several_or_nothing(commands, b"")
        return [
            final_states(states[:count]) + bytes(count - len(states[:count]))
            for states, (_, _, count) in zip(found, parts, strict=True)
        ]

    def records_of(self, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
        """Return (first, count, frame) of each record that has results of these calls."""
        key = self._keys.records(batch)
        if (first, count) == (0, 1):
            frame = self._link.call_or_nothing(("HGET", key, _ONLY), None)
            if frame is not None:
                return [(0, 1, frame)]
        ranges = [
            one
            for one in ranges_in(self._link.call_or_nothing(("HKEYS", key), []))
            if one[0] < first + count and first < one[0] + one[1]
        ]
        found: list[tuple[int, int, bytes]] = []
        for start in range(0, len(ranges), _MOST_AT_ONCE):
            part = ranges[start : start + _MOST_AT_ONCE]
            frames = self._link.call_or_nothing(
                ("HMGET", key, *(f"{a}+{n}" for a, n in part)), [None] * len(part)
            )
            found += [(a, n, frame) for (a, n), frame in zip(part, frames, strict=True) if frame is not None]
        return found

    def record_at(self, batch: str, first: int, count: int) -> bytes | None:
        """Return the frame of the record that is filed under these calls."""
        found: bytes | None = self._link.call_or_nothing(
            ("HGET", self._keys.records(batch), f"{first}+{count}"), None
        )
        return found

    def are_known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether the broker knows it."""
        asked = [("HEXISTS", self._keys.batch(batch), "s") for batch in batches]
        return [reply == 1 for reply in self._link.several_or_nothing(asked, 0)]

    def take_fallout(
        self, most: int, for_ms: int, seen_to: Sequence[tuple[str, bytes]]
    ) -> list[tuple[str, bytes, float]]:
        """Take workflows in which something has failed, or of which only a part has come yet.

        Returns:
            of each its id, a mark to be given back, and the seconds for which its client has sent nothing; 0 where all
            of it has come.

        Args:
            for_ms: who takes one sees to it within this time; else another one gets it.
            seen_to: those that were taken before.
        """
        args: list[Argument] = [most, for_ms, *(part for pair in seen_to for part in pair)]
        found = []
        for name, mark, *left in self._link.script("fallout", [self._keys.root], args):
            silent_s = (SESSION_TTL_MS - left[0]) / 1000 if left and type(left[0]) is int else 0.0
            with contextlib.suppress(ValueError):
                found.append((batch_name(name), mark, silent_s))
        return found
