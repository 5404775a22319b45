"""What can be said after some events: counts of each task, the last calls, the workers that are there."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from nbtasks.core import happenings as words

from .event import Event

#: Type of an event -> the state of its call then, in Celery's words.
_STATES = {
    words.SENT: "PENDING",
    words.RECEIVED: "RECEIVED",
    words.STARTED: "STARTED",
    words.SUCCEEDED: "SUCCESS",
    words.FAILED: "FAILURE",
    words.REVOKED: "REVOKED",
    words.RETRIED: "RETRY",
    words.REJECTED: "REJECTED",
    words.REDELIVERED: "PENDING",
}
#: Workers that are remembered, those that were heard of last; tasks that are told apart, and what all others are.
_MOST_WORKERS, _MOST_TASKS = 10_000, 10_000
OTHERS = "(other tasks)"


class EventState:
    """What is known after some events, as Celery's State: feed it with :meth:`event`.

    Args:
        most_calls: so many calls are remembered, those that something has happened to last.

    Attributes:
        event_count: how many events it has seen.
        totals: name of a task -> type of event -> how many calls: ``totals["pack.add"]["task-failed"]``.
        calls: id -> what the events of a call have said, and its ``state`` now.
        workers: name -> the fields of its last event; workers that have gone are left out.
        missed: how many entries of the stream were trimmed before they were read: then the counts are too small.
    """

    def __init__(self, most_calls: int = 10_000) -> None:
        self._most_calls = most_calls
        self.event_count = 0
        self.totals: dict[str, Counter[str]] = {}
        self.calls: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.workers: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self.missed = 0

    def event(self, event: Event) -> None:
        """Take an event in; one of many calls in a row counts for all of them, and the first is remembered."""
        self.event_count += event.count
        if event.type == words.MISSED:
            self.missed += event.missed or 0
        elif event.batch is not None:
            self._of_call(event)
        elif event.type == words.OFFLINE:
            self.workers.pop(event.hostname, None)
        else:
            self.workers.setdefault(event.hostname, {}).update(event.to_dict())
            # Some go without a word, and nobody signs who is there.
            self.workers.move_to_end(event.hostname)
            if len(self.workers) > _MOST_WORKERS:
                self.workers.popitem(last=False)

    def _of_call(self, event: Event) -> None:
        name = event.name or "?"
        if name not in self.totals and len(self.totals) >= _MOST_TASKS:
            name = OTHERS
        self.totals.setdefault(name, Counter())[event.type] += event.count
        uuid = event.uuid or ""
        known = self.calls.pop(uuid, {})
        known.update(event.to_dict())
        if event.type in _STATES:
            known["state"] = _STATES[event.type]
        self.calls[uuid] = known
        if len(self.calls) > self._most_calls:
            self.calls.popitem(last=False)

    def __repr__(self) -> str:
        return f"<State: {self.event_count:,} events, {len(self.totals)} tasks, {len(self.workers)} workers>"
