"""The newest calls of a namespace, as the stream of events tells of them. Pure, and bounded."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbtasks.client.whence import name_of
from nbtasks.core import happenings as words
from nbtasks.core import states as st
from nbtasks.core.errors import NotNeeded

from .bounded import ERROR, seconds, short
from .tallies import Tallies

if TYPE_CHECKING:
    from nbtasks.client.happened.event import Event

#: Calls that are kept; events of each.
MOST_CALLS = 10_000
_MOST_EVENTS = 20
#: Of those that are looked at first when one has to go, so many may still run.
_MOST_PASSED_OVER = 100


# One for each call.
@dataclass(slots=True)
class KeptCall:
    """What is known of one call. Times are epoch seconds."""

    id: str
    batch: str = ""
    index: int = 0
    task: str = ""
    state: str = st.PENDING
    worker: str = ""
    child: int | None = None
    queue: str = ""
    client: str = ""
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    runtime_s: float | None = None
    retries: int = 0
    error: str | None = None
    not_needed: bool = False
    events: list[tuple[float, str, str]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Return what pages show of it as JSON types."""
        return {
            "task": self.task,
            "state": self.state,
            "worker": self.worker or None,
            "child": self.child,
            "queue": self.queue or None,
            "client": self.client or None,
            "queued_at": self.queued_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "runtime_s": self.runtime_s,
            "retries": self.retries,
            "error": None if self.not_needed else self.error,
            "note": "not needed" if self.not_needed else None,
        }


#: Kind of event -> the state that a call has from then on, and what is counted.
_KINDS = {
    "task-sent": (st.PENDING, "sent"),
    "task-received": (st.RECEIVED, ""),
    "task-started": (st.STARTED, "started"),
    "task-succeeded": (st.SUCCESS, "succeeded"),
    "task-failed": (st.FAILURE, "failed"),
    "task-rejected": (st.FAILURE, "failed"),
    "task-revoked": (st.REVOKED, "revoked"),
    "task-retried": (st.RETRY, "retried"),
    "task-redelivered": (st.RECEIVED, ""),
}


#: How the error of a call begins that was to run only after a failure, where there was none: nobody has revoked it.
_NOT_NEEDED = f"{NotNeeded.__name__}: "
#: Workers that are known to be gone.
_MOST_GONE = 100
_COMINGS = frozenset({words.ONLINE, words.OFFLINE})
_NO_NEWS = frozenset({st.PENDING, st.RECEIVED})


class _Told:
    """What one event says of each of its calls, read once."""

    __slots__ = (
        "at", "batch", "began_at", "child", "client", "each_s", "error", "first", "host", "kind", "mark", "not_needed",
        "queue", "state", "task", "worker",
    )  # fmt: skip

    def __init__(self, event: Event, at: float, state: str, n: int) -> None:
        runtime, self.began_at = seconds(event.runtime), seconds(event.started)
        self.kind, self.at, self.state, self.first = event.type, at, state, event.index
        self.each_s = None if runtime is None else runtime / n
        self.task, self.queue, self.batch = map(short, (event.name, event.queue, event.batch))
        self.error = short(event.exception, ERROR)
        self.not_needed = state == st.REVOKED and self.error.startswith(_NOT_NEEDED)
        self.host = short(event.hostname)
        is_sent = event.type == "task-sent"
        self.worker = "" if is_sent else self.host
        self.child = event.child if type(event.child) is int else None
        self.client = ""
        if is_sent:
            self.client = name_of(short(event.place)) if event.place else short(event.hostname)
        if state == st.STARTED:
            self.began_at = at
        elif self.began_at is None and self.each_s is not None:
            # What is short tells of its start only with its end.
            self.began_at = at - self.each_s
        self.mark = at, event.type, self.worker


class CallBook:
    """Takes events in, in whatever order those of different processes come, and keeps the newest calls."""

    def __init__(self, most: int = MOST_CALLS) -> None:
        self.calls: OrderedDict[str, KeptCall] = OrderedDict()
        self.tallies = Tallies()
        #: Workers that have ended, or were found dead: when, and why; the newest last.
        self.gone: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._most = most

    def take_in(self, events: Iterable[Event]) -> int:
        """Take events in; returns how many of them were about calls."""
        count = 0
        for event in events:
            known = _KINDS.get(event.type)
            if known is not None:
                self._note(event, *known)
                count += 1
            elif event.type in _COMINGS:
                self._note_worker(event)
        return count

    def _note(self, event: Event, state: str, counted: str) -> None:
        at, id = seconds(event.timestamp), short(event.uuid)
        if not id or at is None:
            return
        n = event.count
        told = _Told(event, at, state, n)
        if n == 1:
            self._note_call(id, told, 0)
        else:
            # Only the newest of so many would be kept.
            for place in range(max(0, n - self._most), n):
                self._note_call(f"{told.batch}:{told.first + place}", told, place)
        if counted and not told.not_needed:
            whose = told.host, told.queue
            self.tallies.note(counted, told.task, at, told.each_s, told.error, id, n, whose)

    def _note_worker(self, event: Event) -> None:
        name, at = short(event.hostname), seconds(event.timestamp)
        if not name or at is None:
            return
        self.gone.pop(name, None)
        if event.type == words.OFFLINE:
            self.gone[name] = at, short(event.reason)
            if len(self.gone) > _MOST_GONE:
                self.gone.popitem(last=False)

    def _note_call(self, id: str, told: _Told, place: int) -> None:
        """Note what has become of one call.

        Args:
            place: among those that the event is about.
        """
        call = self.calls.get(id)
        if call is None:
            call = self.calls[id] = KeptCall(id, told.batch, told.first + place, told.task)
            call.queue = told.queue
            if len(self.calls) > self._most:
                self._drop_one()
        if told.worker:
            call.worker, call.child = told.worker, told.child
        else:
            call.client = told.client
        if len(call.events) < _MOST_EVENTS:
            call.events.append(told.mark)
        if call.ended_at is None:
            _advance(call, told, place)
        elif told.kind == "task-sent":
            call.queued_at = told.at

    def _drop_one(self) -> None:
        """Drop the oldest one that does not run, if it is one of the first."""
        for _ in range(_MOST_PASSED_OVER):
            oldest = next(iter(self.calls.values()))
            if oldest.state != st.STARTED:
                break
            self.calls.move_to_end(oldest.id)
        self.calls.popitem(last=False)

    # -- looked at

    def selected(
        self, state: str = "", task: str = "", worker: str = "", text: str = "",
        since: float | None = None, until: float | None = None,
    ) -> list[KeptCall]:  # fmt: skip
        """Return the kept calls that fit, the newest first."""
        wanted = text.casefold()
        found = []
        for call in reversed(self.calls.values()):
            if (
                (state and call.state != state)
                or (task and call.task != task)
                or (worker and call.worker != worker)
            ):
                continue
            if not _is_within(call, since, until):
                continue
            if wanted and not any(wanted in part.casefold() for part in _texts(call)):
                continue
            found.append(call)
        return found

    @property
    def seen(self) -> int:
        """How many calls there were, the kept ones among them."""
        counts = self.tallies.totals()
        ended = counts["succeeded"] + counts["failed"] + counts["revoked"]
        return max(counts["sent"], ended, len(self.calls))

    def running_by_task(self) -> Counter[str]:
        """Return how many of the kept calls run, by task."""
        return Counter(call.task for call in self.calls.values() if call.state == st.STARTED)


def _advance(call: KeptCall, told: _Told, place: int) -> None:
    state = told.state
    if state in _NO_NEWS:
        if told.kind == "task-sent":
            call.queued_at = told.at
        elif told.kind == "task-redelivered":
            call.state, call.started_at = st.PENDING, None
        return
    each_s = told.each_s
    if told.began_at is not None:
        call.started_at = told.began_at + (each_s or 0.0) * place
    call.state = state
    if state == st.STARTED:
        call.runtime_s = None
        return
    call.runtime_s = each_s
    call.error = told.error or call.error
    call.not_needed = told.not_needed
    if state == st.RETRY:
        call.retries += 1
    else:
        call.ended_at = told.at


def _is_within(call: KeptCall, since: float | None, until: float | None) -> bool:
    if since is None and until is None:
        return True
    first = next((one for one in (call.queued_at, call.started_at, call.ended_at) if one is not None), 0.0)
    last = call.ended_at if call.ended_at is not None else time.time()
    return (since is None or last >= since) and (until is None or first <= until)


def _texts(call: KeptCall) -> tuple[str, ...]:
    return call.id, call.task, call.error or "", call.worker, call.client
