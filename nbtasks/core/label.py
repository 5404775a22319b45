"""What is told of a batch to those who have not submitted it. Its short keys stand here and nowhere else."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .lanenames import NORMAL
from .submitter import MOST_TEXT, Submitter
from .wirefields import WireField, WireFields, flag, number, number_or_none, text, texts, whole
from .wirejson import as_json

#: Characters of a text in a label: a task's name may be long. And calls of a batch.
_LONGEST = 20_000
_MOST_CALLS = 2**31 - 1
#: Calls of a batch of which others are told what they are called, and characters of each of these names.
MOST_NAMED = 1_000
MOST_NAME = 40
#: And of all these names.
MOST_OF_NAMES = 20_000


# One for each call, and to make one that is frozen takes six times as long.
@dataclass
class BatchLabel:
    """What is told of a batch.

    Attributes:
        n: number of calls; -1 as long as its client still reads items.
        function: content hash of the task's function.
        title: what cards call it, None where that is the task's name.
        kind: ``call`` or ``map``.
        single: the batch is one call, and has its id.
        eta_at: from when on its calls may start, in epoch seconds of its client.
        lane: of the queue.
        at: when this was said, in epoch seconds of the server.
        shown: it has a card.
        own_id: the id of its call, where the caller has given it one.
        workflow: the id of the workflow that it is a part of; empty where it is in none.
        repairs: what was submitted again in it: a batch's id and the indexes of its calls, in order; else empty.
        items: of a map of not very many calls, what each is called, such as ``n=17``.
    """

    n: int = 0
    function: str = ""
    name: str = "task"
    queue: str = "default"
    title: str | None = None
    kind: str = "call"
    single: bool = False
    eta_at: float | None = None
    on_error: str = "raise"
    lane: str = NORMAL
    at: float = 0.0
    shown: bool = False
    repairs: str = ""
    own_id: str = ""
    workflow: str = ""
    submitter: Submitter = field(default_factory=Submitter)
    items: tuple[str, ...] = ()

    @property
    def standing(self) -> str:
        """What :meth:`to_wire` returns, as :func:`as_json` has it."""
        return as_json(self.to_wire())

    def to_wire(self) -> dict[str, Any]:
        """Return all of it but ``n`` and ``at``, as JSON types: what call after call of a task has the same."""
        wire = {**_FIELDS.written(self), **_written(self.submitter)}
        for key in varying(0, 0.0):
            wire.pop(key, None)
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> BatchLabel:
        """Read it from JSON types that another process, or another version, has made.

        Raises:
            ValueError: it makes no sense.
        """
        return cls(**_FIELDS.read(wire), submitter=Submitter(**_WHO.read(wire)))


def varying(n: int, at: float) -> dict[str, Any]:
    """Return as JSON types what :meth:`BatchLabel.to_wire` leaves out."""
    return {"n": n, "at": at}


@functools.lru_cache(maxsize=8)
def _written(who: Submitter) -> dict[str, Any]:
    """Return a submitter as JSON types. One process submits batch after batch."""
    return _WHO.written(dataclasses.replace(who, place=who.place[:MOST_TEXT], cell=who.cell[:MOST_TEXT]))


def _bounded(value: Any) -> str:
    found = text(value)
    if len(found) > _LONGEST:
        raise ValueError(f"a text of {len(found):,} characters is too long")
    return found


def _names(value: Any) -> tuple[str, ...]:
    found = texts(value)
    too_long = any(len(name) > MOST_NAME for name in found) or sum(map(len, found)) > MOST_OF_NAMES
    if len(found) > MOST_NAMED or too_long:
        raise ValueError(f"{len(found)} names of calls are too many, or too long")
    return found


def _short(value: Any) -> str:
    found = text(value)
    if len(found) > MOST_TEXT:
        raise ValueError(f"a text of {len(found):,} characters is too long")
    return found


def _calls(value: Any) -> int:
    if type(value) is int and value == -1:
        return -1
    found = whole(value)
    if found > _MOST_CALLS:
        raise ValueError(f"{found:,} calls are too many")
    return found


def _title(value: Any) -> str | None:
    return None if value is None else _bounded(value)


_FIELDS = WireFields(
    BatchLabel,
    {
        "n": WireField("n", _calls),
        "f": WireField("function", _short),
        "name": WireField("name", _bounded),
        "queue": WireField("queue", _short),
        "label": WireField("title", _title),
        "kind": WireField("kind", _short),
        "one": WireField("single", flag, int),
        "eta": WireField("eta_at", number_or_none),
        "oe": WireField("on_error", _short),
        "p": WireField("lane", _short),
        "at": WireField("at", number),
        "sh": WireField("shown", flag, int),
        "re": WireField("repairs", _bounded),
        "ti": WireField("own_id", _short),
        "wf": WireField("workflow", _short),
        "it": WireField("items", _names, list),
    },
)
_WHO = WireFields(
    Submitter,
    {
        "place": WireField("place", _short),
        "c": WireField("cell", _short),
        "ma": WireField("machine", _short),
        "pid": WireField("pid", whole),
        "up": WireField("started", whole),
    },
)
