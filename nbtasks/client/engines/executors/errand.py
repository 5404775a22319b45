"""What an executor is given, and what it gives back: bytes and numbers, so that any executor can carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nbtasks.core.callheader import CallHeader
from nbtasks.core.events import Retried
from nbtasks.wire.record import Record


@dataclass(frozen=True)
class Errand:
    """Calls of one batch that are run one after another.

    Attributes:
        engine, pid: which one has sent it, and its process.
        name, queue, single: as of :class:`CurrentCall` and :class:`CallHeader`.
        function: content hash of the function.
        packed: the function; empty where the process has had it already, as far as is known.
        first: index of the first call.
        attempt: the number of the try.
        payloads: pickled arguments of each call.
        pieces: large values that they have in common.
        header: what is said of them.
        result_limit: bytes that a result may take.
    """

    engine: str
    pid: int
    batch: str
    name: str
    queue: str
    single: bool
    function: str
    packed: bytes
    first: int
    attempt: int
    payloads: Sequence[bytes]
    pieces: Mapping[str, bytes]
    header: CallHeader
    result_limit: int


@dataclass(frozen=True)
class Answer:
    """How they have ended.

    Attributes:
        record: their results; those of calls outside ``ranges`` are none. None where there is no result.
        ranges: (first, count) of the calls that have ended.
        again: attempts that are to be followed by another.
        changed: index -> arguments of that one, packed, where these are other.
        lacks_function: nothing was run: the function is not there.
    """

    record: Record | None = None
    ranges: list[tuple[int, int]] = field(default_factory=list)
    again: list[Retried] = field(default_factory=list)
    changed: dict[int, bytes] = field(default_factory=dict)
    lacks_function: bool = False
