"""Which entries were queued since anybody asked, by a second consumer group of each lane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES

from .channel import Argument
from .keys import GROUP, Keys
from .link import Link, translated
from .untrusted import is_of_another_type

#: The second group.
_GROUP = "c"
#: Entries of a lane that one script looks at: it reads them whole.
_MOST_AT_ONCE = 100


class RedisReferences:
    """Those of some addresses; the list may grow."""

    def __init__(self, link: Link, keys: Keys, addresses: Sequence[Address]) -> None:
        self._link = link
        self._keys = keys
        self._addresses = addresses

    def queued(self, block_ms: int) -> dict[str, int]:
        """Return address -> how many entries were queued since anybody asked; waits where there are none."""
        places = [(address, self._keys.lane(address, lane)) for address in self._addresses for lane in LANES]
        streams = [stream for _, stream in places]
        found: Counter[str] = Counter()
        self._look(places, streams, found)
        if found or not block_ms:
            return dict(found)
        # One entry wakes; the others that came with it are looked at where they are, and whether it is taken already.
        wait: list[Argument] = [
            "XREADGROUP", "GROUP", _GROUP, "p", "COUNT", 1, "BLOCK", block_ms, "NOACK", "STREAMS",
            *streams, *([">"] * len(streams)),
        ]  # fmt: skip
        reply = self._link.waiting_pipeline([tuple(wait)], block_ms)[0]
        if isinstance(reply, Exception):
            if is_of_another_type(reply) or any(sign in str(reply) for sign in ("NOGROUP", "UNBLOCKED")):
                # The next look makes the groups anew.
                return {}
            raise translated(reply, self._link.label)
        owner = {stream.encode(): address for address, stream in places}
        woken = {stream.decode(): entries[-1][0] for stream, entries in reply or () if stream in owner}
        if woken:
            self._look(places, streams, found, woken)
        return dict(found)

    def _look(
        self,
        places: Sequence[tuple[Address, str]],
        streams: list[str],
        found: Counter[str],
        woken: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        args: list[Argument] = [_GROUP, GROUP, _MOST_AT_ONCE]
        told: list[Argument] = [woken.get(stream, "") for stream in streams]
        more = True
        while more:
            numbers = self._link.script("references", [self._keys.root, *streams], [*args, *told])
            told = []
            for (address, _), number in zip(places, numbers, strict=True):
                if number:
                    found[address] += number
            more = max(numbers, default=0) >= _MOST_AT_ONCE
