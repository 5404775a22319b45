"""Calls that are due later, as they lie in the server. Nothing of it is signed; it is only shown."""

from __future__ import annotations

import re

from nbtasks.broker.verbs.delayedcalls import DelayedEntry
from nbtasks.core.lanenames import LANES

from .channel import Argument
from .keys import Keys
from .link import Link
from .untrusted import number_or

_MOST_AT_ONCE = 200
_MOST = 2000
_LINE = re.compile(rb"([%b]) ([0-9a-f]{1,40}) (\d{1,10}) (\d{1,10}) (\d{1,10}) ?(\S{0,100})" % LANES.encode())


class RedisDelayedCalls:
    """Reads them."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def listed(self, address: str) -> list[DelayedEntry]:
        """Return those of a queue that are due first, two thousand entries at most."""
        found: list[DelayedEntry] = []
        for offset in range(0, _MOST, _MOST_AT_ONCE):
            args: list[Argument] = [address, offset, _MOST_AT_ONCE]
            members = self._link.script("delayed", [self._keys.root], args)
            for due, line in members:
                match = _LINE.fullmatch(line)
                if match is not None:
                    _, batch, first, count, _, limit = match.groups()
                    found.append(
                        DelayedEntry(
                            number_or(due, 0) / 1000,
                            batch.decode(),
                            int(first),
                            int(count),
                            limit.decode(errors="replace"),
                        )
                    )
            if len(members) < _MOST_AT_ONCE:
                break
        return found
