"""Wait for an entry, and have the server look at it in the same round trip: most are as they should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nbtasks.broker.verbs.entry import Entry

from .channel import Argument, Command, Packed, packed
from .keys import GROUP
from .lanes import Lanes
from .link import translated


class VouchedRead:
    """One read that waits on all lanes, and after it the server's word on the newest entry of the likeliest one."""

    def __init__(self, lanes: Lanes, consumer: str) -> None:
        self._lanes = lanes
        self._consumer = consumer
        #: The number of the lane that the last entry came from, and by time in ms and lane the commands that wait.
        self._likely_lane = 0
        self._reading: dict[tuple[int, int], tuple[Packed, Packed]] = {}

    def run(
        self,
        block_ms: int,
        before: Sequence[Command] = (),
        on_first: Callable[[Any], None] | None = None,
    ) -> tuple[Any, Any]:
        """Return what the read has brought, and the server's word on it.

        Args:
            before, on_first: commands that go along, and what is told the first reply, before the wait is over.
        """
        key = (block_ms, self._likely_lane)
        if key not in self._reading:
            self._reading[key] = self._packed(block_ms)
        link = self._lanes.link
        *_, reply, word = link.waiting_pipeline([*before, *self._reading[key]], block_ms, on_first)
        if isinstance(reply, Exception):
            raise translated(reply, link.label)
        if isinstance(word, Exception):
            # The server does not have the script yet.
            word = link.script("vouch", self._vouching_keys(), [])
        return reply, word

    def is_vouched(self, entry: Entry, word: Any) -> bool:
        """Whether the word that came with an entry is about it: its calls are to be run, none of them has ended."""
        place = entry.address, entry.lane
        found = bool(word) and self._lanes.places[self._number(word[0])] == place and entry.id == word[1]
        self._likely_lane = self._lanes.places.index(place)
        return found

    def _number(self, said: int) -> int:
        """Return the number of the lane that ``vouch`` calls by this one: it was told the likeliest first."""
        return self._likely_lane if said == 0 else said - (said <= self._likely_lane)

    def _vouching_keys(self) -> list[Argument]:
        likely, streams = self._likely_lane, self._lanes.streams
        return [self._lanes.keys.root, streams[likely], *streams[:likely], *streams[likely + 1 :]]

    def _packed(self, block_ms: int) -> tuple[Packed, Packed]:
        streams = self._lanes.streams
        read: tuple[Argument, ...] = (
            "XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", 1, "BLOCK", block_ms,
            "STREAMS", *streams, *([">"] * len(streams)),
        )  # fmt: skip
        return packed(read), packed(self._lanes.link.script_command("vouch", self._vouching_keys(), []))
