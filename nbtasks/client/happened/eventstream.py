"""``app.events()``: what happens to calls and workers, as it comes, or from an earlier moment on."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from nbtasks.core import happenings as words
from nbtasks.core.backoff import Backoff
from nbtasks.core.durations import patience, seconds
from nbtasks.core.errors import BrokerUnavailable, ConfigError
from nbtasks.core.nearest import nearest

from .event import Event
from .stateseries import StateSeries

if TYPE_CHECKING:
    from typing_extensions import Self

    from nbtasks.client.definition import Definition
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.durations import Duration

    from .eventsource import EventSource

#: Seconds between two looks at the workers that are there, and for which one read waits.
_HEARTBEAT_S = 5.0
#: What is told of one renewal of a lease varies by less; between two looks a living worker goes on by more.
_SAME_S = 1.0
_READ_S = 1.0
_BETWEEN_TRIES = Backoff(0.1, 2.0, jitter=True)
#: Seconds by which events may be older than the moment from which on they are wanted.
_SLACK_S = 1.0
#: Nobody means a moment before that: 2001, in epoch seconds.
_LEAST_EPOCH_S = 1e9
#: Events of one go.
_MOST_AT_ONCE = 1_000


class EventStream:
    """Events of a namespace, in order: ``for event in app.events(): ...``, or ``async for``.

    It goes on for ever, over lost connections too, unless it has a ``timeout`` or is closed. It keeps no more of the
    events than it has read at once; who is too slow for the bounded stream on the server is told with an event of type
    ``stream-missed``.

    Attributes:
        missed: how many entries of the stream were trimmed before they were read.
    """

    def __init__(
        self,
        source: EventSource,
        types: str | Iterable[str] | None,
        task: str | Definition | None,
        since: str | float | datetime | timedelta | None,
        timeout: Duration | None,
        expand: bool,
    ) -> None:
        self._types = _types(types)
        self._task = _pattern(task)
        self._timeout_s = patience(timeout)
        self._expand = expand
        self._source = source
        self._since = _moment(since, source)
        self._tap = source.tap(None if since is None else self._since)
        self._ready: deque[Event] = deque()
        self._reading = threading.Lock()
        self._closed = False
        self._told_missed = 0
        self._looked_at = time.monotonic() - _HEARTBEAT_S
        #: Worker -> when it has renewed its lease, as of the last look.
        self._renewed: dict[str, float] = {}

    @property
    def missed(self) -> int:
        """How many entries were trimmed, or left out by who has noted them, before they were read."""
        return self._tap.missed

    @property
    def refused(self) -> int:
        """How many entries were left out that are not signed with a key that is here, or make no sense."""
        return self._tap.refused

    @property
    def foreign(self) -> int:
        """How many entries were left out that are signed with keys that are not here."""
        return self._tap.foreign

    @property
    def is_behind(self) -> bool:
        """Whether there is more to read at once, though none of the last of it may be what is wanted."""
        return bool(self._ready) or self._tap.is_behind

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is read."""
        return self._closed

    # -- reading

    def next_batch(self, timeout_s: float = 1.0) -> list[Event]:
        """Return the events that have come, a thousand at most; none where none came in time.

        Events of many calls in a row stay together, whatever ``expand`` says: see :attr:`Event.count`.
        """
        if not self._ready:
            self._fill(timeout_s)
        return [self._ready.popleft() for _ in range(min(len(self._ready), _MOST_AT_ONCE))]

    def __iter__(self) -> Iterator[Event]:
        last = time.monotonic()
        while not self._closed:
            events = self.next_batch(self._wait_s(last))
            for event in events:
                yield from self._each(event)
            if events or self.is_behind:
                last = time.monotonic()
            elif self.is_over(last):
                return

    async def __aiter__(self) -> AsyncIterator[Event]:
        last = time.monotonic()
        while not self._closed:
            # What it reads when this is cancelled stays for the next one who asks.
            events = await asyncio.to_thread(self.next_batch, self._wait_s(last))
            for event in events:
                for one in self._each(event):
                    yield one
            if events or self.is_behind:
                last = time.monotonic()
            elif self.is_over(last):
                return

    def snapshots(self, every: Duration) -> StateSeries:
        """Return what yields what can be said by now, every so many seconds, whether something has happened or not.

        It is the same object each time, and goes on counting; this is Celery's camera. In a coroutine it is
        ``async for``.
        """
        return StateSeries(self, every)

    def _each(self, event: Event) -> Iterable[Event]:
        return event.each() if self._expand else (event,)

    def _wait_s(self, last: float) -> float:
        if self._timeout_s is None:
            return _READ_S
        return max(0.0, min(_READ_S, last + self._timeout_s - time.monotonic()))

    def is_over(self, last: float) -> bool:
        """Whether nothing has come for so long that it ends; ``last`` is when something has, by the steady clock."""
        return self._timeout_s is not None and time.monotonic() - last >= self._timeout_s

    def _fill(self, timeout_s: float) -> None:
        """Read until there is something that is wanted."""
        deadline = time.monotonic() + timeout_s
        with self._reading:
            failures = 0
            while not self._ready and not self._closed:
                rest_s = deadline - time.monotonic()
                try:
                    self._read(max(0.0, rest_s))
                    failures = 0
                except BrokerUnavailable:
                    if self._closed:
                        return
                    failures += 1
                    time.sleep(min(_BETWEEN_TRIES.after(failures), max(0.0, rest_s)))
                if rest_s <= 0:
                    return

    def _read(self, most_s: float) -> None:
        if not self._source.usable:
            self._closed = True
            return
        self._ready.extend(filter(self._is_wanted, self._tap.read(most_s)))
        is_quiet = not self._ready
        if self.missed > self._told_missed:
            details = {"missed": self.missed - self._told_missed}
            self._told_missed = self.missed
            self._ready.appendleft(Event(words.MISSED, self._source.now(), "", details))
        if is_quiet and words.HEARTBEAT in self._types:
            self._look_at_workers()

    def _is_wanted(self, event: Event) -> bool:
        if event.type not in self._types or event.timestamp < self._since:
            return False
        if self._task is None or event.batch is None:
            return True
        return event.name is not None and fnmatch.fnmatchcase(event.name, self._task)

    def _look_at_workers(self) -> None:
        """Tell of the workers that are there; nobody notes that."""
        now = time.monotonic()
        if now - self._looked_at < _HEARTBEAT_S:
            return
        self._looked_at = now
        at = self._source.now()
        renewed, before = {}, self._renewed
        for worker in self._source.workers():
            renewed[worker.id] = worker.seen_at
            # The lease of one that was killed still counts for a while, but is not renewed any more.
            if worker.seen_at - before.get(worker.id, 0.0) > _SAME_S:
                self._ready.append(_heartbeat(worker, at))
        self._renewed = renewed

    # -- the end

    def close(self) -> None:
        """Read no more; who waits in another thread goes on at once."""
        self._closed = True
        self._tap.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<EventStream {state}, {self.missed:,} missed, {self.refused:,} refused>"


def _heartbeat(worker: WorkerInfo, at: float) -> Event:
    details: dict[str, Any] = {
        "active": worker.slots_busy,
        "processed": worker.processed,
        "pid": worker.pid,
        "host": worker.host,
    }
    return Event(words.HEARTBEAT, at, worker.name, details)


def _types(given: str | Iterable[str] | None) -> frozenset[str]:
    """Return the types of events that are meant; ``task`` is all that begin so.

    Raises:
        ConfigError: there is no such type.
    """
    if given is None:
        return frozenset(words.TYPES)
    if not isinstance(given, Iterable):
        raise ConfigError(
            f"events: {given!r:.60} is no type of event, such as 'task-failed', nor a list of such"
        )
    found: set[str] = {words.MISSED}
    for word in [given] if isinstance(given, str) else given:
        those = [name for name in words.TYPES if word in (name, name.partition("-")[0])]
        if not those:
            raise ConfigError(f"there are no events {word!r:.60}; {_or_meant(str(word))}")
        found.update(those)
    return frozenset(found)


def _or_meant(word: str) -> str:
    # A handler of Celery's is called task_failed, and who is in a hurry writes failed.
    near = nearest(word, words.TYPES) or nearest(f"task-{word}", words.TYPES)
    return f"did you mean {near!r}?" if near else f"there are: task, worker, {', '.join(words.TYPES)}"


def _pattern(task: object) -> str | None:
    """Return which names of tasks are meant; None for all.

    Raises:
        ConfigError: it is neither a name nor a task.
    """
    found = getattr(task, "name", task)
    if found is None or (isinstance(found, str) and found):
        return found
    raise ConfigError(f"events: task={task!r:.60} is no name of a task, such as 'shop.*', nor a task")


def _moment(since: str | float | datetime | timedelta | None, source: EventSource) -> float:
    """Return from when on events are wanted, in epoch seconds; 0 for all.

    Raises:
        ConfigError: that is no moment.
    """
    if since is None:
        # By a clock that is reckoned; and what was signed earlier is a copy.
        return source.now() - _SLACK_S
    if isinstance(since, timedelta):
        return source.now() - since.total_seconds()
    if isinstance(since, datetime):
        return since.timestamp()
    if since == "start":
        return 0.0
    if isinstance(since, str):
        with contextlib.suppress(ConfigError):
            return source.now() - seconds(since)
    if isinstance(since, int | float) and not isinstance(since, bool) and since >= 0:
        if 0 < since < _LEAST_EPOCH_S:
            raise ConfigError(
                f"since={since!r} is a moment of the year {datetime.fromtimestamp(since, timezone.utc).year}; "
                f"for {since:g} seconds ago say since='{since:g}s'"
            )
        return float(since)
    raise ConfigError(
        f'since={since!r:.60}: say "start", a datetime, epoch seconds, or how long ago, such as "10m"; '
        "without it events come from now on"
    )
