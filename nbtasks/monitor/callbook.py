"""The newest calls of a namespace, as the stream of events tells of them. Pure, and bounded."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbtasks.client.whence import name_of
from nbtasks.core import states as st

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
    events: list[tuple[float, str, str]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in st.READY_STATES


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


class CallBook:
    """Takes events in, in whatever order those of different processes come, and keeps the newest calls."""

    def __init__(self, most: int = MOST_CALLS) -> None:
        self.calls: OrderedDict[str, KeptCall] = OrderedDict()
        self.tallies = Tallies()
        #: Calls of which there was an event, the kept ones among them.
        self.seen = 0
        self._most = most

    def take_in(self, events: Iterable[Event]) -> int:
        """Take events in; returns how many of them were about calls."""
        count = 0
        for event in events:
            known = _KINDS.get(event.type)
            if known is not None:
                self._note(event, *known)
                count += 1
        return count

    def _note(self, event: Event, state: str, counted: str) -> None:
        at, id = seconds(event.timestamp), short(event.uuid)
        if not id or at is None:
            return
        n = event.count if type(event.count) is int and event.count > 1 else 1
        task, runtime = short(event.name), seconds(event.runtime)
        each_s = None if runtime is None else runtime / n
        error = short(event.exception or "", ERROR)
        new = 0
        if n == 1:
            new = self._note_call(id, event, state, at, each_s, error)
        else:
            # Only the newest of so many would be kept.
            first = max(0, n - self._most)
            for place in range(first, n):
                id = f"{event.batch}:{event.index + place}"
                new += self._note_call(id, event, state, at, each_s, error, place)
            new += first if state == st.PENDING else 0
        self.seen += new
        if counted:
            self.tallies.note(counted, task, at, each_s, error, id, n)

    def _note_call(
        self,
        id: str,
        event: Event,
        state: str,
        at: float,
        runtime_s: float | None,
        error: str,
        place: int = 0,
    ) -> bool:
        """Note what has become of one call; returns whether it is a new one.

        Args:
            place: among those that the event is about.
        """
        call = self.calls.get(id)
        is_new = call is None
        if call is None:
            call = self.calls[id] = KeptCall(id)
            if len(self.calls) > self._most:
                self._drop_one()
        _describe(call, event, place)
        if len(call.events) < _MOST_EVENTS:
            call.events.append((at, event.type, call.worker))
        if not call.is_over:
            _advance(call, event, state, at, runtime_s, error, place)
        return is_new

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

    def running_by_task(self) -> Counter[str]:
        """Return how many of the kept calls run, by task."""
        return Counter(call.task for call in self.calls.values() if call.state == st.STARTED)


def _describe(call: KeptCall, event: Event, place: int) -> None:
    if not call.task:
        call.task = short(event.name or "")
    if not call.queue:
        call.queue = short(event.queue or "")
    if not call.batch:
        call.batch, call.index = short(event.batch or ""), event.index + place
    if event.type == "task-sent":
        call.client = name_of(short(event.place)) if event.place else short(event.hostname or "")
    elif event.hostname:
        call.worker = short(event.hostname)
        call.child = event.child if type(event.child) is int else None


def _advance(
    call: KeptCall, event: Event, state: str, at: float, runtime_s: float | None, error: str, place: int
) -> None:
    kind = event.type
    if kind == "task-sent":
        call.queued_at = at
    elif kind == "task-redelivered":
        call.state, call.started_at = st.PENDING, None
    elif kind != "task-received":
        began_at = seconds(event.started)
        if state == st.STARTED:
            began_at = at
        elif runtime_s is not None and began_at is None and call.started_at is None:
            # What is short tells of its start only with its end.
            began_at = at - runtime_s
        elif runtime_s is not None and began_at is not None:
            began_at += runtime_s * place
        call.started_at = began_at if began_at is not None else call.started_at
        call.runtime_s = runtime_s if state != st.STARTED else None
        call.error = error or call.error
        if state == st.RETRY:
            call.retries += 1
        elif state in st.READY_STATES:
            call.ended_at = at
        call.state = state


def _is_within(call: KeptCall, since: float | None, until: float | None) -> bool:
    if since is None and until is None:
        return True
    first = next((one for one in (call.queued_at, call.started_at, call.ended_at) if one is not None), 0.0)
    last = call.ended_at if call.ended_at is not None else time.time()
    return (since is None or last >= since) and (until is None or first <= until)


def _texts(call: KeptCall) -> tuple[str, ...]:
    return call.id, call.task, call.error or "", call.worker, call.client
