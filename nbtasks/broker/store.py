"""What is kept about batches: their labels, states, result records, functions, blobs; and the event stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from redis.exceptions import ResponseError

from nbtasks.core.errors import OperationalError

from .channel import Argument
from .keys import GROUP, LANES, Keys, readable
from .link import Link, translated

#: Entries that one script looks at, so that it keeps nobody waiting.
_MOST_AT_ONCE = 100
#: Sessions that hear of one batch.
_MOST_SESSIONS = 4


@dataclass(frozen=True)
class Event:
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
        ended_at: the same, None where its calls have not all ended. Neither is signed; they are only shown.
    """

    id: str
    label: bytes
    submitted_at: float
    ended_at: float | None = None


class Store:
    """Reads what is kept; both ends use it."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def function(self, digest: str) -> bytes | None:
        """Return a function's record."""
        return self._value(self._keys.function(digest))

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
        reply = self._link.pipeline([("GET", key)])[0]
        if isinstance(reply, Exception):
            if "WRONGTYPE" in str(reply):
                # What somebody else has put there is as good as nothing.
                return None
            raise translated(reply, self._link.label)
        value: bytes | None = reply
        return value

    def states(self, batch: str, first: int, count: int) -> bytes:
        """Return ``count`` state codes from ``first`` on; zero where a call is not final."""
        if count <= 0:
            return b""
        found: bytes = self._link.call("GETRANGE", self._keys.states(batch), first, first + count - 1)
        return found + bytes(count - len(found))

    def standing(self, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
        """Return what :meth:`states` does, and the orders that revoked some of these calls while they ran.

        The orders are signed, and not verified here. Index -1 has the one for the whole batch.
        """
        key = self._keys.batch(batch)
        states, names = self._link.pipeline(
            [("GETRANGE", self._keys.states(batch), first, first + count - 1), ("HKEYS", key)]
        )
        if isinstance(states, Exception):
            raise translated(states, self._link.label)
        wanted = _noted(names, first, count)
        frames = self._link.call("HMGET", key, *(f"v{index}" for index in wanted)) if wanted else []
        return states + bytes(count - len(states)), dict(zip(wanted, frames, strict=True))

    def states_of(self, batches: list[tuple[str, int]]) -> list[bytes]:
        """Return the state codes of several batches, each with its number of calls."""
        found: list[bytes] = []
        for start in range(0, len(batches), 1000):
            part = batches[start : start + 1000]
            commands = [("GETRANGE", self._keys.states(name), 0, max(0, n - 1)) for name, n in part]
            replies = self._link.pipeline(commands) if commands else []
            found += [
                reply[:n] + bytes(max(0, n - len(reply))) for reply, (_, n) in zip(replies, part, strict=True)
            ]
        return found

    def ranges(self, batch: str) -> list[tuple[int, int]]:
        """Return the (first, count) of every result record of a batch."""
        reply = self._link.call("HKEYS", self._keys.records(batch))
        parts = (key.partition(b"+") for key in reply)
        return sorted(
            (int(first), int(count)) for first, _, count in parts if first.isdigit() and count.isdigit()
        )

    def record(self, batch: str, first: int, count: int) -> bytes | None:
        """Return one result record."""
        reply: bytes | None = self._link.call("HGET", self._keys.records(batch), f"{first}+{count}")
        return reply

    def batch(self, batch: str) -> BatchRecord | None:
        """Return what is known of a batch, or None when nobody recorded it."""
        replies = self._link.pipeline(
            [("HMGET", self._keys.batch(batch), "m", "e"), ("ZSCORE", self._keys.batches, batch)]
        )
        fields, score = (None if isinstance(reply, ResponseError) else reply for reply in replies)
        label, end = fields or (None, None)
        if label is None:
            return None
        ended_at = int(end) / 1000 if end and end.isdigit() else None
        return BatchRecord(batch, label, float(score or 0) / 1000, ended_at)

    def adopt(self, batch: str, session: str) -> bool:
        """Send the events of a batch to one more session from now on; False when nobody knows the batch."""
        return bool(self._link.script("adopt", [self._keys.root], [batch, session, _MOST_SESSIONS]))

    def newest(self, most: int) -> list[str]:
        """Return the ids of the newest batches, newest first."""
        return readable(self._link.call("ZREVRANGE", self._keys.batches, 0, most - 1))

    def queue_length(self, address: str, lanes: str) -> int:
        """Return how many entries wait or run in these lanes of a queue."""
        return sum(self._link.pipeline([("XLEN", self._keys.lane(address, lane)) for lane in lanes]))

    def waiting(self, address: str, lanes: str) -> int:
        """Return how many entries of these lanes of a queue no worker has taken yet."""
        streams = [self._keys.lane(address, lane) for lane in lanes]
        lengths = self._link.pipeline([("XLEN", stream) for stream in streams])
        # Before its first worker a lane has no group, and nothing is taken: an error says so.
        held = self._link.pipeline([("XPENDING", stream, GROUP) for stream in streams])
        taken = sum(int(reply[0]) for reply in held if not isinstance(reply, Exception))
        return max(0, sum(int(length) for length in lengths if not isinstance(length, Exception)) - taken)

    def held(self, address: str) -> dict[str, set[int]]:
        """Return batch -> indexes of those calls of a queue that workers have in hand, running or about to."""
        found: dict[str, set[int]] = {}
        # Of each priority returned work goes first: a call moves from the other lane to there.
        for lane in LANES:
            start = b"-"
            while start:
                args: list[Argument] = [GROUP, self._keys.cuts(address), f"{lane}/", start, _MOST_AT_ONCE]
                entries, start = self._link.script("held", [self._keys.lane(address, lane)], args)
                for batch, first, count in entries:
                    calls = range(int(first), int(first) + int(count))
                    found.setdefault(batch.decode(errors="replace"), set()).update(calls)
        return found

    def addresses(self) -> list[str]:
        """Return every queue address that has been used."""
        return sorted(readable(self._link.call("SMEMBERS", self._keys.addresses)))

    def ask_events(self, session: str, after: bytes, block_ms: int) -> None:
        """Ask for events later than ``after``, as in :meth:`Link.ask`. Whoever takes the answer need not ask."""
        self._link.ask(self._keys.events(session), after, 500, block_ms)

    def asked_events(self, within_s: float, eager: bool = False) -> list[Event] | None:
        """Return the events that were asked for, none where none came; None where there is no answer yet."""
        entries = self._link.answer(within_s, eager)
        return None if entries is None else [_event(entry_id, fields) for entry_id, fields in entries]

    def trim_events(self, session: str, upto: bytes) -> None:
        """Drop events that have been read."""
        self._link.call("XTRIM", self._keys.events(session), "MINID", upto)

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
        blobs = self._link.call("SMEMBERS", self._keys.batch_blobs(batch))
        keys = [
            self._keys.batch(batch),
            self._keys.states(batch),
            self._keys.records(batch),
            self._keys.batch_blobs(batch),
        ]
        self._link.call("DEL", *keys)
        self._link.call("ZREM", self._keys.batches, batch)
        return readable(blobs)

    def drop(self, blobs: Sequence[str]) -> None:
        """Drop pieces of large values."""
        if blobs:
            self._link.call("DEL", *blobs)


def _noted(names: list[bytes] | Exception, first: int, count: int) -> list[int]:
    """Return the indexes with an order that is about some of these calls, out of the names of a batch's fields."""
    if isinstance(names, Exception):
        # Somebody has put something else in the place of the batch.
        return []
    found = (int(name[1:]) for name in names if name[:1] == b"v" and name[1:].removeprefix(b"-").isdigit())
    return [index for index in found if index == -1 or first <= index < first + count]


def _event(entry_id: bytes, fields: list[bytes]) -> Event:
    try:
        return _read_event(entry_id, fields)
    except (IndexError, ValueError):
        return Event(entry_id, "", "", b"")


def _read_event(entry_id: bytes, fields: list[bytes]) -> Event:
    # Field order is fixed by finish.lua: k, b, then i, n, w for results, then d.
    if fields[1] == b"r":
        return Event(
            entry_id, "r", fields[3].decode(), fields[11], int(fields[5]), int(fields[7]), fields[9].decode()
        )
    return Event(entry_id, "e", fields[3].decode(), fields[5])
