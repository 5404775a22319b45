"""What task code may ask about its own call: ``current_call()``, ``progress()``, ``track()``.

Outside a worker these are no-ops, so that a task stays an ordinary function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

from .errors import SoftTimeLimitExceeded
from .interruption import Interrupted
from .readable import repr_of, text_of

T = TypeVar("T")
#: Characters of a progress report's line.
_MOST_MESSAGE = 200
#: Fields of one that are shown as text.
_MOST_FIELDS = 8
#: A state of the task's own, and what it has given with it.
OwnState = tuple[str, Any]
#: Told how far a call is: the call, done, total, message; and the state that the task has named, if it has.
Report = Callable[["CurrentCall", float, "float | None", str, "OwnState | None"], None]
#: Characters of the name of a state.
_MOST_STATE = 40


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
    #: What it was called with; empty again when it has ended.
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    #: Seconds this attempt may run, None for no limit.
    time_limit: float | None = None
    #: Seconds after which SoftTimeLimitExceeded is raised in it.
    soft_time_limit: float | None = None
    report: Report | None = field(default=None, repr=False)
    #: What it has travelled in, with what is said of it there.
    sent: Any = field(default=None, repr=False)
    #: What the call has printed so far; made by the worker when something is printed.
    output: Any = field(default=None, repr=False)
    #: What it has started; made by the worker when it starts something.
    started: Any = field(default=None, repr=False)
    #: Open figures of pyplot's; made by the worker when there are any.
    figures: Any = field(default=None, repr=False)
    #: What was called, as this attempt has it.
    function: Any = field(default=None, repr=False)
    #: What it runs in, for those who are told of its end; None where nobody is, or where it is the thread's own.
    context: Context | None = field(default=None, repr=False)
    #: Its outcome is settled: what is printed now is no output of it.
    is_over: bool = False
    #: The state that the task has named last.
    own_state: OwnState | None = field(default=None, repr=False)
    #: The retry that the task has asked for with ``throw=False``.
    again: Any = field(default=None, repr=False)
    #: The handles of what it has submitted, the first thousand.
    children: list[Any] = field(default_factory=list, repr=False)
    #: The locks that it holds, a Hold; made by the worker where it holds some.
    hold: Any = field(default=None, repr=False)

    @property
    def retries(self) -> int:
        """Retries so far: 0 in the first attempt."""
        return self.attempt - 1

    @property
    def lock_token(self) -> int | None:
        """A number that grows with each call that gets a lock; None where it holds none.

        A resource that refuses smaller numbers than it has seen is safe from a call that has lost its lock.
        """
        return None if self.hold is None else self.hold.token

    @property
    def root_id(self) -> str:
        """The id of the call with which its workflow begins; its own where it is in none."""
        return self.id if self.sent is None else self.sent.header.root_of(self.index) or self.id

    @property
    def parent_id(self) -> str | None:
        """The id of the call that it has waited for, of several the first; None where it has waited for none."""
        found: str | None = None if self.sent is None else self.sent.header.parent_of(self.index)
        return found

    @property
    def headers(self) -> dict[str, Any]:
        """What the caller has given with ``apply_async(headers=...)``."""
        return {} if self.sent is None else dict(self.sent.header.user_headers)

    @property
    def shadow(self) -> str | None:
        """The name that cards and logs show instead of the task's."""
        return None if self.sent is None else self.sent.header.shadow or None

    @property
    def eta(self) -> str | None:
        """From when on it might start, in UTC as ISO text; None: at once."""
        return None if self.sent is None else _iso(self.sent.header.eta_at)

    @property
    def expires(self) -> str | None:
        """From when on it would not have started any more, in UTC as ISO text; None: never."""
        return None if self.sent is None else _iso(getattr(self.sent, "not_after", None))

    @property
    def periodic_task_name(self) -> str | None:
        """The periodic task that it is a run of, as Celery calls it; None where it is of none."""
        return None if self.sent is None else self.sent.header.periodic_name or None

    @property
    def scheduled_for(self) -> datetime | None:
        """When that run was due, in UTC; None where nothing was."""
        moment = None if self.sent is None else self.sent.header.scheduled_for
        return None if moment is None else datetime.fromtimestamp(moment, timezone.utc)

    @property
    def ignore_result(self) -> bool:
        """Whether its value is not kept."""
        return self.sent is not None and bool(self.sent.header.overrides.get("ignore_result"))

    @property
    def correlation_id(self) -> str:
        """The call's id, as Celery calls it."""
        return self.id

    @property
    def group(self) -> str | None:
        """The id of the map that it is a call of; None for a single call."""
        if self.sent is not None and self.sent.header.together:
            return None
        return self.batch if self.id != self.batch and ":" in self.id else None

    @property
    def group_index(self) -> int | None:
        """Its place in that map."""
        return None if self.group is None else self.index

    def get(self, name: str, default: Any = None) -> Any:
        """Return what it knows under a name, or a header, or the default; as Celery's request does."""
        found = getattr(self, name, None)
        return found if found is not None else self.headers.get(name, default)

    @property
    def hostname(self) -> str:
        """The worker's name, as Celery calls it."""
        return self.worker

    @property
    def task(self) -> str:
        """The task's name, as Celery calls it."""
        return self.name

    @property
    def called_directly(self) -> bool:
        """Whether the function was called here like any other, and not as a call of its task."""
        return not self.id

    @property
    def timelimit(self) -> tuple[float | None, float | None]:
        """Hard and soft time limit in seconds, as Celery has them."""
        return self.time_limit, self.soft_time_limit

    @property
    def delivery_info(self) -> dict[str, Any]:
        """The queue that the call came from, as Celery has it."""
        return {"exchange": "", "routing_key": self.queue}


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, timezone.utc).isoformat()


_current: ContextVar[CurrentCall | None] = ContextVar("nbtasks_call", default=None)
#: The call that this thread works for, while it runs none itself.
_served: ContextVar[CurrentCall | None] = ContextVar("nbtasks_served_call", default=None)


def call_in(context: Context) -> CurrentCall | None:
    """Return the call that a context belongs to."""
    return context.get(_current)


@dataclass(frozen=True)
class Serving:
    """What a worker's child serves, for tasks that call tasks: its connection, its slot and its worker's id."""

    connection: Any
    slot: Any
    worker: str
    #: Modules that the worker has of its own.
    include: tuple[str, ...] = ()
    #: As which the child takes calls, and locks.
    consumer: str = ""
    #: Told what code in a call holds of locks: ``taken(hold, call)``, ``given_back(hold)``.
    holds: Any = None


#: Empty outside a worker's child.
serving: list[Serving] = []
#: Names of the local modules that are being run in this worker, the outermost first.
being_run: list[str] = []
#: Called when a task has ended and before its outcome is told: what it has submitted must not be lost with its process.
before_telling: list[Callable[[], None]] = []
#: Makes a task of a function and options, for tasks that submit calls of their own; set by the package, for that loads
#: what submits them.
make_task: list[Callable[[Any, Any], Any]] = []
#: Loads what makes Apps and rebuilds tasks; set by the package. In a worker nobody may have asked for an App yet.
load_client: list[Callable[[], object]] = []
#: Returns the ids of what a call has submitted; set by the client.
ids_of_children: list[Callable[[CurrentCall], list[str]]] = []
#: Shows what ``progress()`` was given outside a task, if it is handles; set by the client.
show_handles: list[Callable[[Any], Any]] = []


def current_call() -> CurrentCall | None:
    """Return the call that this code belongs to: it runs here, or it has started this thread. None outside a worker."""
    call = _current.get()
    return call if call is not None else _served.get()


def runs_call() -> bool:
    """Whether a call itself runs in this thread or coroutine."""
    return _current.get() is not None


set_current = _current.set
reset_current = _current.reset
set_served = _served.set
reset_served = _served.reset


def progress(done: Any, total: Any = None, message: Any = "") -> Any:
    """Report how far the running call is, for its card; or, given handles outside a task, show them as one list.

    In a task it reports, and is never an error of the call. Outside a task numbers do nothing, and handles of calls
    and maps (one or several, of any Apps) are shown as a ``RunList``, which is returned. In a terminal or a script the
    list is drawn until all calls have ended; Ctrl-C leaves it.

    Args:
        done: work done so far, in any unit. What is not a number is shown as text. Or a handle, or handles.
        total: the whole, in the same unit, if known.
        message: one short line.
    """
    call = current_call()
    if call is not None:
        _report(call, done, total, message)
    elif total is None and show_handles:
        return show_handles[0](done)
    return None


def _report(
    call: CurrentCall, done: Any, total: Any, message: Any, own_state: OwnState | None = None
) -> None:
    if call.report is None:
        return
    number, whole = _number(done), _number(total)
    parts = [] if number is not None or done is None else [text_of(done, _MOST_MESSAGE)]
    if whole is None and total is not None and number is None:
        parts.append(f"of {text_of(total, _MOST_MESSAGE)}")
    line = text_of(message, _MOST_MESSAGE) if message is not None else ""
    shown = ": ".join(filter(None, (" ".join(parts), line)))
    call.report(call, number or 0.0, whole or None, shown[:_MOST_MESSAGE], own_state)


def _number(value: Any) -> float | None:
    """Return what can be drawn as a length: a finite number, not below 0; else None."""
    if value is None:
        return None
    try:
        number = float(value)
    except (Interrupted, SoftTimeLimitExceeded):
        raise
    except BaseException:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def report_state(call: CurrentCall, state: Any, meta: Any) -> None:
    """Report as Celery's ``update_state`` takes it: a name, and any value, often a dict with ``current``, ``total``."""
    name = state if type(state) is str else "" if state is None else text_of(state, _MOST_STATE)
    if name:
        call.own_state = name[:_MOST_STATE], meta
    try:
        done, total, shown = _fields(meta)
    except (Interrupted, SoftTimeLimitExceeded):
        raise
    except BaseException:
        done, total, shown = None, None, "" if meta is None else repr_of(meta, _MOST_MESSAGE)
    is_told = shown or (done is not None and _number(done) is None)
    _report(call, done, total, shown if is_told else name, call.own_state if name else None)


def _fields(meta: Mapping[Any, Any]) -> tuple[Any, Any, str]:
    """Return done and total, and as text what else is in it."""
    fields = dict(meta)
    done = fields.pop("current") if "current" in fields else fields.pop("done", None)
    total, message = fields.pop("total", None), fields.pop("message", None)
    parts = [] if message is None else [text_of(message, _MOST_MESSAGE)]
    parts += [f"{text_of(name, 40)}={text_of(fields[name], 80)}" for name in list(fields)[:_MOST_FIELDS]]
    return done, total, ", ".join(parts)


def track(items: Iterable[T], total: int | None = None, message: str = "") -> Iterator[T]:
    """Yield from ``items`` and report progress after each."""
    if total is None:
        total = _length(items)
    progress(0, total, message)
    for done, item in enumerate(items, 1):
        yield item
        progress(done, total, message)


def _length(items: Iterable[Any]) -> int | None:
    try:
        return len(items) if isinstance(items, Sized) else None
    except (Interrupted, SoftTimeLimitExceeded):
        raise
    except BaseException:
        return None
