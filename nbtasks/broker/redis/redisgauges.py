"""What people read off the server: how long queues are, which locks there are, what it says of itself.

Nothing of it is signed; it is only shown. Nothing is taken or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbtasks.core.lanenames import LANES
from nbtasks.core.queuedepth import QueueDepth
from nbtasks.core.servergauges import ServerGauges

from .keys import GROUP, Keys, readable
from .link import Link, translated
from .servercheck import told_in
from .serverinfo import gauges_of
from .untrusted import addresses, is_own_id, names, number_or

#: Queues that are looked at, locks, and workers and clients that may hold some.
_MOST_QUEUES = 300
_MOST_LOCKS = 200
_MOST_HOLDERS = 2_000
_SECTIONS = ("server", "clients", "memory", "persistence", "stats", "replication", "keyspace")
_MOST_TEXT = 200


class RedisGauges:
    """Reads them, each in one or two round trips.

    Args:
        link: of its own: nobody waits behind these looks.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def queues(self) -> list[QueueDepth]:
        """Return all queues that have had a call or a worker, by their names."""
        found = self._link.call_or_nothing(("SMEMBERS", self._keys.addresses), [])
        known = sorted(addresses(found))[:_MOST_QUEUES]
        if not known:
            return []
        lanes = [self._keys.lane(address, lane) for address in known for lane in LANES]
        asked: list[Sequence[Any]] = [("XLEN", lane) for lane in lanes]
        asked += [("XPENDING", lane, GROUP) for lane in lanes]
        asked += [("ZCARD", self._keys.delayed(address)) for address in known]
        replies = self._link.pipeline(asked)
        lengths = [_count(reply) for reply in replies[: len(lanes)]]
        # Before its first worker a lane has no group, and nothing is taken: an error says so.
        taken = [_count(_first(reply)) for reply in replies[len(lanes) : 2 * len(lanes)]]
        delayed = [_count(reply) for reply in replies[2 * len(lanes) :]]
        waiting = [max(0, length - held) for length, held in zip(lengths, taken, strict=True)]
        since = self._oldest([lane for lane, left in zip(lanes, waiting, strict=True) if left])
        depths = []
        for place, address in enumerate(known):
            part = slice(place * len(LANES), (place + 1) * len(LANES))
            ages = [since[lane] for lane in lanes[part] if lane in since]
            depths.append(
                QueueDepth(
                    address, sum(waiting[part]), sum(taken[part]), delayed[place], max(ages) if ages else None
                )
            )
        return depths

    def _oldest(self, lanes: Sequence[str]) -> dict[str, float]:
        """Return for how long the first entry of each lane has waited that nobody has taken."""
        if not lanes:
            return {}
        groups = self._link.pipeline([("XINFO", "GROUPS", lane) for lane in lanes])
        after = [_last_delivered(reply) for reply in groups]
        asked: list[Sequence[Any]] = [
            ("XRANGE", lane, b"(" + last if last else b"-", "+", "COUNT", 1)
            for lane, last in zip(lanes, after, strict=True)
        ]
        *firsts, now = self._link.pipeline([*asked, ("TIME",)])
        now_ms = _count(_first(now)) * 1000
        found = {}
        for lane, reply in zip(lanes, firsts, strict=True):
            entry = _first(_first(reply))
            if isinstance(entry, bytes) and is_own_id(entry):
                found[lane] = max(0.0, (now_ms - number_or(entry.partition(b"-")[0], now_ms)) / 1000)
        return found

    def lock_ids(self) -> list[str]:
        """Return the ids of locks that somebody holds or waits for."""
        lines, listed = self._link.pipeline(
            [("HKEYS", self._keys.lines), ("ZRANGE", self._keys.workers, 0, _MOST_HOLDERS - 1)]
        )
        holders = names(listed) if isinstance(listed, list) else []
        held = self._link.pipeline([("HKEYS", self._keys.locks_of(name)) for name in holders])
        ids = dict.fromkeys(readable(lines) if isinstance(lines, list) else [])
        for reply in held:
            for entry in readable(reply) if isinstance(reply, list) else ():
                ids[entry.partition(" ")[0]] = None
        return sorted(ids)[:_MOST_LOCKS]

    def server(self) -> ServerGauges:
        """Return what the server says of itself."""
        told: dict[str, str] = {}
        for reply in self._link.pipeline([("INFO", section) for section in _SECTIONS]):
            if isinstance(reply, Exception):
                raise translated(reply, self._link.label)
            if isinstance(reply, bytes):
                told.update((name, value[:_MOST_TEXT]) for name, value in told_in(reply).items())
        return gauges_of(told)


def _count(reply: Any) -> int:
    """Return a number that the server has counted, or says as text; 0 where it has said something else."""
    return reply if isinstance(reply, int) and reply >= 0 else number_or(reply, 0)


def _first(reply: Any) -> Any:
    return reply[0] if isinstance(reply, list) and reply else None


def _last_delivered(reply: Any) -> bytes:
    """Return the id of the entry that the group was given last; nothing where there is no group."""
    for group in reply if isinstance(reply, list) else ():
        fields = dict(zip(group[::2], group[1::2], strict=True))
        last = fields.get(b"last-delivered-id")
        if fields.get(b"name") == GROUP.encode() and isinstance(last, bytes):
            return last
    return b""
