"""What is noted of calls and workers in the stream of events. Its words, and the short keys of it, stand here only.

A process notes what has happened in rows, which say it of calls in a row where it is the same for them, and puts them
into one message: a map of many calls is a few rows. Whoever reads them makes the events of them that users see. What a
call tells while it runs is as in events.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import events
from .events import CallEvent
from .states import FAILURE_CODE, FIRST_READY_CODE, REVOKED_CODE, SUCCESS_CODE
from .wirefields import flag, items, named, text, whole
from .wirejson import to_json

SENT, RECEIVED, STARTED = "task-sent", "task-received", "task-started"
SUCCEEDED, FAILED, REJECTED = "task-succeeded", "task-failed", "task-rejected"
REVOKED, RETRIED = "task-revoked", "task-retried"
#: These two Celery does not have: whoever had a call in hand is gone, and it is run again; it says how far it is.
REDELIVERED, PROGRESS = "task-redelivered", "task-progress"
ONLINE, HEARTBEAT, OFFLINE = "worker-online", "worker-heartbeat", "worker-offline"
#: What stands where entries were trimmed before they were read.
MISSED = "stream-missed"
#: Every type of event.
TYPES = (
    SENT, RECEIVED, STARTED, SUCCEEDED, FAILED, REJECTED, REVOKED, RETRIED, REDELIVERED, PROGRESS,
    ONLINE, HEARTBEAT, OFFLINE, MISSED,
)  # fmt: skip
#: State code -> what a call is said to have done that has ended with it.
OF_STATE = {SUCCESS_CODE: SUCCEEDED, FAILURE_CODE: FAILED, REVOKED_CODE: REVOKED}

#: Characters of the text of an error.
MOST_ERROR = 300
#: Different texts in one row, and characters of a name.
_MOST_ERRORS = 20
_MOST_NAME = 1_000
#: Rows of a message, and calls of which one row says when each has begun.
MOST_ROWS = 1_000
_MOST_EACH = 10_000
_MOST_CALLS = 2**31 - 1
#: And calls of one row.
_MOST_IN_ROW = 10_000_000
#: Calls of which it is said one by one when they have begun, whatever it costs; and us that others take at least, on
#: average, of which that is said.
_FEW = 16
_LONG_US = 1_000

Row = list[Any]


@dataclass
class Whose:
    """What rows say of calls besides what has happened to them.

    Attributes:
        single: the batch is this one call.
        own_id: the call's id, where its caller has given it one.
    """

    batch: str
    name: str = ""
    queue: str = ""
    single: bool = False
    own_id: str = ""

    def head(self) -> Row:
        """Return it as the beginning of a row."""
        return [self.batch, self.name, self.queue, int(self.single), self.own_id]


@dataclass
class CallsEnded:
    """Calls in a row have ended.

    Attributes:
        states: one state code a call.
        attempt: the number of the try.
        taken_at: when their entry was taken; None where nobody has taken it.
        begun: when each has begun, None where it never has; one moment where only that of the first is known.
        seconds: how long each has run; one number where only the sum is known.
        errors: (place of the first call, how many calls, text) of those that have failed, or were revoked.
    """

    whose: Whose
    first: int
    states: bytes
    attempt: int = 1
    taken_at: float | None = None
    begun: Sequence[float | None] = ()
    seconds: Sequence[float] = ()
    errors: Sequence[tuple[int, int, str]] = ()


@dataclass
class CallTold:
    """A call tells something while it runs, or is not run here any more.

    Attributes:
        at: when.
        attempt: the number of the try.
        taken_at: when its entry was taken; None where that is not said.
    """

    whose: Whose
    event: CallEvent
    at: float
    attempt: int = 1
    taken_at: float | None = None


@dataclass
class WorkerNote:
    """A worker has come, or gone.

    Attributes:
        type: of the event.
        facts: what else is said of it, JSON types.
    """

    type: str
    facts: dict[str, Any] = field(default_factory=dict)


Happening = CallsEnded | CallTold | WorkerNote


@dataclass
class Happenings:
    """What one process notes at once.

    Attributes:
        worker: its name, for people; the client's machine where it is no worker.
        reporter: the process.
        number: counts what that process notes, so that a repetition is noticed.
        at: when, in the server's time.
        rows: as they are sent, or were read.
        child: its number in the worker, None where it is no child.
        clock: what rows call now, in us.
        lost: how many rows were left out before these, for there were too many.
    """

    worker: str
    reporter: str
    number: int
    at: float
    rows: list[Row]
    child: int | None = None
    clock: int = 0
    lost: int = 0

    def header(self) -> dict[str, Any]:
        """Return all of it but the rows, as JSON types."""
        header = {
            "w": self.worker,
            "r": self.reporter,
            "s": self.number,
            "t": int(self.at * 1e6),
            "m": self.clock,
        }
        if self.child is not None:
            header["c"] = self.child
        if self.lost:
            header["l"] = self.lost
        return header

    def body(self) -> bytes:
        """Return the rows as they are sent."""
        return to_json(self.rows).encode()

    @classmethod
    def read(cls, header: dict[str, Any], body: bytes) -> Happenings:
        """Read it.

        Raises:
            ValueError, OverflowError, RecursionError: it makes no sense.
        """
        rows = [items(row) for row in items(json.loads(body))]
        if len(rows) > MOST_ROWS:
            raise ValueError(f"{len(rows):,} rows are too many")
        child = header.get("c")
        return cls(
            _name(header.get("w")),
            _name(header.get("r")),
            whole(header.get("s")),
            whole(header.get("t")) / 1e6,
            rows,
            None if child is None else whole(child),
            whole(header.get("m")),
            whole(header.get("l", 0)),
        )

    def happenings(self) -> list[Happening]:
        """Return what the rows say; those are left out that only a newer sender knows.

        Raises:
            ValueError, OverflowError: one makes no sense.
        """
        known = [row for row in self.rows if row and type(row[0]) is str and row[0] in _READ]
        found = [_READ[row[0]](row, self) for row in known]
        return [one for one in found if one is not None]

    def moment(self, us: Any) -> float | None:
        """Return the server's time of a moment in a row; None for what it was not known of."""
        if type(us) is not int:
            raise ValueError(f"{us!r:.40} is no moment")
        return None if us < 0 else self.at + (us - self.clock) / 1e6


# -- writing: rows are made for calls while these run, so they are lists from the start


def ends_row(
    head: Row,
    first: int,
    states: bytes,
    attempt: int,
    taken: float | None,
    now: float,
    begun: Sequence[float],
    seconds: Sequence[float],
    errors: list[Row],
) -> Row:
    """Return the row of calls that have ended; moments in it are in us of the process's own clock, -1 for none.

    Of many short calls it says when the first has begun, and how long all have taken together.

    Args:
        taken: when their entry was taken, in seconds of that clock.
        now: a moment of it.
        begun: when each has begun, as seconds from that moment; nan where it never has.
        seconds: how long each has run.
        errors: as :func:`error_rows` returns them.
    """
    n, total = len(states), sum(seconds)
    said: int | str = states[0] if states.count(states[0]) == n else states.hex()
    if n > _FEW and (total * 1e6 < _LONG_US * n or n > _MOST_EACH):
        begun, seconds = begun[:1], (total,)
    # Of what has not begun it is nan, which equals nothing.
    moments = [int((one + now) * 1e6) if one == one else -1 for one in begun]  # noqa: PLR0124
    times = [int(one * 1e6) for one in seconds]
    return ["e", *head, first, n, said, attempt, _us(taken), moments, times, errors]


def error_rows(texts: Iterable[tuple[int, str]]) -> list[Row]:
    """Return the texts of errors, (place of the call, text) in order, as rows say them: equal ones in a row once."""
    rows: list[Row] = []
    for place, said in texts:
        if rows and rows[-1][2] == said and rows[-1][0] + rows[-1][1] == place:
            rows[-1][1] += 1
        elif len(rows) < _MOST_ERRORS:
            rows.append([place, 1, said])
    return rows


def told_row(
    head: Row, event: CallEvent, attempt: int, now: float | None = None, taken: float | None = None
) -> Row:
    """Return the row of something that a call tells while it runs, or that is told of it.

    Args:
        now: by the process's own clock, in seconds; None: when the note is made.
        taken: when its entry was taken.
    """
    return ["c", *head, attempt, _us(taken), _us(now), events.to_wire(event)]


def worker_row(type_: str, facts: dict[str, Any]) -> Row:
    """Return the row of a worker that has come or gone."""
    return ["w", type_, facts]


def _us(moment: float | None) -> int:
    return -1 if moment is None else int(moment * 1e6)


# -- reading


def _ends(row: Row, told: Happenings) -> CallsEnded:
    if len(row) < 14:
        raise ValueError(f"a row lacks something: {row!r:.80}")
    first, n, said, attempt = whole(row[6]), whole(row[7]), row[8], whole(row[9])
    states = bytes([whole(said)]) * _calls(first, n) if type(said) is int else bytes.fromhex(text(said))
    if len(states) != n or not n or min(states) < FIRST_READY_CODE or max(states) > REVOKED_CODE:
        raise ValueError(f"{said!r:.40} are no ends of {n:,} calls")
    begun, seconds = items(row[11]), [whole(us) / 1e6 for us in items(row[12])]
    if not len(begun) == len(seconds) in (1, n):
        raise ValueError("not as many beginnings as calls")
    errors = [(whole(place), whole(count), _error(said)) for place, count, said in _triples(row[13])]
    return CallsEnded(
        _whose(row),
        first,
        states,
        attempt,
        told.moment(row[10]),
        [told.moment(us) for us in begun],
        seconds,
        errors,
    )


def _told(row: Row, told: Happenings) -> CallTold | None:
    if len(row) < 10:
        raise ValueError(f"a row lacks something: {row!r:.80}")
    event, at = events.from_wire(row[9]), told.moment(row[8])
    if event is None:
        return None
    if isinstance(event, events.GivenBack | events.Refusal):
        _calls(event.index, event.count)
    return CallTold(_whose(row), event, told.at if at is None else at, whole(row[6]), told.moment(row[7]))


def _of_worker(row: Row, _: Happenings) -> WorkerNote | None:
    if len(row) < 3:
        raise ValueError(f"a row lacks something: {row!r:.80}")
    type_ = text(row[1])
    return WorkerNote(type_, named(row[2])) if type_ in (ONLINE, OFFLINE, HEARTBEAT) else None


_READ: dict[Any, Any] = {"e": _ends, "c": _told, "w": _of_worker}


def _whose(row: Row) -> Whose:
    return Whose(_name(row[1]), _name(row[2]), _name(row[3]), flag(row[4]), _name(row[5]))


def _name(value: Any) -> str:
    found = text(value)
    if len(found) > _MOST_NAME:
        raise ValueError(f"a name of {len(found):,} characters is too long")
    return found


def _error(value: Any) -> str:
    return text(value)[:MOST_ERROR]


def _calls(first: int, n: int) -> int:
    if n > _MOST_IN_ROW or first + n > _MOST_CALLS:
        raise ValueError(f"{n:,} calls are too many")
    return n


def _triples(value: Any) -> list[list[Any]]:
    found = [items(item) for item in items(value)]
    if len(found) > _MOST_ERRORS or any(len(item) != 3 for item in found):
        raise ValueError("errors make no sense")
    return found
