"""What task code may ask about its own call: ``current_call()``, ``progress()``, ``track()``.

Outside a worker these are no-ops, so that a task stays an ordinary function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
#: Told how far a call is: the call, done, total, message.
Report = Callable[["CurrentCall", float, "float | None", str], None]


@dataclass
class CurrentCall:
    """The call that runs here, as ``self.request`` in a bound task.

    Attributes:
        id: the call's id.
        batch: id of its batch.
        index: its position in the batch.
        name: the task's name.
        attempt: 1 for the first try.
        worker: name of the worker.
        queue: the queue it came from.
    """

    id: str
    batch: str = ""
    index: int = 0
    name: str = ""
    attempt: int = 1
    worker: str = "here"
    queue: str = ""
    is_eager: bool = False
    #: Seconds this attempt may run, None for no limit.
    time_limit: float | None = None
    #: Seconds after which SoftTimeLimitExceeded is raised in it.
    soft_time_limit: float | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    report: Report | None = field(default=None, repr=False)
    #: What the call has printed so far; made by the worker's capture when something is printed.
    output: Any = field(default=None, repr=False)

    @property
    def retries(self) -> int:
        """Retries so far: 0 in the first attempt."""
        return self.attempt - 1

    @property
    def hostname(self) -> str:
        """The worker's name, as Celery calls it."""
        return self.worker


_current: ContextVar[CurrentCall | None] = ContextVar("nbtasks_call", default=None)


@dataclass(frozen=True)
class Serving:
    """What a worker's child serves, for tasks that call tasks: its connection, its slot and its worker's id."""

    connection: Any
    slot: Any
    worker: str


#: Empty outside a worker's child.
serving: list[Serving] = []
#: Called when a task has ended and before its outcome is told: what it has submitted must not be lost with its process.
before_telling: list[Callable[[], None]] = []


def current_call() -> CurrentCall | None:
    """Return the call that runs in this thread or coroutine, or None outside a worker."""
    return _current.get()


set_current = _current.set
reset_current = _current.reset


def progress(done: float, total: float | None = None, message: str = "") -> None:
    """Report how far the running call is, for its card. A no-op outside a worker.

    Args:
        done: work done so far, in any unit.
        total: the whole, in the same unit, if known.
        message: one short line.
    """
    call = _current.get()
    if call is not None and call.report is not None:
        call.report(call, float(done), None if total is None else float(total), str(message)[:200])


def track(items: Iterable[T], total: int | None = None, message: str = "") -> Iterator[T]:
    """Yield from ``items`` and report progress after each."""
    if total is None:
        total = len(items) if isinstance(items, Sized) else None
    progress(0, total, message)
    for done, item in enumerate(items, 1):
        yield item
        progress(done, total, message)
