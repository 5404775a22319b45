"""One event: what has happened to a call, to calls in a row, or to a worker."""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Mapping
from typing import Any

from nbtasks.core.ids import call_id

#: What events of some types say besides; of others it is None.
DETAILS = frozenset(
    {
        "runtime", "started", "exception", "delay", "eta", "done", "total", "message", "state", "reason",
        "workflow", "place", "title", "shown", "kind", "pid", "host", "queues", "concurrency", "python",
        "version", "active", "processed", "missed",
    }
)  # fmt: skip


class Event:
    """What has happened, under Celery's names. What does not belong to its type is None.

    Attributes:
        type: such as ``task-succeeded``.
        timestamp: when, in epoch seconds by the server's clock.
        hostname: the worker's name; of ``task-sent`` the machine of who has submitted it.
        batch: id of the batch that the call is in.
        index: the call's place in it.
        count: how many calls in a row it is about; more than 1 only with ``expand=False``.
        name: the task's.
        queue: the call's.
        child: number of the worker's child.
        attempt: the number of the try, from 1 on.
        runtime: seconds that the call has run; of several calls: all together.
        started: when it began, in epoch seconds.
        exception: the error as one line; of ``task-rejected`` the reason.
        delay: seconds until it is tried again.
        eta: from when on it may start.
        done: how far it is, of ``total``, with a ``message``, and the task's own ``state``.
        place: the notebook or script that has submitted it.
        workflow: id of the workflow that it is in.
        reason: why a worker is gone.
        missed: how many entries of the stream were trimmed before they were read.
    """

    __slots__ = (
        "_details", "_fields", "_own_id", "_single", "attempt", "batch", "child", "count", "hostname", "index", "name",
        "queue", "timestamp", "type",
    )  # fmt: skip

    def __init__(
        self,
        type: str,  # noqa: A002 - Celery's name
        timestamp: float,
        hostname: str = "",
        details: Mapping[str, Any] | None = None,
        *,
        batch: str | None = None,
        index: int = 0,
        count: int = 1,
        name: str | None = None,
        queue: str | None = None,
        child: int | None = None,
        attempt: int | None = None,
        single: bool = False,
        own_id: str = "",
    ) -> None:
        self.type = type
        self.timestamp = timestamp
        self.hostname = hostname
        self.batch = batch
        self.index = index
        self.count = count
        self.name = name
        self.queue = queue
        self.child = child
        self.attempt = attempt
        self._details = details or {}
        self._single = single
        self._own_id = own_id
        self._fields: dict[str, Any] | None = None

    @property
    def uuid(self) -> str | None:
        """The call's id, of several calls that of the first; None of a worker's event."""
        if self.batch is None:
            return None
        return self._own_id or call_id(self.batch, self.index, 1 if self._single else None)

    @property
    def retries(self) -> int | None:
        """How often it was tried before."""
        return None if self.attempt is None else self.attempt - 1

    def __getattr__(self, name: str) -> Any:
        if name in DETAILS:
            return self._details.get(name)
        raise AttributeError(f"an event has no {name!r}")

    def _read(self) -> dict[str, Any]:
        # Made once: dict(event) asks for each of its fields by itself.
        if self._fields is None:
            self._fields = self.to_dict()
        return self._fields

    def __getitem__(self, name: str) -> Any:
        """Return a field as Celery's events, which are dicts, have it."""
        return self._read()[name]

    def keys(self) -> KeysView[str]:
        """Return the names of its fields, so that ``dict(event)`` and ``{**event}`` work as with Celery's."""
        return self._read().keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __contains__(self, name: object) -> bool:
        return name in self._read()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field, or a default where it has none."""
        return self._read().get(name, default)

    def to_dict(self) -> dict[str, Any]:
        """Return what it says as JSON types."""
        found: dict[str, Any] = {
            "type": self.type,
            "timestamp": self.timestamp,
            "hostname": self.hostname or None,
            "uuid": self.uuid,
            "name": self.name,
            "queue": self.queue,
            "child": self.child,
            "attempt": self.attempt,
            "retries": self.retries,
            **self._details,
        }
        if self.batch is not None:
            found |= {"batch": self.batch, "index": self.index}
            if self.count > 1:
                found["count"] = self.count
        return {name: value for name, value in found.items() if value is not None}

    def each(self) -> Iterator[Event]:
        """Yield the event of each call, where it is about several."""
        if self.count == 1:
            yield self
            return
        details = dict(self._details)
        runtime, started = details.get("runtime"), details.get("started")
        if runtime is not None:
            # How long each of them has taken nobody has noted.
            details["runtime"] = runtime / self.count
        for place in range(self.count):
            own = details
            if started is not None and runtime is not None:
                own = {**details, "started": started + details["runtime"] * place}
            yield Event(
                self.type, self.timestamp, self.hostname, own, batch=self.batch, index=self.index + place,
                name=self.name, queue=self.queue, child=self.child, attempt=self.attempt,
            )  # fmt: skip

    def part(self, first: int, count: int, details: Mapping[str, Any] | None = None) -> Event:
        """Return the same of some of its calls, ``first`` counted from its own first one."""
        return Event(
            self.type, self.timestamp, self.hostname, details or self._details, batch=self.batch,
            index=self.index + first, count=count, name=self.name, queue=self.queue, child=self.child,
            attempt=self.attempt, single=self._single, own_id=self._own_id,
        )  # fmt: skip

    def __repr__(self) -> str:
        what = self.uuid or self.hostname
        more = f" x {self.count:,}" if self.count > 1 else ""
        return (
            f"<Event {self.type} {self.name or ''}[{what}]{more}>"
            if self.batch
            else f"<Event {self.type} {what}>"
        )
