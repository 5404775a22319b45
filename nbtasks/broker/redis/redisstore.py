"""What is kept about batches: their labels, states, result records, functions."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.store import BatchRecord, final_states

from .keys import Keys, readable
from .link import Link, translated
from .redisfinish import finish
from .untrusted import MOST, batch_names, number_or, or_nothing, pairs, ranges_in

#: Calls of a batch that single ones share, which may be forgotten one by one.
_MOST_SHARING = 10_000
#: The fields of a batch that hold orders.
_ORDER = re.compile(rb"v(-1|[0-9]{1,10})")
#: Moments in epoch ms that a batch can have been submitted at.
_LATEST_MS = 10**14


class RedisStore:
    """Reads what is kept; both ends use it."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def finish(self, report: Finish) -> int:
        """Report results, events and retries in one round trip; returns how many results were new."""
        return finish(self._link, self._keys, report)

    def function(self, digest: str) -> bytes | None:
        """Return a function's record."""
        return self._value(self._keys.function(digest))

    def plan(self, workflow: str) -> bytes | None:
        """Return the signed graph of a workflow."""
        return self._value(self._keys.plan(workflow))

    def keep_plan(self, name: str, frame: bytes, ttl_ms: int) -> None:
        """Keep a signed graph, or group, for a time."""
        self._link.call("SET", self._keys.plan(name), frame, "PX", ttl_ms)

    def _value(self, key: str) -> bytes | None:
        value: bytes | None = self._link.call_or_nothing(("GET", key), None)
        return value

    def states(self, batch: str, first: int, count: int) -> bytes:
        """Return ``count`` state codes from ``first`` on; zero where a call is not final."""
        if count <= 0:
            return b""
        found: bytes = self._link.call_or_nothing(
            ("GETRANGE", self._keys.states(batch), first, first + count - 1), b""
        )
        return final_states(found) + bytes(count - len(found))

    def standing(self, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
        """Return what :meth:`states` does, and the orders that revoked some of these calls while they ran.

        The orders are signed, and not verified here. Index -1 has the one for the whole batch.
        """
        key = self._keys.batch(batch)
        states, names = self._link.pipeline(
            [("GETRANGE", self._keys.states(batch), first, first + count - 1), ("HKEYS", key)]
        )
        states, names = or_nothing(states, b""), or_nothing(names, [])
        for reply in (states, names):
            if isinstance(reply, Exception):
                raise translated(reply, self._link.label)
        wanted = _noted(names, first, count)
        frames = self._link.call("HMGET", key, *(f"v{index}" for index in wanted)) if wanted else []
        return final_states(states) + bytes(count - len(states)), dict(zip(wanted, frames, strict=True))

    def states_of(self, batches: list[tuple[str, int]]) -> list[bytes]:
        """Return the state codes of several batches, each with its number of calls."""
        found: list[bytes] = []
        for start in range(0, len(batches), 1000):
            part = batches[start : start + 1000]
            commands = [("GETRANGE", self._keys.states(name), 0, max(0, n - 1)) for name, n in part]
            replies = self._link.several_or_nothing(commands, b"")
            for reply, (_, n) in zip(replies, part, strict=True):
                found.append(final_states(reply[:n]) + bytes(max(0, n - len(reply))))
        return found

    def ranges(self, batch: str) -> list[tuple[int, int]]:
        """Return the (first, count) of every result record of a batch."""
        return ranges_in(self._link.call_or_nothing(("HKEYS", self._keys.records(batch)), []))

    def record(self, batch: str, first: int, count: int) -> bytes | None:
        """Return one result record."""
        reply: bytes | None = self._link.call_or_nothing(
            ("HGET", self._keys.records(batch), f"{first}+{count}"), None
        )
        return reply

    def batch(self, batch: str) -> BatchRecord | None:
        """Return what is known of a batch, or None when nobody recorded it."""
        fields, score = self._link.several_or_nothing(
            [("HMGET", self._keys.batch(batch), "m", "e"), ("ZSCORE", self._keys.batches, batch)], None
        )
        label, end = fields or (None, None)
        if label is None:
            return None
        ended_at = number_or(end, 0) / 1000 or None
        return BatchRecord(batch, label, _moment(score, batch), ended_at)

    def own_states(self, batch: str) -> list[tuple[bytes, bytes]]:
        """Return (index, frame) of the calls of a batch that have named a state of their own."""
        return pairs(self._link.call_or_nothing(("HGETALL", self._keys.own_states(batch)), []))

    def newest(self, most: int) -> list[str]:
        """Return the ids of the newest batches, newest first."""
        return batch_names(self._link.call_or_nothing(("ZREVRANGE", self._keys.batches, 0, most - 1), []))

    def listed(self, most: int, *, unfinished: bool) -> list[BatchRecord]:
        """Return the newest batches, newest first.

        Args:
            most: so many are looked at.
            unfinished: leave out those whose calls have all ended.
        """
        names = self.newest(most)
        asked = [("HMGET", self._keys.batch(name), "n", "d", "e") for name in names]
        standings: dict[str, tuple[int, float | None]] = {}
        for name, fields in zip(names, self._link.several_or_nothing(asked, None), strict=True):
            n, done, end = fields or (None, None, None)
            is_over = end is not None or (number_or(n, MOST) <= number_or(done, 0))
            if fields and not (unfinished and is_over):
                standings[name] = number_or(done, 0), number_or(end, 0) / 1000 or None
        return self._with_labels(standings)

    def named(self, batches: Iterable[str]) -> list[BatchRecord]:
        """Return those batches that somebody has recorded; how far they are is not looked at."""
        return self._with_labels(dict.fromkeys(batches, (0, None)))

    def _with_labels(self, standings: Mapping[str, tuple[int, float | None]]) -> list[BatchRecord]:
        asked = [("HGET", self._keys.batch(name), "m") for name in standings]
        asked += [("ZSCORE", self._keys.batches, name) for name in standings]
        replies = [or_nothing(reply, None) for reply in self._link.pipeline(asked)]
        labels, scores = replies[: len(standings)], replies[len(standings) :]
        return [
            BatchRecord(name, label, _moment(score, name), ended_at, done)
            for (name, (done, ended_at)), label, score in zip(standings.items(), labels, scores, strict=True)
            if isinstance(label, bytes)
        ]

    def forget(self, batch: str) -> list[str]:
        """Drop the results of a batch; returns the keys of its large values, which are still there."""
        blobs = self._link.call_or_nothing(("SMEMBERS", self._keys.batch_blobs(batch)), [])
        keys = [
            self._keys.batch(batch),
            self._keys.states(batch),
            self._keys.records(batch),
            self._keys.batch_blobs(batch),
            self._keys.own_states(batch),
        ]
        self._link.call("DEL", *keys)
        self._link.call_or_nothing(("ZREM", self._keys.batches, batch), None)
        # Of what is named there only pieces of large values are ours to drop.
        return [name for name in readable(blobs) if name.startswith(f"{self._keys.root}o:")]

    def forget_call(self, batch: str, index: int) -> int:
        """Note that a call is not wanted any more that shares its batch with others; returns how many are."""
        return int(self._link.script("forget_call", [self._keys.root], [batch, index, _MOST_SHARING]))

    def forgotten(self, batch: str) -> frozenset[int]:
        """Return the indexes of those of which that was noted."""
        marks = self._link.call_or_nothing(("HGET", self._keys.batch(batch), "g"), None) or b""
        return frozenset(index for index, mark in enumerate(marks[:_MOST_SHARING]) if mark == ord("1"))


def _noted(names: list[bytes], first: int, count: int) -> list[int]:
    """Return the indexes with an order that is about some of these calls, out of the names of a batch's fields."""
    found = (int(match[1]) for match in map(_ORDER.fullmatch, names) if match)
    return [index for index in found if index == -1 or first <= index < first + count]


def _moment(score: Any, batch: str) -> float:
    """Return when a batch was submitted, in epoch seconds; its id tells it too, by the clock of who submitted it."""
    with contextlib.suppress(TypeError, ValueError):
        if 0 < float(score) < _LATEST_MS:
            return float(score) / 1000
    try:
        return min(int(batch[:12], 16), _LATEST_MS) / 1000
    except ValueError:
        return 0.0
