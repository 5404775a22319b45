"""The pages of the dashboard for one App, wherever they are shown; what can be done there.

Nothing is read and nothing is asked while nobody looks: who looks again reads what the stream of events has kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nbtasks.client.periodic.declared import all_facts
from nbtasks.core.address import PYTHON
from nbtasks.core.errors import ConfigError, NbtasksError
from nbtasks.core.packages import versions

from .actions import Actions
from .bounded import ERROR, Filters, short
from .brokerpage import BrokerPage
from .callbook import CallBook
from .callnames import CallNames
from .callpage import LookedAt, call_page
from .lockspage import locks_page
from .overviewpage import overview_page
from .remembered import Remembered
from .schedulespage import schedules_page
from .taskspage import tasks_page
from .timelinepage import timeline_page
from .workerspage import gone_workers, workers_page

if TYPE_CHECKING:
    from nbtasks.client.app import App
    from nbtasks.client.happened.eventstream import EventStream
    from nbtasks.client.workerinfo import WorkerInfo

    from .tallies import TaskTally

#: Seconds for which it is believed what was asked; and for which one look goes on reading events.
_BELIEVED_S = 0.8
_READ_S = 2.0
#: What is read.
_WHAT = ("task", "worker-online", "worker-offline")


class Monitor:
    """Makes pages, on any thread.

    Args:
        readonly: nothing can be done here.
    """

    def __init__(self, app: App, readonly: bool = False) -> None:
        self._app = app
        engine = app.engine
        self.readonly = readonly
        self.book = CallBook()
        #: Held by who reads events, or looks at what they have told.
        self._lock = threading.Lock()
        self._stream: EventStream | None = None
        self._lookout = engine.lookout
        self._names = CallNames(engine.commanding.outlines_of)
        self._looked_at = LookedAt(app)
        self._living: set[str] = set()
        self._actions = Actions(app)
        self._broker = BrokerPage(
            {
                "address": app.connection.address,
                "namespace": app.connection.namespace,
                "embedded": app.connection.is_embedded,
            }
        )
        self.workers = Remembered(self._look_at_workers, _BELIEVED_S)
        self.queues = Remembered(self._lookout.queues, _BELIEVED_S)
        self._schedules = Remembered(self._look_at_schedules, _BELIEVED_S)
        self._locks = Remembered(self._look_at_locks, _BELIEVED_S)
        self._server = Remembered(self._look_at_server, _BELIEVED_S)
        self._pages: dict[str, Callable[[Filters, float], dict[str, Any]]] = {
            "overview": self._overview,
            "workers": self._workers_page,
            "tasks": self._tasks,
            "call": self._call,
            "timeline": self._timeline,
            "schedules": lambda _filters, _now: self._schedules.get(),
            "locks": lambda _filters, _now: self._locks.get(),
            "broker": lambda _filters, _now: self._server.get(),
        }

    # -- asked

    def hello(self) -> dict[str, Any]:
        """Return what a page says of itself."""
        where = self._app.connection
        return {
            "readonly": self.readonly,
            "title": f"{where.address} {where.namespace}",
            "address": where.address,
            "namespace": where.namespace,
            "version": versions().get("nbtasks", ""),
        }

    def page(self, name: str, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a page as JSON types; ``problem`` says what could not be asked.

        Raises:
            ConfigError: there is no such page.
        """
        make = self._pages.get(name)
        if make is None:
            raise ConfigError(f"there is no page {short(name, 40)!r}; there are {', '.join(self._pages)}")
        now = time.time()
        try:
            found = {"problem": None, **make(Filters(filters), now)}
        except NbtasksError as error:
            found = {"problem": short(str(error), ERROR)}
        if self.readonly and "actions" in found:
            found["actions"] = []
        return {"now": now, **found}

    def act(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do something; returns whether that was done, what is said of it, and what each worker says."""
        if self.readonly:
            return {"ok": False, "said": "this dashboard is read-only", "workers": {}}
        done = self._actions.act(action, body)
        for one in (self.workers, self.queues, self._schedules, self._locks):
            one.forget()
        return done

    def catch_up(self) -> None:
        """Read what has happened since the last time."""
        with self._lock:
            if self._stream is None:
                self._stream = self._app.events(_WHAT, since="start", expand=False)
            give_up_at = time.monotonic() + _READ_S
            while time.monotonic() < give_up_at:
                batch = self._stream.next_batch(0)
                self.book.take_in(batch)
                if not batch and not self._stream.is_behind:
                    return

    def close(self) -> None:
        """Read no more."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def tallies(self) -> dict[str, TaskTally]:
        """Return what was counted of each task so far."""
        with self._lock:
            return dict(self.book.tallies.tasks)

    def series(self) -> dict[tuple[str, str, str], list[int]]:
        """Return what was counted of each task on each worker, from each queue."""
        with self._lock:
            return {key: counts.copy() for key, counts in self.book.tallies.series.items()}

    def lives(self, worker: str) -> bool:
        """Whether a worker held its lease when it was looked last."""
        return worker in self._living

    @property
    def names(self) -> tuple[str, ...]:
        """What pages there are."""
        return tuple(self._pages)

    @property
    def actions(self) -> tuple[str, ...]:
        """What can be done."""
        return self._actions.names

    # -- each page

    def _of_stream(self) -> dict[str, Any]:
        missed = self._stream is not None and self._stream.missed
        return {"since": self.book.tallies.since, "cut": bool(missed)}

    def _overview(self, _filters: Filters, now: float) -> dict[str, Any]:
        self.catch_up()
        kind = (PYTHON, self._app.home.key_id)
        queues, workers = self.queues.get(), self.workers.get()
        with self._lock:
            return {**self._of_stream(), **overview_page(self.book, queues, workers, kind, now)}

    def _workers_page(self, _filters: Filters, now: float) -> dict[str, Any]:
        self.catch_up()
        workers = self.workers.get()
        self._names.look_up(
            batch for one in workers for child in one.children for batch, _, _ in child.running
        )
        with self._lock:
            failed, gone = self.book.tallies.by_worker("failed"), dict(self.book.gone)
        page = workers_page(workers, self._living, self._actions.draining, self._names.named, failed)
        return {**page, "gone": gone_workers(gone, workers, now)}

    def _tasks(self, filters: Filters, now: float) -> dict[str, Any]:
        self.catch_up()
        with self._lock:
            return {**self._of_stream(), **tasks_page(self.book, filters, self._names.items, now)}

    def _call(self, filters: Filters, _now: float) -> dict[str, Any]:
        self.catch_up()
        id = filters.text("id")
        return call_page(self._looked_at, id, self.book.calls.get(id))

    def _timeline(self, filters: Filters, now: float) -> dict[str, Any]:
        self.catch_up()
        workers = self.workers.get()
        with self._lock:
            return timeline_page(self.book, workers, filters, now)

    # -- looked at

    def _look_at_workers(self) -> list[WorkerInfo]:
        found = self._app.workers()
        self._living = self._lookout.living(found)
        return found

    def _look_at_schedules(self) -> dict[str, Any]:
        return schedules_page(all_facts(self._app))

    def _look_at_locks(self) -> dict[str, Any]:
        names = {one.id: one.name for one in self.workers.get()}
        return locks_page(*self._lookout.locks(), self._lookout.limits(), names)

    def _look_at_server(self) -> dict[str, Any]:
        return self._broker.page(*self._lookout.server(), time.time())
