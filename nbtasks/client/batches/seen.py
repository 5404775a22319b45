"""What is seen of single calls while they run, and of those that have failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.wire.errors import failures

if TYPE_CHECKING:
    from nbtasks.wire.codec import Record

#: Failures of one batch of which details are kept.
_MOST_FAILURES = 1000


@dataclass(frozen=True)
class Running:
    """A call that runs. ``started_at`` is local epoch time."""

    worker: str
    started_at: float
    attempt: int
    child: int | None = None


@dataclass(frozen=True)
class Failure:
    """A call that has failed, for cards and tables."""

    index: int
    type: str
    message: str
    traceback: str
    attempts: int
    worker: str


class Failures(dict[int, Failure]):
    """The failures of one batch, by call, as far as details of them are kept."""

    def note(self, record: Record, index: int) -> None:
        """A call has failed."""
        if len(self) < _MOST_FAILURES:
            failure = failures.unpack(record.payloads[index - record.first])
            self[index] = Failure(
                index, failure.type_name, failure.message, failure.text, record.attempt, record.worker
            )


@dataclass(frozen=True)
class Progress:
    """How far a call is, as the task reported it."""

    done: float
    total: float | None
    message: str
