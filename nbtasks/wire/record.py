"""Results of calls in a row, as signed bytes and back."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbtasks.core.calloutput import CallOutput
from nbtasks.core.wirefields import from_base64, items, number, to_base64

from .frames import CHILD, RESULT, Header, Sealer, child_of, unreadable
from .payloads import Repeated, cut, lengths_of

#: Epoch seconds, in the year 5138.
_END_OF_TIME = 1e11


@dataclass
class Record:
    """Results of calls in a row.

    Attributes:
        states: one state code a call.
        seconds: run time of each call.
        payloads: pickled value, or pickled failure, of each call; empty for None.
        worker: who ran them.
        attempt: the number of the try that ended.
        given: index -> what it has given out besides its result, where that was something.
        child: the number of the worker's child that ran them; None where it is not known.
        told_at: when it was told, in the server's time; None where nobody noted when the calls began.
        begun: seconds from ``told_at`` to the begin of each call, which are negative; nan where it is not known.
        memo: names under which the results are kept, as in memo.py; empty where they are not.
        made: when each result was made that an earlier run has left (server time, 0 where it is not known); empty
            where all were made by this run.
        ahead_s: what to add to the server's time for that of this machine. Not sent.
    """

    batch: str
    first: int
    states: bytes
    seconds: Sequence[float]
    payloads: Sequence[bytes | memoryview]
    worker: str = ""
    attempt: int = 1
    given: dict[int, CallOutput] = field(default_factory=dict)
    child: int | None = None
    told_at: float | None = None
    begun: Sequence[float] = ()
    memo: bytes = b""
    made: Sequence[float] = ()
    ahead_s: float = 0.0

    def began_at(self, index: int) -> float | None:
        """Return when a call began, by this machine's clock."""
        if self.told_at is None:
            return None
        moment = self.told_at + self.begun[index - self.first] + self.ahead_s
        return moment if math.isfinite(moment) else None

    def made_at(self, index: int) -> float | None:
        """Return when a result was made by an earlier run, by this machine's clock; None where it was made by this."""
        if not self.made:
            return None
        return self.made[index - self.first] + self.ahead_s

    @classmethod
    def alike(
        cls,
        batch: str,
        first: int,
        count: int,
        state: int,
        payload: bytes = b"",
        worker: str = "",
        attempt: int = 1,
        shared: bool = False,
    ) -> Record:
        """Return a record of ``count`` calls that have ended in the same way, and not by running.

        Args:
            shared: the payload travels once; for those who know that.
        """
        payloads = Repeated(payload, count) if shared else [payload] * count
        return cls(batch, first, bytes([state]) * count, [0.0] * count, payloads, worker, attempt)

    def sealed(self, sealer: Sealer, kid: str = "") -> bytes:
        """Return the frame of it; ``kid`` as in :meth:`Sealer.seal`."""
        header = {
            "b": self.batch,
            "i": self.first,
            "n": len(self.states),
            "w": self.worker,
            "a": self.attempt,
        }
        if self.given:
            header["o"] = {str(index): given.to_wire() for index, given in self.given.items()}
        if self.child is not None:
            header[CHILD] = self.child
        if self.memo:
            header["mm"] = to_base64(self.memo)
        if self.made:
            header["md"] = [round(moment, 3) for moment in self.made]
        payloads = self.payloads
        if isinstance(payloads, Repeated):
            header["sm"], payloads = 1, [payloads.payload]
        begun = b""
        if self.told_at is not None and 0 < self.told_at < _END_OF_TIME:
            # In whole us, for a fraction takes ten times as long to write. The other moments stand at the end: a reader
            # that does not know of them finds all else where it was.
            header["t"] = int(self.told_at * 1e6)
            begun = array("f", self.begun).tobytes()
        return sealer.seal(
            RESULT,
            header,
            self.states,
            array("f", self.seconds).tobytes(),
            lengths_of(payloads),
            *payloads,
            begun,
            kid=kid,
        )

    @classmethod
    def opened(cls, sealer: Sealer, frame: bytes, batch: str) -> Record:
        """Verify a result record and cut it into results.

        Raises:
            SignatureMismatch: it is not what was asked for, or another version has told what cannot be read here.
        """
        header, body = sealer.open(RESULT, frame, b=batch)
        n = header["n"]
        seconds = array("f")
        seconds.frombytes(body[n : 5 * n])
        same = "sm" in header
        found = cut(body[5 * n :], 1 if same else n)
        payloads = Repeated(found[0], n) if same else found
        states, worker, attempt = bytes(body[:n]), header["w"], header["a"]
        record = cls(batch, header["i"], states, seconds, payloads, worker, attempt)
        record.child = child_of(header)
        told_at = _moment(header.get("t"))
        if told_at is not None and len(body) >= 4 * n:
            record.told_at, record.begun = told_at, body[len(body) - 4 * n :].cast("f")
        if not _SELDOM_TOLD.isdisjoint(header):
            _add_what_is_seldom_told(record, header)
        return record


#: What only the records of some calls say.
_SELDOM_TOLD = frozenset({"o", "mm", "md"})


def _add_what_is_seldom_told(record: Record, header: Header) -> None:
    try:
        record.given = _given(header.get("o", {}))
        record.memo = from_base64(header.get("mm", ""))
        made = [number(moment) for moment in items(header.get("md", []))]
    except ValueError as error:
        raise unreadable("a result", error) from error
    record.made = made if len(made) == len(record.states) else ()


def _given(told: Mapping[str, Any]) -> dict[int, CallOutput]:
    return {int(index): CallOutput.from_wire(given) for index, given in told.items()}


def _moment(us: Any) -> float | None:
    """Return epoch seconds; what makes no sense is not known."""
    return us / 1e6 if type(us) is int and 0 < us < _END_OF_TIME * 1e6 else None
