"""What a process notes in the stream of events beside what it tells of calls that it does not run itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator

from nbtasks.core.events import CallEvent
from nbtasks.core.happenings import Happenings, Row, Whose, ends_row, error_rows, told_row, worker_row
from nbtasks.core.ids import new_id
from nbtasks.core.states import SUCCESS_CODE

from .codec import Codec
from .errors import failures
from .record import Record


class Noting:
    """Signs notes of one process.

    Args:
        who: what readers call it: the worker's name, or the client's machine.
        server_now: the server's time in epoch seconds.
    """

    def __init__(self, codec: Codec, who: str, server_now: Callable[[], float]) -> None:
        self._server_now = server_now
        self._codec = codec
        self._who = who
        self._id = new_id()
        self._numbers = itertools.count(1)

    def end(self, record: Record, kid: str = "", whose: Whose | None = None) -> bytes:
        """Return the note that calls have ended as a record says, without having run here.

        Args:
            kid: id of the key to sign with, as in :meth:`Sealer.seal`.
            whose: the calls are; None where readers find that by the batch.
        """
        return self._sealed([_row_of(record, whose or Whose(record.batch))], kid)

    def told(self, events: Iterable[CallEvent], whose: Whose, attempt: int, kid: str = "") -> bytes:
        """Return the note of what has become of calls."""
        return self._sealed([told_row(whose.head(), event, attempt) for event in events], kid)

    def of_worker(self, type_: str, facts: dict[str, object], kid: str = "", name: str = "") -> bytes:
        """Return the note that a worker has come or gone.

        Args:
            name: of the worker, where it is another one than this.
        """
        return self._sealed([worker_row(type_, facts)], kid, name)

    def _sealed(self, rows: list[Row], kid: str, name: str = "") -> bytes:
        told = Happenings(name or self._who, self._id, next(self._numbers), self._server_now(), rows)
        return self._codec.seal_happenings(told, kid)


def _row_of(record: Record, whose: Whose) -> Row:
    n = len(record.states)
    nothing = [math.nan] * min(n, len(record.seconds))
    return ends_row(
        whose.head(),
        record.first,
        record.states,
        record.attempt,
        None,
        0.0,
        nothing,
        record.seconds,
        error_rows(_texts(record)),
    )


def _texts(record: Record) -> Iterator[tuple[int, str]]:
    last, said = None, ""
    for place, state in enumerate(record.states):
        payload = record.payloads[place] if state != SUCCESS_CODE else b""
        if payload:
            if payload is not last:
                last, said = payload, failures.in_short(payload)
            yield place, said
