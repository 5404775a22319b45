"""What is kept about batches: their labels, states, result records, functions, blobs; and the event stream."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbtasks.core.address import Address
from nbtasks.core.errors import OperationalError
from nbtasks.core.lanenames import LANES
from nbtasks.core.states import FIRST_READY_CODE

from .channel import Argument
from .keys import GROUP, Keys, readable
from .link import Link, translated
from .rediskeptcalls import KeptCalls
from .untrusted import MOST, addresses, batch_name, batch_names, number_or, or_nothing, pairs, ranges_in, span

#: Entries that one script looks at, so that it keeps nobody waiting.
_MOST_AT_ONCE = 100
#: Sessions that hear of one batch.
_MOST_SESSIONS = 4
#: Calls of a batch that single ones share, which may be forgotten one by one.
_MOST_SHARING = 10_000
#: Addresses that are looked at, and characters of the ranges in one event.
_MOST_ADDRESSES = 1000
_MOST_WINS = 100_000
#: The fields of a batch that hold orders.
_ORDER = re.compile(rb"v(-1|[0-9]{1,10})")
#: Moments in epoch ms that a batch can have been submitted at.
_LATEST_MS = 10**14


# One for each call, and to make one that is frozen takes four times as long.
@dataclass
class SessionEvent:
    """One entry of a session's stream.

    ``kind`` is ``r`` (results of ``count`` calls from ``first`` on; ``wins`` lists the ranges that counted, empty
    for all; an empty frame is to be fetched), ``e`` (an event frame), or empty: nobody of us has written this.
    """

    id: bytes
    kind: str
    batch: str
    frame: bytes
    first: int = 0
    count: int = 0
    wins: str = ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether there are results that the event does not carry itself."""
        return self.kind == "r" and not self.frame


@dataclass(frozen=True)
class BatchRecord:
    """What the broker knows of a batch. Its label, which is signed, says all that must be true.

    Attributes:
        submitted_at: epoch seconds of the server.
        ended_at: the same, None where its calls have not all ended.
        done_count: how many have, of what was asked for. None of these three is signed; they are only shown.
    """

    id: str
    label: bytes
    submitted_at: float
    ended_at: float | None = None
    done_count: int = 0


class Store:
    """Reads what is kept; both ends use it.

    Attributes:
        kept_calls: finds calls whose results later runs may take.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self.kept_calls = KeptCalls(link, keys)

    def function(self, digest: str) -> bytes | None:
        """Return a function's record."""
        return self._value(self._keys.function(digest))

    def plan(self, workflow: str) -> bytes | None:
        """Return the signed graph of a workflow."""
        return self._value(self._keys.plan(workflow))

    def keep_plan(self, name: str, frame: bytes, ttl_ms: int) -> None:
        """Keep a signed graph, or group, for a time."""
        self._link.call("SET", self._keys.plan(name), frame, "PX", ttl_ms)

    def blob(self, key: str, target: memoryview) -> int | None:
        """Read a piece of a large value into ``target``; return its length, also where it does not fit."""
        try:
            return self._link.fetch(key, target)
        except OperationalError as error:
            if "WRONGTYPE" in str(error):
                # What somebody else has put there is as good as nothing.
                return None
            raise

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
            replies = [or_nothing(reply, b"") for reply in self._link.pipeline(commands)]
            for reply, (_, n) in zip(replies, part, strict=True):
                if isinstance(reply, Exception):
                    raise translated(reply, self._link.label)
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
        replies = self._link.pipeline(
            [("HMGET", self._keys.batch(batch), "m", "e"), ("ZSCORE", self._keys.batches, batch)]
        )
        fields, score = (or_nothing(reply, None) for reply in replies)
        for reply in (fields, score):
            if isinstance(reply, Exception):
                raise translated(reply, self._link.label)
        label, end = fields or (None, None)
        if label is None:
            return None
        ended_at = number_or(end, 0) / 1000 or None
        return BatchRecord(batch, label, _moment(score, batch), ended_at)

    def own_states(self, batch: str) -> list[tuple[bytes, bytes]]:
        """Return (index, frame) of the calls of a batch that have named a state of their own."""
        return pairs(self._link.call_or_nothing(("HGETALL", self._keys.own_states(batch)), []))

    def adopt(self, batch: str, session: str) -> bool:
        """Send the events of a batch to one more session from now on; False when nobody knows the batch."""
        return bool(self._link.script("adopt", [self._keys.root], [batch, session, _MOST_SESSIONS]))

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
        if not names:
            return []
        replies = self._link.pipeline([("HMGET", self._keys.batch(name), "n", "d", "e") for name in names])
        standings: dict[str, tuple[int, float | None]] = {}
        for name, reply in zip(names, replies, strict=True):
            fields = or_nothing(reply, None)
            if isinstance(fields, Exception):
                raise translated(fields, self._link.label)
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
        replies = [or_nothing(reply, None) for reply in self._link.pipeline(asked)] if asked else []
        labels, scores = replies[: len(standings)], replies[len(standings) :]
        return [
            BatchRecord(name, label, _moment(score, name), ended_at, done)
            for (name, (done, ended_at)), label, score in zip(standings.items(), labels, scores, strict=True)
            if isinstance(label, bytes)
        ]

    def queue_length(self, address: str, lanes: str) -> int:
        """Return how many entries wait or run in these lanes of a queue."""
        replies = self._link.pipeline([("XLEN", self._keys.lane(address, lane)) for lane in lanes])
        return sum(int(length) for length in replies if not isinstance(length, Exception))

    def waiting(self, address: str, lanes: str) -> int:
        """Return how many entries of these lanes of a queue no worker has taken yet."""
        streams = [self._keys.lane(address, lane) for lane in lanes]
        lengths = self._link.pipeline([("XLEN", stream) for stream in streams])
        # Before its first worker a lane has no group, and nothing is taken: an error says so.
        held = self._link.pipeline([("XPENDING", stream, GROUP) for stream in streams])
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

    def addresses(self) -> list[Address]:
        """Return every queue address that has been used, of a thousand at most."""
        return sorted(addresses(self._link.call_or_nothing(("SMEMBERS", self._keys.addresses), [])))[
            :_MOST_ADDRESSES
        ]

    def ask_events(self, session: str, after: bytes, block_ms: int) -> None:
        """Ask for events later than ``after``, as in :meth:`Link.ask`. Whoever takes the answer need not ask."""
        self._link.ask(self._keys.events(session), after, 500, block_ms)

    def asked_events(self, within_s: float, eager: bool = False) -> list[SessionEvent] | None:
        """Return the events that were asked for, none where none came; None where there is no answer yet."""
        entries = self._link.answer(within_s, eager)
        return None if entries is None else [_event(entry_id, fields) for entry_id, fields in entries]

    def trim_events(self, session: str, upto: bytes) -> None:
        """Drop events that have been read."""
        self._link.call_or_nothing(("XTRIM", self._keys.events(session), "MINID", upto), None)

    def drop_events(self, session: str) -> None:
        """Drop a stream of events that cannot be read: it is of another type, or has ids that nothing comes after."""
        self._link.call("DEL", self._keys.events(session))

    def end_session(self, session: str) -> None:
        """Drop what only a session's own client reads."""
        self._link.call("DEL", self._keys.session(session), self._keys.events(session))

    def have(self, keys: Sequence[str]) -> list[bool]:
        """Return of each key whether it is there."""
        replies = self._link.pipeline([("EXISTS", key) for key in keys]) if keys else []
        for reply in replies:
            if isinstance(reply, Exception):
                raise translated(reply, self._link.label)
        return [bool(reply) for reply in replies]

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

    def drop(self, blobs: Sequence[str]) -> None:
        """Drop pieces of large values."""
        if blobs:
            self._link.call("DEL", *blobs)


#: Only final states are ever written to the server, and its scripts take any other one for an end, too. Who read it
#: as "goes on" would have such a call executed in vain, again and again.
_AS_ENDED = bytes(code if code == 0 or code >= FIRST_READY_CODE else 255 for code in range(256))


def final_states(states: bytes) -> bytes:
    """Return state codes of the server: zero, or one that is final."""
    return states.translate(_AS_ENDED)


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


def _event(entry_id: bytes, fields: list[bytes]) -> SessionEvent:
    try:
        return _read_event(entry_id, fields)
    except (IndexError, ValueError):
        return SessionEvent(entry_id, "", "", b"")


def _read_event(entry_id: bytes, fields: list[bytes]) -> SessionEvent:
    # Field order is fixed by finish.lua: k, b, then i, n, w for results, then d.
    batch = batch_name(fields[3])
    if fields[1] == b"r":
        first, count = span(fields[5], fields[7])
        if len(fields[9]) > _MOST_WINS:
            # It is a hint, and the store knows as well.
            return SessionEvent(entry_id, "r", batch, b"?", first, count)
        return SessionEvent(entry_id, "r", batch, fields[11], first, count, fields[9].decode())
    return SessionEvent(entry_id, "e", batch, fields[5])
