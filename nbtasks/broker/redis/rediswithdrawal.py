"""Take calls out of a queue that are final and that no worker has taken: perhaps nobody ever serves it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from nbtasks.core.lanenames import LANES

from .channel import Argument
from .keys import GROUP, Keys
from .link import Link

#: Entries that one script looks at, so that it keeps nobody waiting.
_MOST_AT_ONCE = 100
#: Looks in a row that find nothing of the batch, after which it has no more entries, most likely.
_MOST_IN_VAIN = 100
#: Seconds that entries may be older than their batch seems to be: the server's time is only known about.
_EARLIER_S = 2.0


class RedisWithdrawal:
    """Withdraws the entries of one batch, a part at a time.

    Args:
        n: number of calls of the batch.
        since: when it was submitted, and when it is due, in epoch seconds of the server; 0 where that is not known.
    """

    def __init__(
        self, link: Link, keys: Keys, address: str, batch: str, n: int, since: tuple[float, float | None]
    ) -> None:
        self._link = link
        self._keys = keys
        self._address = address
        self._batch = batch
        self._left = n
        submitted_at, due_at = since
        self._submitted_ms = _ms(submitted_at)
        self._due_ms = None if due_at is None else _ms(due_at)
        self._looks = self._all_looks()

    def run(self, most_s: float = math.inf) -> bool:
        """Look for ``most_s`` seconds at most, then return whether there was nothing left to look at.

        Raises:
            OperationalError: the broker does not answer.
        """
        end = time.monotonic() + most_s
        return not any(time.monotonic() > end for _ in self._looks)

    def _all_looks(self) -> Iterator[None]:
        if self._due_ms is not None:
            yield from self._look_at_delayed(self._due_ms)
        for lane in LANES:
            if self._left > 0:
                yield from self._look_at_lane(lane)

    def _look_at_lane(self, lane: str) -> Iterator[None]:
        after, in_vain = f"{self._submitted_ms}-0", 0
        keys = [self._keys.root, self._keys.lane(self._address, lane)]
        while after and in_vain < _MOST_IN_VAIN and self._left > 0:
            cuts = self._keys.cuts(self._address)
            args: list[Argument] = [GROUP, cuts, f"{lane}/", self._batch, after, _MOST_AT_ONCE]
            found, next_id = self._link.script("withdraw", keys, args)
            after = next_id.decode()
            in_vain = 0 if found else in_vain + 1
            self._left -= int(found)
            yield

    def _look_at_delayed(self, due_ms: int) -> Iterator[None]:
        passed = in_vain = 0
        while passed >= 0 and in_vain < _MOST_IN_VAIN and self._left > 0:
            args: list[Argument] = [self._address, self._batch, due_ms, passed, _MOST_AT_ONCE]
            found, passed = self._link.script("withdraw_delayed", [self._keys.root], args)
            in_vain = 0 if found else in_vain + 1
            self._left -= int(found)
            yield


def _ms(at: float) -> int:
    return max(0, round((at - _EARLIER_S) * 1000))
