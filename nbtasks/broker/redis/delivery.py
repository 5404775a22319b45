"""The worker's side of the queues: take entries, finish calls, give calls to others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from nbtasks.core.address import Address
from nbtasks.core.errors import BrokerUnavailable

from .channel import Argument, Command, Packed, packed
from .keys import GROUP, LANES, Keys, returned
from .link import Link, translated
from .server import server_life
from .submission import put_blobs
from .untrusted import MOST, batch_name, is_of_another_type, names, number, or_nothing, part, span

#: Result records up to this size travel inside the event; larger ones are fetched.
PUSH_BYTES = 32 * 1024
_MOST_HELD = 10_000
#: What an entry says where its calls may have begun; the scripts know it as well.
LOST, SETTLED = "2", "3"
#: In the place of a limit: what is put aside may have begun.
DOUBT = "?"
#: Entries that one script looks at, so that it keeps nobody waiting.
_MOST_AT_ONCE = 200
#: Bytes of an entry's id, at most.
ID_BYTES = 41
#: Bytes of a chunk's frame for each of its calls, at least.
_LEAST_BYTES = 4


@dataclass(frozen=True)
class Entry:
    """One delivered stream entry: ``count`` calls from ``first`` on, out of a signed chunk."""

    address: Address
    lane: str
    id: bytes
    batch: str
    first: int
    count: int
    attempt: int
    #: Some calls may be final already: look at their states before running.
    suspect: bool
    frame: bytes
    #: The server had lost who held it: its calls may have begun (LOST), and some time has passed since (SETTLED).
    doubt: str = ""

    @property
    def key_id(self) -> str:
        """Id of the key that the call was signed with; who asked with it is answered with it."""
        return self.address.key_id


@dataclass(frozen=True)
class Aside:
    """Where calls go that a rate limit does not let start yet: into a lane, at a moment of the server's time."""

    lane: str
    due_ms: int
    limit: str

    def __str__(self) -> str:
        return f"{self.lane} {self.due_ms} {self.limit}"


@dataclass(frozen=True)
class _Standing:
    """What the broker knows of an entry's calls; ``states`` is cut short where nothing has ended yet."""

    known: bool
    revoked: bool
    states: bytes


#: Operation of a report -> how many arguments it has, as in finish.lua.
_WIDTHS = {"R": 6, "E": 3, "Z": 9, "O": 3, "S": 2, "A": 5}


@dataclass
class Finish:
    """What one flush of a worker reports."""

    args: list[Argument] = field(default_factory=list)
    acks: list[Argument] = field(default_factory=list)
    blobs: list[tuple[str, bytes | memoryview]] = field(default_factory=list)

    @property
    def records(self) -> int:
        """How many records a report has that has nothing else."""
        return len(self.args) // _WIDTHS["R"]

    def results(self, batch: str, first: int, states: bytes, record: bytes) -> None:
        """Results of ``len(states)`` calls in a row, one state code each."""
        self.args += ["R", batch, first, len(states), states, record]

    def event(self, batch: str, frame: bytes) -> None:
        """An event for the batch's session."""
        self.args += ["E", batch, frame]

    def again(
        self,
        batch: str,
        address: str,
        lane: str,
        due_ms: int,
        first: int,
        count: int,
        attempt: int,
        frame: bytes,
    ) -> None:
        """Queue calls again at a moment of the server's time, as another attempt."""
        self.args += ["Z", batch, address, lane, due_ms, first, count, attempt, frame]

    def doubt(self, entry: Entry, due_ms: int, pieces: Iterable[tuple[int, int]]) -> None:
        """Look later whether these calls (first, count) have ended that may have begun; the entry ends."""
        for first, count in pieces:
            place: list[Argument] = [entry.batch, entry.address, entry.lane, due_ms, first, count]
            self.args += ["Z", *place, f"{entry.attempt} {DOUBT}", entry.frame]
        self.done(entry)

    def blob(self, batch: str, key: str, data: bytes | memoryview) -> None:
        """Store a piece of a large result."""
        self.blobs.append((key, data))
        self.args += ["O", batch, key]

    def counted(self, batch: str) -> None:
        """The batch's number of calls is known now; it may be over."""
        self.args += ["S", batch]

    def done(self, entry: Entry, kept: tuple[int, int] | None = None) -> None:
        """The entry is worked off.

        Args:
            kept: (first, count) of the calls that it was cut down to, where others were given away.
        """
        self.acks += ["A", entry.address, entry.lane, entry.id, f"{kept[0]} {kept[1]}" if kept else ""]

    def alone(self) -> list[Finish]:
        """Return each operation as a report of its own, in the order in which they are applied."""
        found, flat, place = [], [*self.args, *self.acks], 0
        while place < len(flat):
            end = place + _WIDTHS[str(flat[place])]
            found.append(Finish(flat[place:end]))
            place = end
        return found

    @property
    def of_batch(self) -> tuple[str, int, int] | None:
        """(batch, first, count) of a report that is about results and nothing else; None for another one."""
        if len(self.args) != _WIDTHS["R"] or self.args[0] != "R":
            return None
        _, batch, first, count, *_ = self.args
        return str(batch), int(first), int(count)

    def __bool__(self) -> bool:
        return bool(self.args or self.acks)


class Delivery:
    """Takes, finishes and gives back entries for one consumer.

    Args:
        on_copy: told (address, batch, frame) of an entry that was left out: it was worked off before, or nobody knows
            its batch.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        consumer: str,
        addresses: Sequence[Address],
        on_copy: Callable[[Address, str, bytes], None] = lambda *_: None,
    ) -> None:
        self._link = link
        self._on_copy = on_copy
        self._keys = keys
        self._consumer = consumer
        self._guard: list[str] = []
        # All queues share a lane before the next lane is looked at: priority is across queues.
        self._lanes = [(address, lane) for lane in LANES for address in addresses]
        self._streams = [keys.lane(address, lane) for address, lane in self._lanes]
        self._by_stream = {
            name.encode(): place for name, place in zip(self._streams, self._lanes, strict=True)
        }
        #: The number of the lane that the last entry came from, and by time in ms and lane the commands that wait.
        self._likely_lane = 0
        self._reading: dict[tuple[int, int], tuple[Packed, Packed]] = {}
        #: A read over several lanes may have taken something before it came to one without a group.
        self._remade = 0

    def prepare(self, now: float | None = None) -> None:
        """Make the consumer groups, and note what may have begun where the server has lost who took it.

        Args:
            now: the server's time as it is reckoned. What is due by then is queued before: perhaps a server that was
                lost has done so, too.
        """
        addresses = sorted({address for address, _ in self._lanes})
        life = server_life(self._link)
        for address in addresses if now is not None else ():
            args: list[Argument] = [address, round((now or 0.0) * 1000), _MOST_AT_ONCE]
            while self._link.script("promote", [self._keys.root], args)[0] >= _MOST_AT_ONCE:
                continue
        self._link.script("prepare", [self._keys.root, *self._streams], [GROUP, life, *addresses])
        # The server must know the script: where it goes along with a wait, it is not sent in full.
        self.finish(Finish())

    def take(self, most: int) -> list[Entry]:
        """Take up to ``most`` entries without waiting."""
        reply = self._grouped(
            lambda: self._link.script(
                "take", [self._keys.root, *self._streams], [GROUP, self._consumer, most]
            )
        )
        taken, copies = reply
        for lane_number, batch, frame in copies:
            self._on_copy(self._lanes[lane_number][0], batch.decode(errors="replace"), frame)
        entries = []
        for lane_number, entry_id, fields, flagged in taken:
            address, lane = self._lanes[lane_number]
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
        commands = [self._link.script_command("finish", *self._finish_arguments(report))] if report else []
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
                return self._read_and_vouch(block_ms, commands, on_first)
            return self._read_and_vouch(block_ms)

        reply, seen = self._grouped(read)
        entries = self._parse(reply)
        if not entries:
            return []
        if len(entries) == 1:
            vouched = seen and self._is_of_lane(entries[0], seen[0]) and entries[0].id == seen[1]
            self._likely_lane = self._lanes.index((entries[0].address, entries[0].lane))
            if vouched:
                return entries
        return self._first(self.living(entries))

    def _first(self, entries: list[Entry]) -> list[Entry]:
        """Give back all but the first of what one read has brought from several lanes: it may have to wait here."""
        for entry in entries[1:]:
            self.give(entry, [(entry.first, entry.count, entry.attempt)])
        return entries[:1]

    def _is_of_lane(self, entry: Entry, number: int) -> bool:
        """Whether an entry came from the lane that ``vouch`` calls by this number."""
        number = self._likely_lane if number == 0 else number - (number <= self._likely_lane)
        return (entry.address, entry.lane) == self._lanes[number]

    def _read_and_vouch(
        self,
        block_ms: int,
        before: Sequence[Command] = (),
        on_first: Callable[[Any], None] | None = None,
    ) -> tuple[Any, Any]:
        """Wait for entries, and have the server look at them in the same round trip."""
        key = (block_ms, self._likely_lane)
        if key not in self._reading:
            self._reading[key] = self._packed_reading(block_ms)
        *_, reply, seen = self._link.waiting_pipeline([*before, *self._reading[key]], block_ms, on_first)
        if isinstance(reply, Exception):
            raise translated(reply, self._link.label)
        if isinstance(seen, Exception):
            # The server does not have the script yet.
            seen = self._link.script("vouch", self._vouching_keys(), [])
        return reply, seen

    def _vouching_keys(self) -> list[Argument]:
        likely = self._likely_lane
        return [
            self._keys.root, self._streams[likely], *self._streams[:likely], *self._streams[likely + 1 :]
        ]  # fmt: skip

    def _packed_reading(self, block_ms: int) -> tuple[Packed, Packed]:
        read: tuple[Argument, ...] = (
            "XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", 1, "BLOCK", block_ms,
            "STREAMS", *self._streams, *([">"] * len(self._streams)),
        )  # fmt: skip
        return packed(read), packed(self._link.script_command("vouch", self._vouching_keys(), []))

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
            self._end([entry])
            if not standing.revoked:
                self._on_copy(entry.address, entry.batch, entry.frame)
        return living

    def _end(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._drop(entry.address, entry.lane, entry.id)

    def may_have_begun(self, entry: Entry) -> bool:
        """Whether calls of an entry may have been taken before, and the server has lost by whom."""
        if entry.doubt:
            return True
        (last,) = self._link.pipeline([("HGET", self._keys.doubts(entry.address), entry.lane)])
        last = or_nothing(last, None)
        if isinstance(last, Exception):
            raise translated(last, self._link.label)
        return last is not None and _number(entry.id) <= _number(last)

    @property
    def connections(self) -> int:
        """How many connections were made so far, and how often the groups had to be made anew on one."""
        return self._link.connections + self._remade

    def held(self) -> list[Entry]:
        """Return every entry that this consumer holds, for an audit after a lost connection."""
        entries: list[Entry] = []
        for (address, lane), pending in zip(self._lanes, self._grouped(self._pending), strict=True):
            if pending:
                entries += self._read(address, lane, [item[0] for item in pending])
        return entries

    def _pending(self) -> list[Any]:
        replies = self._link.pipeline(
            [("XPENDING", stream, GROUP, "-", "+", _MOST_HELD, self._consumer) for stream in self._streams]
        )
        for reply in replies:
            if isinstance(reply, Exception) and not is_of_another_type(reply):
                raise translated(reply, self._link.label)
        return [or_nothing(reply, []) for reply in replies]

    def _read(self, address: Address, lane: str, ids: list[bytes]) -> list[Entry]:
        stream = self._keys.lane(address, lane)
        replies = self._link.pipeline([("XRANGE", stream, entry_id, entry_id) for entry_id in ids])
        entries = []
        for entry_id, reply in zip(ids, replies, strict=True):
            found = or_nothing(reply, [])
            if isinstance(found, Exception):
                raise translated(found, self._link.label)
            if not found:
                self._drop(address, lane, entry_id)
                continue
            entry = self._readable(address, lane, found[0][0], found[0][1], True)
            if entry is not None:
                entries.append(self._cut(entry))
        return entries

    def _readable(
        self, address: Address, lane: str, entry_id: bytes, fields: list[bytes] | None, suspect: bool
    ) -> Entry | None:
        """Return an entry; one that is none of ours is dropped, for it would come back for ever."""
        try:
            return _entry(address, lane, entry_id, fields or [], suspect)
        except (IndexError, ValueError):
            self._drop(address, lane, entry_id)
            # What it carries may be ours all the same.
            self._on_copy(address, "unknown", max(fields or [b""], key=len))
            return None

    def _drop(self, address: str, lane: str, entry_id: bytes) -> None:
        """Be rid of an entry; what somebody else has put in the place of these keys has none."""
        stream = self._keys.lane(address, lane)
        cut = ("HDEL", self._keys.cuts(address), f"{lane}/{entry_id.decode()}")
        self._link.pipeline([("XDEL", stream, entry_id), cut, ("XACK", stream, GROUP, entry_id)])

    def _cut(self, entry: Entry) -> Entry:
        name = f"{entry.lane}/{entry.id.decode()}"
        (reply,) = self._link.pipeline([("HGET", self._keys.cuts(entry.address), name)])
        kept = part(or_nothing(reply, None), entry.first, entry.count)
        if kept is None:
            return entry
        return dataclasses.replace(entry, first=kept[0], count=kept[1], suspect=True)

    def finish(self, report: Finish) -> int:
        """Report results, events, retries and finished entries in one round trip; returns how many results were new."""
        put_blobs(self._link, report.blobs)
        return int(self._link.script("finish", *self._finish_arguments(report)))

    def _finish_arguments(self, report: Finish) -> tuple[list[Argument], list[Argument]]:
        return [self._keys.root], [GROUP, PUSH_BYTES, *report.args, *report.acks]

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
        part = f"{kept[0]} {kept[1]}" if kept else ""
        target = returned(entry.lane) if aside is None else str(aside)
        place: list[Argument] = [entry.address, entry.lane, entry.id, target]
        args: list[Argument] = [GROUP, self._consumer, *place, part, end, *flat]
        return bool(self._grouped(lambda: self._link.script("give", [self._keys.root, *self._guard], args)))

    def consumers(self) -> dict[str, int]:
        """Return every consumer of these queues with the number of entries that it holds."""
        found: dict[str, int] = {}
        for start in range(0, len(self._streams), _MOST_AT_ONCE):
            streams = self._streams[start : start + _MOST_AT_ONCE]
            for reply in self._link.pipeline([("XINFO", "CONSUMERS", stream, GROUP) for stream in streams]):
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
        return sum(self._adopt_orphans(address, lane) for address, lane in reversed(self._lanes))

    def _adopt_orphans(self, address: str, lane: str) -> int:
        found, after = 0, b"0-0"
        keys = [self._keys.root, self._keys.lane(address, lane), self._keys.lane(address, returned(lane))]
        while after:
            args: list[Argument] = [GROUP, f"{lane}/", address, after, _MOST_AT_ONCE]
            more, after = self._link.script("orphans", keys, args)
            found += int(more)
        return found

    def on_behalf_of(self, consumer: str, lease: str | None = None) -> Delivery:
        """Return the same queues seen as another consumer, to give back what a dead one held.

        Args:
            lease: key of the lease of its worker; once that is there again, nothing is given back any more.
        """
        other = Delivery.__new__(Delivery)
        other.__dict__.update(self.__dict__)
        other._consumer, other._reading = consumer, {}
        other._guard = [] if lease is None else [lease]
        return other

    def forget(self) -> None:
        """Remove this consumer where it holds nothing."""
        for stream in self._streams:
            self._grouped(
                lambda stream=stream: self._link.script("forget_consumer", [stream], [GROUP, self._consumer])
            )

    def _parse(self, reply: Any) -> list[Entry]:
        entries = []
        for stream, items in reply or ():
            address, lane = self._by_stream[stream]
            entries += [self._readable(address, lane, entry_id, fields, False) for entry_id, fields in items]
        return [entry for entry in entries if entry is not None]

    def _grouped(self, command: Any) -> Any:
        """Run a command; make the groups first when the server has lost them."""
        try:
            return command()
        except Exception as error:
            # The second is what is said about a stream that is not there, the third to who waits for one that goes,
            # and the last of what somebody else has put in its place.
            if not any(sign in str(error) for sign in ("NOGROUP", "no such key", "UNBLOCKED", "WRONGTYPE")):
                raise
        self.prepare()
        self._remade += 1
        return command()


def _entry(address: Address, lane: str, entry_id: bytes, fields: list[bytes], suspect: bool) -> Entry:
    """Return an entry as it claims to be.

    Raises:
        IndexError, ValueError: it makes no sense.
    """
    # Field order is fixed by the scripts: b, i, n, a, x, d.
    frame = fields[11]
    first, count = span(fields[3], fields[5])
    attempt = number(fields[7])
    if count * _LEAST_BYTES > len(frame) or attempt > MOST:
        raise ValueError("more calls than it has room for, or no attempt")
    flagged = suspect or fields[9] != b"" or lane == returned(lane)
    doubt = fields[9].decode() if fields[9] in (LOST.encode(), SETTLED.encode()) else ""
    return Entry(address, lane, entry_id, batch_name(fields[1]), first, count, attempt, flagged, frame, doubt)


def _number(entry_id: bytes) -> tuple[int, int]:
    """Return an entry's id as numbers; what is none comes before everything."""
    milliseconds, _, part_of = entry_id.partition(b"-")
    if len(entry_id) > ID_BYTES or not (milliseconds.isdigit() and part_of.isdigit()):
        return -1, 0
    return int(milliseconds), int(part_of)
