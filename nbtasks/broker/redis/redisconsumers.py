"""Who holds entries of some queues; and what nobody holds, though it was delivered."""

from __future__ import annotations

from redis.exceptions import ResponseError

from nbtasks.core.lanenames import returned

from .channel import Argument
from .keys import GROUP
from .lanes import MOST_AT_ONCE, Lanes
from .untrusted import names


class RedisConsumers:
    """All consumers of some lanes, whoever made them."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    def counts(self) -> dict[str, int]:
        """Return every consumer with the number of entries that it holds."""
        found: dict[str, int] = {}
        streams = self._lanes.streams
        for start in range(0, len(streams), MOST_AT_ONCE):
            asked = streams[start : start + MOST_AT_ONCE]
            for reply in self._lanes.link.pipeline([("XINFO", "CONSUMERS", name, GROUP) for name in asked]):
                # Where there is no such lane, or no group, nobody holds anything.
                for info in () if isinstance(reply, ResponseError) else reply:
                    fields = dict(zip(info[::2], info[1::2], strict=True))
                    for name in names([fields[b"name"]]):
                        found[name] = found.get(name, 0) + int(fields[b"pending"])
        return found

    def adopt_orphans(self) -> int:
        """Queue again what was delivered to nobody; returns the number of entries.

        A lane for returned work goes last: what was put there meanwhile is looked at too.
        """
        return sum(self._adopt_orphans(address, lane) for address, lane in reversed(self._lanes.places))

    def _adopt_orphans(self, address: str, lane: str) -> int:
        found, after, keys = 0, b"0-0", self._lanes.keys
        names = [keys.root, keys.lane(address, lane), keys.lane(address, returned(lane))]
        while after:
            args: list[Argument] = [GROUP, f"{lane}/", address, after, MOST_AT_ONCE]
            more, after = self._lanes.link.script("orphans", names, args)
            found += int(more)
        return found
