"""What of some batches lies in the queues: a call that has not ended is in one of them, waiting or in hand."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.broker.verbs.stock import Look

from .channel import Argument
from .keys import Keys
from .link import Link
from .untrusted import number

#: Entries that one script looks at: so many are copied in some milliseconds, also where each is large.
_MOST_AT_ONCE = 500


class RedisStock:
    """Looks into queues; takes and changes nothing."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def look(self, address: str, batches: Sequence[str]) -> Look:
        """Return what of these batches lies in a queue."""
        found: dict[str, list[tuple[int, int]]] = {batch: [] for batch in batches}
        place, looks = b"", 0
        while place or not looks:
            args: list[Argument] = [address, place, _MOST_AT_ONCE, *batches]
            rows, place = self._link.script("stock", [self._keys.root], args)
            looks += 1
            for batch, first, count in rows:
                found[batch.decode()].append((int(first), int(count)))
        return Look(found, looks == 1)

    def parked(self, batches: Sequence[str]) -> dict[str, set[int]]:
        """Return of each batch the first calls of its chunks that wait for other batches."""
        replies = self._link.pipeline([("HKEYS", self._keys.parked(batch)) for batch in batches])
        return {
            batch: {number(first) for first in reply if first.isdigit()} if isinstance(reply, list) else set()
            for batch, reply in zip(batches, replies, strict=True)
        }

    def known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether it is recorded."""
        replies = self._link.pipeline([("HEXISTS", self._keys.batch(batch), "s") for batch in batches])
        return [reply == 1 for reply in replies]
