"""A periodic task as it travels: what is to be called when, and what is done about runs that were missed or overlap."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbtasks.core.callheader import CallHeader
from nbtasks.core.errors import ConfigError
from nbtasks.core.label import BatchLabel
from nbtasks.core.lock import Lock, locks_from_wire, locks_to_wire
from nbtasks.core.wirefields import (
    WireField,
    WireFields,
    flag,
    items,
    named,
    number,
    number_or_none,
    text,
    whole,
)

from .missed import check_missed
from .timetable import Timetable

#: Characters of a name; bytes of all arguments.
MOST_NAME = 200
MOST_BYTES = 2**20
_MOST_TTL_MS = 3_155_760_000_000
_PERSON = b"nbtasks periodic"


def id_of(name: str) -> str:
    """Return the id of the periodic task with a name."""
    return hashlib.blake2b(name.encode(), digest_size=10, person=_PERSON).hexdigest()


def run_id(task: str, due_ms: int) -> str:
    """Return the id of the batch that a periodic task's run for a due time is; everybody gets the same one."""
    return hashlib.blake2b(f"{task} {due_ms}".encode(), digest_size=10, person=_PERSON).hexdigest()


@dataclass(frozen=True)
class RunChunk:
    """Calls of a run that travel together.

    Attributes:
        delay_ms: after the due time, before which they may not start.
        frame: signed.
    """

    lane: str
    delay_ms: int
    first: int
    count: int
    frame: bytes


@dataclass(frozen=True)
class DueRun:
    """What is submitted for one due time.

    Attributes:
        task: the periodic task.
        label: what is told of the run, signed.
    """

    task: Periodic
    batch: str
    label: bytes
    chunks: tuple[RunChunk, ...]


@dataclass(frozen=True)
class Periodic:
    """What is called again and again.

    Attributes:
        timetable: when.
        address: of the queue.
        function: content hash.
        chunks: calls of each chunk.
        header: what is said of the calls of each run.
        label: what is told of each run.
        ttl_ms: for how long its results are kept.
        expires_s: seconds after its due time from which a call may no longer start; None: never.
        missed: what is done about runs that were missed.
        overlaps: a run may begin while the one before goes on.
        jitter_s: each run begins up to so many seconds later, by chance.
        client: with which it ends; empty where it stays.
        owner: the App that declares it, and removes what it no longer declares; empty where none does.
        locks: what the calls of each chunk hold, where they hold something.
        coded_at: when its code was put, in epoch seconds of the server.
        code: what people see of the version of its code.
    """

    name: str
    timetable: Timetable
    address: str
    function: str
    chunks: tuple[int, ...] = (1,)
    header: CallHeader = field(default_factory=CallHeader)
    label: BatchLabel = field(default_factory=BatchLabel)
    ttl_ms: int = 86_400_000
    expires_s: float | None = None
    missed: str = "latest"
    overlaps: bool = False
    jitter_s: float = 0.0
    client: str = ""
    owner: str = ""
    locks: tuple[tuple[Lock, ...], ...] = ()
    coded_at: float = 0.0
    code: str = ""

    @property
    def id(self) -> str:
        """As the server has it."""
        return id_of(self.name)

    @property
    def count(self) -> int:
        """Calls of each run."""
        return sum(self.chunks)

    def jitter_ms(self, due_ms: int) -> int:
        """Return how many ms after a due time its run begins; everybody gets the same."""
        most = round(self.jitter_s * 1000)
        return int(run_id(self.name, due_ms)[:12], 16) % (most + 1)

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return _WIRE.written(self)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Periodic:
        """Read what :meth:`to_wire` has made, here or in another version.

        Raises:
            ValueError: it makes no sense.
        """
        try:
            return cls(**_WIRE.read(wire))
        except (TypeError, ConfigError) as error:
            raise ValueError(f"no periodic task: {error}") from error


_WIRE = WireFields(
    Periodic,
    {
        "nm": WireField("name", text),
        "tt": WireField("timetable", lambda said: Timetable.from_wire(named(said)), Timetable.to_wire),
        "ad": WireField("address", text),
        "f": WireField("function", text),
        "c": WireField("chunks", lambda said: tuple(map(whole, items(said))), list),
        "h": WireField("header", lambda said: CallHeader.from_wire(named(said)), CallHeader.to_wire),
        "l": WireField("label", lambda said: BatchLabel.from_wire(named(said)), BatchLabel.to_wire),
        "t": WireField("ttl_ms", lambda said: min(whole(said), _MOST_TTL_MS)),
        "x": WireField("expires_s", number_or_none),
        "ms": WireField("missed", check_missed),
        "ov": WireField("overlaps", flag, int),
        "j": WireField("jitter_s", number),
        "k": WireField("client", text),
        "ow": WireField("owner", text),
        "lk": WireField(
            "locks",
            lambda said: tuple(map(locks_from_wire, items(said))),
            lambda locks: list(map(locks_to_wire, locks)),
        ),
        "at": WireField("coded_at", number),
        "v": WireField("code", text),
    },
)
