"""Operations of flushes and reports as verbs take them: three lists of the same length.

Each operation is its letter, its words with tabs between them, and its bytes: so a verb takes any number of them in one
go, and a new kind of operation changes no verb's arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush


class Operations:
    """Those of one flush or report."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.words: list[str] = []
        self.frames: list[bytes | memoryview | None] = []

    def add(self, kind: str, words: Iterable[Any], frame: bytes | memoryview | None = None) -> None:
        """Add one."""
        self.kinds.append(kind)
        self.words.append("\t".join(map(str, words)))
        self.frames.append(frame)

    @property
    def args(self) -> tuple[list[str], list[str], list[bytes | memoryview | None]]:
        """What a verb takes."""
        return self.kinds, self.words, self.frames


class FlushOperations(Operations):
    """Those of a flush, with what the server need not look for in them."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: set[str] = set()
        self._shipped: set[str] = set()
        #: Address -> entries that can be taken at once; and the lanes into which anything goes.
        self._entries: dict[str, int] = {}
        self._lanes: set[str] = set()
        self._due_ms: int | None = None
        self._woven = False

    def batch(self, parts: Sequence[Any]) -> None:
        """A new batch."""
        batch, n, address, function, frame, label, ttl_ms = parts
        self._functions.add(function)
        self._entries.setdefault(address, 0)
        if frame:
            self.function(function, frame)
        self.add("B", [batch, n, address, function, ttl_ms], label)

    def function(self, digest: str, frame: bytes) -> None:
        """A function's record."""
        self._shipped.add(digest)
        self.add("F", [digest], frame)

    def chunk(self, parts: Sequence[Any]) -> None:
        """A chunk of calls."""
        _, address, lane, due_ms, *_ = parts
        self._lanes.add(f"{address} {lane}")
        self._entries[address] = self._entries.get(address, 0) + (due_ms == 0)
        if due_ms:
            self._due_ms = min(due_ms, self._due_ms or due_ms)
        self.add("C", parts[:-1], parts[-1])

    def parked(self, parts: Sequence[Any]) -> None:
        """A chunk of calls that waits for others."""
        _, address, lane, *_ = parts
        self._lanes.add(f"{address} {lane}")
        self._entries.setdefault(address, 0)
        self.woven("P", parts[:-1], parts[-1])

    def woven(self, kind: str, words: Iterable[Any], frame: bytes | memoryview | None = None) -> None:
        """Something of a workflow."""
        self._woven = True
        self.add(kind, words, frame)

    def all_args(self, most: int, *, look: bool) -> tuple[Any, ...]:
        """What submit.sql takes.

        Args:
            most: entries that a lane may hold.
            look: whether that is to be looked at.
        """
        addresses = sorted(self._entries)
        entries = [self._entries[address] for address in addresses]
        lanes = sorted(self._lanes) if look else []
        needed = sorted(self._functions - self._shipped)
        return *self.args, needed, addresses, entries, lanes, most, self._due_ms, self._woven


def of_flush(flush: Flush) -> FlushOperations:
    """Return what submit.sql takes."""
    found = FlushOperations()
    for operation in flush.operations():
        kind, *parts = operation
        if kind == "B":
            found.batch(parts)
        elif kind == "C":
            found.chunk(parts)
        elif kind == "F":
            found.function(*parts)
        elif kind == "N":
            found.add(kind, parts[:-1], parts[-1])
        elif kind == "O":
            found.add(kind, parts)
        else:
            _WEAVING[kind](found, parts)
    return found


#: Letters of workflows; of a step it is not said who waits for all of it: those say it themselves.
_WEAVING: dict[str, Callable[[FlushOperations, Sequence[Any]], None]] = {
    "V": lambda found, parts: found.woven("V", parts[:-1], parts[-1]),
    "W": lambda found, parts: found.woven("W", [*parts[:3], *parts[4:]]),
    "X": lambda found, parts: found.woven("X", parts),
    "I": lambda found, parts: found.woven("I", parts),
    "P": FlushOperations.parked,
    "L": lambda found, parts: found.woven("L", parts),
}


class ReportOperations(Operations):
    """Those of a report, with the entries that end by it."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[int] = []
        #: Of those of which a part was given away: which, and the index after the last call that was kept.
        self.cut: list[int] = []
        self.stops: list[int] = []
        self.batches: set[str] = set()

    @property
    def all_args(self) -> tuple[list[Any], ...]:
        """What finish.sql takes."""
        return *self.args, self.ended, self.cut, self.stops, sorted(self.batches)


def of_report(report: Finish) -> ReportOperations:
    """Return what finish.sql takes."""
    found = ReportOperations()
    for operation in report.operations():
        kind, *parts = operation
        if kind == "A":
            _add_end(found, parts)
            continue
        if kind not in "HU":
            found.batches.add(parts[0])
        _ADDING.get(kind, _add_whole)(found, kind, parts)
    return found


def _add_whole(found: ReportOperations, kind: str, parts: Sequence[Any]) -> None:
    found.add(kind, parts)


def _add_results(found: ReportOperations, kind: str, parts: Sequence[Any]) -> None:
    batch, first, count, states, record = parts
    found.add(kind, [batch, first, count, states.hex()], record)


def _add_framed(found: ReportOperations, kind: str, parts: Sequence[Any]) -> None:
    found.add(kind, parts[:-1], parts[-1] or b"")


def _add_again(found: ReportOperations, kind: str, parts: Sequence[Any]) -> None:
    *place, attempt, frame = parts
    number, _, doubt = str(attempt).partition(" ")
    found.add(kind, [*place, number, doubt], frame)


def _add_later(found: ReportOperations, kind: str, parts: Sequence[Any]) -> None:
    *place, attempt, frame, name, before = parts
    # Whoever waits for a batch has it locked, with the report's own ones in one order.
    found.batches.update(before.split())
    found.add(kind, [*place, attempt, "", name, before], frame)


def _add_note(found: ReportOperations, kind: str, parts: Sequence[Any]) -> None:
    frame, if_new = parts
    found.add(kind, [if_new], frame)


def _add_end(found: ReportOperations, parts: Sequence[Any]) -> None:
    _, _, entry, kept = parts
    number = number_of(entry)
    found.ended.append(number)
    if kept:
        first, count = map(int, kept.split())
        found.cut.append(number)
        found.stops.append(first + count)


_ADDING = {
    "R": _add_results,
    "E": _add_framed,
    "P": _add_framed,
    "Z": _add_again,
    "Y": _add_later,
    "H": _add_note,
}


def number_of(entry_id: bytes) -> int:
    """Return an entry's number; 0, which none has, where it is none of ours."""
    text = entry_id.partition(b"-")[0]
    return int(text) if text.isdigit() and len(text) < 19 else 0


def id_of(number: int) -> bytes:
    """Return an entry's id, as its worker keeps it."""
    return b"%d-0" % number
