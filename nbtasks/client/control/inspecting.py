"""``app.control.inspect()``: what workers do and have, with Celery's words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.orders import Ask

from .audience import Audience, audience
from .callsheets import CallSheets
from .orderwords import OrderWords, ids_of, or_meant

if TYPE_CHECKING:
    from nbtasks.client.workerinfo import WorkerInfo

    from .commanded import Commanded

#: Seconds for which it is believed what a worker has published of itself.
_FRESH_S = 4.0
#: Seconds in which those shall answer of whom something was published; the others have all the time that there is.
_SOON_S = 0.5

Replies = dict[str, Any]
_PROFILER = "let a profiler such as memray or py-spy look at the processes that stats() names"
#: Questions of Celery's that nobody is asked -> why, or what to do instead.
NOT_ASKED = {
    "clock": "workers do not count a common time; the server's clock is the one of all",
    "hello": "workers do not greet each other: each is seen in the server",
    "memsample": _PROFILER,
    "memdump": _PROFILER,
    "objgraph": _PROFILER,
}


class Inspect:
    """Asks workers; each method returns what they say by their names, None where nobody says anything.

    Attributes:
        silent: names of those who did not answer the last question in time, though they hold their lease; and of
            those that ``destination`` names and that are not there.
        absent: the latter alone.
    """

    def __init__(
        self,
        app: Commanded,
        destination: Iterable[str] | str | None,
        words: OrderWords,
    ) -> None:
        self._app = app
        self._destination = destination
        self._words = words
        self.silent: list[str] = []
        self.absent: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in NOT_ASKED:
            raise ConfigError(f"inspect().{name}: that has no meaning here: {NOT_ASKED[name]}")
        raise AttributeError(f"inspect() has no {name!r}{or_meant(name, type(self))}")

    # -- what each worker says

    def ping(self, destination: Iterable[str] | str | None = None) -> Replies | None:
        """Ask whether they are there: ``{"ok": "pong"}``."""
        return self._asked("ping", destination=destination, shown=lambda value, _: {"ok": value})

    def active(self, safe: bool | None = None) -> Replies | None:
        """Ask which calls run: of each id, name, args, kwargs, time_start, hostname, worker_pid."""
        sheets = CallSheets(self._app)
        return self._asked(
            "active",
            sheets.running,
            lambda info: [[batch, index, ago, info.pid] for batch, index, ago in info.running],
        )

    def reserved(self, safe: bool | None = None) -> Replies | None:
        """Ask which calls they have in hand and have not begun; as :meth:`active`."""
        return self._asked("reserved", CallSheets(self._app).waiting)

    def scheduled(self, safe: bool | None = None) -> Replies | None:
        """Return which calls are due later: ``eta``, ``priority`` and ``request``.

        The server keeps them. They are told at one of the workers that serve their queue.
        """
        there = self._audience()
        self.silent = [*self.absent]
        if not there.workers:
            return None
        return self._told(CallSheets(self._app).scheduled(there))

    def revoked(self) -> Replies | None:
        """Ask which calls they were told to stop in the last minute: ids; that of a map means all its calls."""
        return self._asked("revoked", CallSheets(self._app).ids)

    def registered(self, *taskinfoitems: str) -> Replies | None:
        """Ask which tasks they have of their own, with ``-A``; those of notebooks travel with their calls."""
        return self._asked("registered")

    registered_tasks = registered

    def stats(self) -> Replies | None:
        """Ask for process, pool, memory, and how much was done."""
        return self._asked("stats", shown=None, published=_stats_of)

    def active_queues(self) -> Replies | None:
        """Ask which queues they serve: a list of dicts with a ``name``."""
        return self._asked(
            "active_queues",
            lambda names, _: [{"name": name, "routing_key": name} for name in names],
            lambda info: list(info.queues),
        )

    def conf(self, with_defaults: bool = False) -> Replies | None:
        """Ask how they were started."""
        return self._asked("conf")

    def report(self) -> Replies | None:
        """Ask for their versions: ``{"ok": text}``."""
        return self._asked("report", lambda value, _: {"ok": value})

    def query_task(self, *ids: Any) -> Replies | None:
        """Ask who has calls in hand: ``{id: ["active" or "reserved", what is known of it]}``.

        Args:
            ids: of the calls, or their handles, or lists of these; that of a map means its calls.
        """
        wanted = set(ids_of(ids))
        if not wanted:
            raise ConfigError("query_task: name the ids of calls, such as query_task(result.id)")
        found: Replies = {}
        silent: set[str] = set()
        for state, ask in (("active", self.active), ("reserved", self.reserved)):
            for name, calls in (ask() or {}).items():
                told = {
                    call["id"]: [state, call]
                    for call in calls
                    if wanted & {call["id"], call["id"].partition(":")[0]}
                }
                found[name] = {**told, **found.get(name, {})}
            silent |= set(self.silent)
        self.silent = sorted(silent)
        return found or None

    # -- how they are asked

    def _audience(self, destination: Iterable[str] | str | None = None) -> Audience:
        chosen = destination if destination is not None else self._destination
        there = audience(self._app, chosen, self._words.pattern, self._words.matcher, all_of_them=False)
        self.absent = list(there.absent)
        return there

    def _asked(
        self,
        what: str,
        shown: Callable[[Any, WorkerInfo], Any] | None = None,
        published: Callable[[WorkerInfo], Any] | None = None,
        destination: Iterable[str] | str | None = None,
    ) -> Replies | None:
        """Ask all who are meant.

        Args:
            shown: makes of an answer what users see.
            published: the same answer as a worker has published it with its lease, for one that is slow to answer.
        """
        there = self._audience(destination)
        most_s = self._words.timeout
        patience = min(most_s, _SOON_S) if published is not None else most_s
        answers = self._app.engine.commanding.ask(Ask(what), there.ids, patience)
        replies: Replies = {}
        for name, info in there.workers.items():
            answer = answers.get(info.id)
            if answer is not None and answer.failed:
                replies[name] = {"error": answer.value}
            elif answer is not None:
                replies[name] = shown(answer.value, info) if shown is not None else answer.value
            elif published is not None and time.time() - info.seen_at < _FRESH_S:
                value = published(info)
                replies[name] = shown(value, info) if shown is not None else value
        self.silent = [*(name for name in there.workers if name not in replies), *self.absent]
        return self._told(replies)

    def _told(self, replies: Replies) -> Replies | None:
        replies = dict(list(replies.items())[: self._words.limit])
        if self._words.callback is not None:
            for name, reply in replies.items():
                self._words.callback({name: reply})
        return replies or None


def _stats_of(info: WorkerInfo) -> dict[str, Any]:
    return {
        "pid": info.pid,
        "host": info.host,
        "uptime": round(max(0.0, info.seen_at - info.started_at)),
        "processed": info.processed,
        "rss_bytes": info.rss_bytes,
        "pool": {
            "implementation": info.pool,
            "max-concurrency": info.concurrency,
            "processes": [child.pid for child in info.children if child.pid],
            "slots": info.slots_total,
            "busy": info.slots_busy,
        },
        "queues": list(info.queues),
    }
