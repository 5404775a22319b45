"""Operations of flushes and reports as verbs take them: three lists of the same length.

Each operation is its letter, its words with tabs between them, and its bytes: so a verb takes any number of them in one
go, and a new kind of operation changes no verb's arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush

from .pglink import refuse

#: Operations of workflows and locks, which the leg does not have yet.
_NOT_YET = {
    **dict.fromkeys("VWXPLI", "workflows"),
    "Y": "replacing a call by a workflow",
    "U": "locks",
}


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


def of_flush(flush: Flush) -> Operations:
    """Return what submit.sql takes."""
    found = Operations()
    for operation in flush.operations():
        kind, *parts = operation
        if kind == "B":
            batch, n, address, function, frame, label, ttl_ms = parts
            if frame:
                found.add("F", [function], frame)
            found.add("B", [batch, n, address, function, ttl_ms], label)
        elif kind in "NFC":
            found.add(kind, parts[:-1], parts[-1])
        elif kind == "O":
            found.add(kind, parts)
        else:
            raise refuse(_NOT_YET[kind])
    return found


def of_report(report: Finish) -> Operations:
    """Return what finish.sql takes."""
    found = Operations()
    for operation in report.operations():
        kind, *parts = operation
        _ADDING.get(kind, _add_whole)(found, kind, parts)
    return found


def _add_whole(found: Operations, kind: str, parts: Sequence[Any]) -> None:
    if kind in _NOT_YET:
        raise refuse(_NOT_YET[kind])
    found.add(kind, parts)


def _add_results(found: Operations, kind: str, parts: Sequence[Any]) -> None:
    batch, first, count, states, record = parts
    found.add(kind, [batch, first, count, states.hex()], record)


def _add_framed(found: Operations, kind: str, parts: Sequence[Any]) -> None:
    found.add(kind, parts[:-1], parts[-1] or b"")


def _add_again(found: Operations, kind: str, parts: Sequence[Any]) -> None:
    *place, attempt, frame = parts
    number, _, doubt = str(attempt).partition(" ")
    found.add(kind, [*place, number, doubt], frame)


def _add_note(found: Operations, kind: str, parts: Sequence[Any]) -> None:
    frame, if_new = parts
    found.add(kind, [if_new], frame)


def _add_end(found: Operations, kind: str, parts: Sequence[Any]) -> None:
    _, _, entry, kept = parts
    found.add(kind, [number_of(entry), *(kept.split() or ("", ""))])


_ADDING = {
    "R": _add_results,
    "E": _add_framed,
    "P": _add_framed,
    "Z": _add_again,
    "H": _add_note,
    "A": _add_end,
}


def number_of(entry_id: bytes) -> int:
    """Return an entry's number; 0, which none has, where it is none of ours."""
    text = entry_id.partition(b"-")[0]
    return int(text) if text.isdigit() and len(text) < 19 else 0


def id_of(number: int) -> bytes:
    """Return an entry's id, as its worker keeps it."""
    return b"%d-0" % number
