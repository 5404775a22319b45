"""The worker's side of the queues: take entries, finish calls, give calls to others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoScriptError

from nbtasks.broker.verbs.delivery import MOST_HELD, Aside
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.address import Address
from nbtasks.core.errors import BrokerUnavailable
from nbtasks.core.lanenames import returned

from .channel import Argument
from .keys import GROUP
from .lanes import Lanes
from .link import translated
from .redisentry import order_of, parse_entry
from .redisfinish import finish, for_script
from .redislocks import RedisCallLocks
from .untrusted import or_nothing, part
from .vouching import VouchedRead


@dataclass(frozen=True)
class _Standing:
    """What the broker knows of an entry's calls; ``states`` is cut short where nothing has ended yet."""

    known: bool
    revoked: bool
    states: bytes


class RedisDelivery:
    """Takes, finishes and gives back entries for one consumer.

    Args:
        on_copy: told (address, batch, frame) of an entry that was left out: it was worked off before, or nobody knows
            its batch.
        of_dead: a worker; once that has a lease, nothing is given back any more.

    Attributes:
        consumer: as which it takes them.
    """

    def __init__(
        self,
        lanes: Lanes,
        consumer: str,
        on_copy: Callable[[Address, str, bytes], None] = lambda *_: None,
        of_dead: str | None = None,
    ) -> None:
        self._lanes = lanes
        self._link = lanes.link
        self._keys = lanes.keys
        self.consumer = consumer
        self._on_copy = on_copy
        self._guard = [] if of_dead is None else [lanes.keys.lease(of_dead)]
        self._reading = VouchedRead(lanes, consumer)

    def on_behalf_of(self, consumer: str, of_dead: str | None = None) -> RedisDelivery:
        """Return the same queues seen as another consumer, to give back what a dead one held.

        Args:
            of_dead: its worker; once that has a lease again, nothing is given back any more.
        """
        return RedisDelivery(self._lanes, consumer, self._on_copy, of_dead)

    def call_locks(self) -> RedisCallLocks:
        """Return what takes locks for calls in this consumer's hands."""
        return RedisCallLocks(self._lanes, self.consumer)

    def extend(self) -> None:
        """Take from the addresses that there are now: the list that it was made with may have grown."""
        self._lanes.extend()

    @property
    def connections(self) -> int:
        """How many connections were made so far, and how often the groups had to be made anew on one."""
        return self._lanes.connections

    def prepare(self, now: float | None = None) -> None:
        """See that entries can be taken, as :meth:`Lanes.prepare` does."""
        self._lanes.prepare(now)

    # -- taking

    def take(self, most: int) -> list[Entry]:
        """Take up to ``most`` entries without waiting."""
        keys = [self._keys.root, *self._lanes.streams]
        args: list[Argument] = [GROUP, self.consumer, most]
        taken, copies = self._lanes.grouped(lambda: self._link.script("take", keys, args))
        for lane_number, batch, frame in copies:
            self._on_copy(self._lanes.places[lane_number][0], batch.decode(errors="replace"), frame)
        entries = []
        for lane_number, entry_id, fields, flagged in taken:
            address, lane = self._lanes.places[lane_number]
            entries.append(self._readable(address, lane, entry_id, fields, bool(flagged)))
        return [entry for entry in entries if entry is not None]

    def wait(
        self, block_ms: int, report: Finish | None = None, told: Callable[[], None] = lambda: None
    ) -> list[Entry]:
        """Wait up to ``block_ms`` for an entry, the first one in the order of service where several wait.

        Args:
            report: goes along in the same write; no blobs.
            told: called when the broker has the report, which is before the wait.
        """
        commands = [self._link.script_command("finish", *for_script(report, self._keys))] if report else []
        taken_over = [False]

        def on_first(reply: Any) -> None:
            if isinstance(reply, NoScriptError):
                raise BrokerUnavailable("the broker has lost its scripts; they are sent again")
            if isinstance(reply, Exception):
                raise translated(reply, self._link.label)
            taken_over[0] = True
            told()

        def read() -> tuple[Any, Any]:
            if commands and not taken_over[0]:
                return self._reading.run(block_ms, commands, on_first)
            return self._reading.run(block_ms)

        reply, word = self._lanes.grouped(read)
        entries = self._parse(reply)
        if len(entries) == 1 and self._reading.is_vouched(entries[0], word):
            return entries
        return self._first(self.living(entries))

    def _first(self, entries: list[Entry]) -> list[Entry]:
        """Give back all but the first of what one read has brought from several lanes: it may have to wait here."""
        for entry in entries[1:]:
            self.give(entry, [(entry.first, entry.count, entry.attempt)])
        return entries[:1]

    def _parse(self, reply: Any) -> list[Entry]:
        entries = []
        for stream, items in reply or ():
            address, lane = self._lanes.place_of(stream)
            entries += [self._readable(address, lane, entry_id, fields, False) for entry_id, fields in items]
        return [entry for entry in entries if entry is not None]

    def _readable(
        self, address: Address, lane: str, entry_id: bytes, fields: list[bytes] | None, suspect: bool
    ) -> Entry | None:
        """Return an entry; one that is none of ours is dropped, for it would come back for ever."""
        try:
            return parse_entry(address, lane, entry_id, fields or [], suspect)
        except (IndexError, ValueError):
            self._lanes.drop(address, lane, entry_id)
            # What it carries may be ours all the same.
            self._on_copy(address, "unknown", max(fields or [b""], key=len))
            return None

    # -- whether what was taken is to be run

    def living(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those entries that have calls to run, suspect where some of them may be final.

        The others are copies of entries that were worked off; they end here, as in :meth:`take`.
        """
        if not entries:
            return []
        commands: list[tuple[Argument, ...]] = []
        for entry in entries:
            last = entry.first + entry.count - 1
            commands.append(("HMGET", self._keys.batch(entry.batch), "s", "x"))
            commands.append(("GETRANGE", self._keys.states(entry.batch), entry.first, last))
        replies = self._link.pipeline(commands)
        standings = [
            self._standing(known, states) for known, states in zip(replies[::2], replies[1::2], strict=True)
        ]
        return self._sorted_out(entries, standings)

    def _standing(self, known: Any, states: Any) -> _Standing:
        # What somebody else has put in the place of the batch, or of its states, is as good as nothing.
        known, states = or_nothing(known, (None, None)), or_nothing(states, b"")
        for reply in (known, states):
            if isinstance(reply, Exception):
                raise translated(reply, self._link.label)
        return _Standing(known[0] is not None, bool(known[1]), states)

    def _sorted_out(self, entries: Sequence[Entry], standings: Sequence[_Standing]) -> list[Entry]:
        living = []
        for entry, standing in zip(entries, standings, strict=True):
            all_ended = len(standing.states) >= entry.count > 0 and 0 not in standing.states
            if standing.known and not all_ended:
                doubtful = not entry.suspect and (standing.revoked or any(standing.states))
                living.append(dataclasses.replace(entry, suspect=True) if doubtful else entry)
                continue
            self._lanes.drop(entry.address, entry.lane, entry.id)
            if not standing.revoked:
                self._on_copy(entry.address, entry.batch, entry.frame)
        return living

    def may_have_begun(self, entry: Entry) -> bool:
        """Whether calls of an entry may have been taken before, and the server has lost by whom."""
        if entry.doubt:
            return True
        last = self._link.call_or_nothing(("HGET", self._keys.doubts(entry.address), entry.lane), None)
        return last is not None and order_of(entry.id) <= order_of(last)

    # -- what is in hand

    def in_hand(self) -> list[Entry]:
        """Return every entry that this consumer holds, for an audit after a lost connection."""
        entries: list[Entry] = []
        pending_by_lane = self._lanes.grouped(self._pending)
        for (address, lane), pending in zip(self._lanes.places, pending_by_lane, strict=True):
            if pending:
                entries += self._read(address, lane, [item[0] for item in pending])
        return entries

    def _pending(self) -> list[Any]:
        streams = self._lanes.streams
        asked = [("XPENDING", stream, GROUP, "-", "+", MOST_HELD, self.consumer) for stream in streams]
        return self._link.several_or_nothing(asked, [])

    def _read(self, address: Address, lane: str, ids: list[bytes]) -> list[Entry]:
        stream = self._keys.lane(address, lane)
        asked = [("XRANGE", stream, entry_id, entry_id) for entry_id in ids]
        entries = []
        for entry_id, found in zip(ids, self._link.several_or_nothing(asked, []), strict=True):
            if not found:
                self._lanes.drop(address, lane, entry_id)
                continue
            entry = self._readable(address, lane, found[0][0], found[0][1], True)
            if entry is not None:
                entries.append(self._cut(entry))
        return entries

    def _cut(self, entry: Entry) -> Entry:
        name = f"{entry.lane}/{entry.id.decode()}"
        (reply,) = self._link.pipeline([("HGET", self._keys.cuts(entry.address), name)])
        kept = part(or_nothing(reply, None), entry.first, entry.count)
        if kept is None:
            return entry
        return dataclasses.replace(entry, first=kept[0], count=kept[1], suspect=True)

    def forget(self) -> None:
        """Remove this consumer where it holds nothing."""
        for stream in self._lanes.streams:
            self._forget(stream)

    def _forget(self, stream: str) -> None:
        args: list[Argument] = [GROUP, self.consumer]
        self._lanes.grouped(lambda: self._link.script("forget_consumer", [stream], args))

    # -- being rid of it

    def finish(self, report: Finish) -> int:
        """Report results, events, retries and finished entries in one round trip; returns how many results were new."""
        return finish(self._link, self._keys, report)

    def give(
        self,
        entry: Entry,
        pieces: Iterable[tuple[int, int, int]],
        kept: tuple[int, int] | None = None,
        end: int | None = None,
        aside: Aside | None = None,
    ) -> bool:
        """Give pieces (first, count, attempt) of an entry to whoever takes them, and keep or end the rest.

        Args:
            end: index after the last call that this consumer takes the entry to hold; less than the entry's own
                where some were given away before.
            aside: put the pieces aside rather than into the entry's lane for returned work.

        Returns False when this consumer no longer holds the entry; nothing was changed then.
        """
        end = entry.first + entry.count if end is None else end
        flat = [number for piece in pieces for number in piece]
        remains = f"{kept[0]} {kept[1]}" if kept else ""
        target = returned(entry.lane) if aside is None else str(aside)
        place: list[Argument] = [entry.address, entry.lane, entry.id, target]
        args: list[Argument] = [GROUP, self.consumer, *place, remains, end, *flat]
        keys = [self._keys.root, *self._guard]
        return bool(self._lanes.grouped(lambda: self._link.script("give", keys, args)))
