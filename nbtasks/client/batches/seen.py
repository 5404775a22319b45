"""What is seen of single calls while they run, and of those that have failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbtasks.core import states as st
from nbtasks.core.events import Progressed
from nbtasks.wire import metas
from nbtasks.wire.errors import failures

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks.wire.record import Record

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
    """How far a call is, as the task reported it.

    Attributes:
        state: the task's own name for it; empty where it has none.
        meta: what the task has given with that, pickled.
    """

    done: float
    total: float | None
    message: str
    state: str = ""
    meta: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, event: Progressed) -> Self:
        """Return what an event tells."""
        return cls(event.done, event.total, event.message, event.state, event.meta)


def name_of_state(code: int, progress: Progress | None) -> str:
    """Return the name of a call's state: its task's own where it runs and has named one."""
    own = progress is not None and code <= st.STARTED_CODE and progress.state
    return own if own and own not in st.NAMES else st.NAMES[code]


def own_meta(progress: Progress | None) -> Any:
    """Return what the task has given with its own state, while the call runs; else None."""
    return None if progress is None else metas.unpacked(progress.meta)
