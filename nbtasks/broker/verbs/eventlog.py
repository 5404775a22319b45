"""The stream of events of a namespace: what every process notes there, read in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

#: Where the server is another one, its clock may be behind that of the one before (ms).
_LATELY_MS = 60_000


def begun_anew(began_ms: int, now_ms: int) -> int:
    """Return since when (ms) it is read where a broker was put back: since the reader began, or lately by its clock."""
    return max(0, min(began_ms, now_ms - _LATELY_MS))


@dataclass(frozen=True)
class EventEntry:
    """An entry as it lies there; anybody may have written it.

    Attributes:
        at: when, in epoch seconds of the server.
        parts: name and value of each thing in it: ``h`` a note, with ``w``, where it is about results that are new only
            in part, their ranges as ``first+count`` with blanks between them; else a batch's id and its label.
    """

    at: float
    parts: tuple[tuple[bytes, bytes], ...]


class EventLog(Protocol):
    """Reads the stream from some place on, and notices where entries were trimmed before they were read.

    What is in it: notes of reports (:meth:`Finish.happened`), and the label of each batch that is submitted, before any
    of its calls is noted. It holds 50,000 entries, or fewer where they are large.

    Attributes:
        behind: whether there is more to read, as far as the last read has shown.
        missed: how many entries were trimmed before they were read; what is known of that.
    """

    behind: bool
    missed: int

    def begin_now(self) -> None:
        """Read what comes from now on."""

    def begin_at(self, moment: float) -> None:
        """Read what was noted since a moment of the server's time, in epoch seconds; 0: all that there is."""

    def read(self, block_s: float) -> list[EventEntry]:
        """Return the next entries, a hundred at most; none where none came in time.

        Where the broker was emptied or put back to an older state, it is read anew what has come since this began; who
        has noted an entry, and as which one, says whether it was read before.

        Raises:
            BrokerUnavailable: nothing is lost; read again.
        """

    def label(self, batch: str) -> bytes | None:
        """Return the label of a batch, as it lies there; None where there is none."""
