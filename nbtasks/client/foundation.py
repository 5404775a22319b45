"""What an App stands on: its settings, where its calls go, and what it has open. What people call is in app.py."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from nbtasks.broker.sqliteurl import from_here
from nbtasks.broker.urlparts import in_text
from nbtasks.core import ancestry, context
from nbtasks.core.durations import Duration
from nbtasks.core.errors import BrokerUnavailable, ConfigError
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.core.warning import warn
from nbtasks.local.connection import Connection

from . import current
from .conf.checking import checked_expiry, checked_limit
from .conf.conf import Conf
from .conf.discovering import Discovery
from .conf.unread import unread
from .home import Home
from .opened import Opened, close_when_unheld
from .told import Told
from .unsent import tell_at_exit

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from types import EllipsisType

    from typing_extensions import Self

    from nbtasks.core.brokerfacts import BrokerFacts

    from .batches.engine import Engine
    from .definition import Definition
    from .engines.brokered.brokeredengine import BrokeredEngine
    from .engines.brokered.session import Session
    from .engines.executors.eagerengine import EagerEngine
    from .engines.executors.executorengine import ExecutorEngine
    from .happened.eventstream import EventStream
    from .periodic.appevents import AppEvent
    from .periodic.declared import Declared, DeclaringApp

_log = logging.getLogger("nbtasks")
#: Settings that a Told is made of, in its order.
_OF_TOLD = (
    *("broker_url", "key", "namespace", "connection_file", "listen", "result_backend"),
    *("broker_transport_options", "result_backend_transport_options"),
)


class Foundation:
    """What an App stands on. Nothing is started or connected before it is needed."""

    __stays_here__ = (
        "it holds the key. In a task, nbtasks.App.current() is the App that it runs for, and nbtasks.task(function) "
        "makes a task of no App, which submits through that"
    )
    __reduce_ex__ = refuse_to_travel

    def __init__(
        self,
        name: str | None = None,
        *,
        broker: str | Sequence[str] | None = None,
        backend: str | Sequence[str] | None = None,
        namespace: str | None = None,
        key: str | bytes | None = None,
        include: Sequence[str] = (),
        result_expires: Duration | EllipsisType | None = ...,
        result_limit: int | None = None,
        connection: Connection | None = None,
        connection_file: str | os.PathLike[str] | None = None,
        listen: str | bool = False,
        engine: Executor | None = None,
        eager: bool | None = None,
    ) -> None:
        self.name = name or "nbtasks"
        url, results = in_text(broker), in_text(backend)
        if engine is None:
            # Beside an executor each of these is refused, whatever it says.
            Told(url, key, namespace, connection_file, listen, results).check(connection)
            url, results = from_here(url), from_here(results)
        given = {
            "broker_url": url, "result_backend": results, "namespace": namespace, "key": key,
            "connection_file": connection_file, "listen": listen or None, "include": tuple(include) or None,
            "result_expires": None if result_expires is ... else checked_expiry(result_expires),
            "result_limit": None if result_limit is None else checked_limit(result_limit),
            "task_always_eager": eager,
        }  # fmt: skip
        given = {setting: value for setting, value in given.items() if value is not None}
        self._conf = Conf(given, weakref.WeakMethod(self._note_settings))
        self._lock = threading.RLock()
        self._connection = self._given = connection
        self._opened = Opened()
        #: Prepare each process of a worker for its tasks.
        self._setups: list[Callable[[], Any]] = []
        self._closed = False
        self.discoveries: list[Discovery] = []
        self._declared: Declared | None = None
        #: By name: see registered.py. Those of others are kept to be submitted again.
        self.kept_tasks: dict[str, Definition] = {}
        self.tasks_elsewhere: dict[str, Definition] = {}
        self._executor: ExecutorEngine | None = None
        #: Runs calls where they are submitted; None where others do.
        self._eager: EagerEngine | None = None
        if connection is not None:
            self.conf.fix("this App was given a connection")
        if engine is not None:
            # Said by the names that were used: those of settings are looked at after them.
            beside = {"broker": broker, "backend": backend, **given, "connection": connection}
            beside.pop("result_limit", None)
            self._executor = self._opened.execute(engine, self.name, self.conf.result_limit, beside)
            self.conf.fix("an executor runs the calls of this App")
        if current.all_eager or eager:
            self._be_eager()
        current.opened(self)
        if context.serving:
            self._finalizer = close_when_unheld(self, self._opened)
        else:
            atexit.register(self._at_exit)

    def __repr__(self) -> str:
        where = self._executor.title if self._executor else self._connection or "not connected"
        return f"<App {self.name!r} {where}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self.close()
        except BrokerUnavailable as error:
            # What has ended the block says more.
            if kind is None:
                raise
            tell_at_exit(str(error))

    # -- its settings

    @property
    def conf(self) -> Conf:
        """Its settings, under Celery's names: ``app.conf.result_expires``, ``app.conf["broker_url"]``."""
        return self._conf

    @conf.setter
    def conf(self, value: object) -> None:
        """Refuse to put something else in its place."""
        raise ConfigError(
            "app.conf stays: set what is in it, app.conf.update(...), or read a module, app.config_from_object(...)"
        )

    @property
    def include(self) -> tuple[str, ...]:
        """Modules that workers import when they start, and have of their own: they are not sent along."""
        found = (name for one in self.discoveries for name in one.modules())
        return tuple(dict.fromkeys((*self.conf.include, *self.conf.imports, *found)))

    @property
    def of_workers(self) -> tuple[str, ...]:
        """Those, and the packages that they were found in."""
        return (*self.include, *(name for one in self.discoveries for name in one.packages()))

    @property
    def told(self) -> str:
        """Where it was told that its calls go; empty where it finds out by itself."""
        if self._executor is not None:
            return self._executor.home.address
        said = (self.conf.said_here(name) for name in _OF_TOLD)
        return Told(*said).place(self._given)

    @property
    def _told(self) -> Told:
        return Told(*(self.conf[name] for name in _OF_TOLD))

    def _note_settings(self) -> None:
        """Hear that something was set."""
        for engine in (self._opened.engine, self._eager):
            if engine is not None:
                # What tasks have kept follows from settings.
                engine.mark = object()
        self.see_whether_eager(said=self.conf.said_here("task_always_eager"))
        current.told_anew(self)

    # -- where its calls go

    @property
    def is_connected(self) -> bool:
        """Whether it has an open connection to its broker."""
        engine = self._opened.engine
        return engine is not None and engine.usable and not self._closed

    @property
    def usable(self) -> bool:
        """Whether it is open."""
        return not self._closed

    @property
    def home(self) -> Home:
        """Where its calls go: server, namespace and key."""
        own = self._executor or self._eager
        if own is not None:
            return own.home
        return Home.of(self._connection or self.connection, self.name)

    @property
    def known_home(self) -> Home | None:
        """The same; None where that has not been found out yet, and finding out would start a server."""
        given = self._executor or self._eager or self._connection
        finds_out = given is not None or self._told.names_broker or context.serving
        return self.home if finds_out else None

    # -- the broker

    @property
    def connection(self) -> Connection:
        """Where the broker is. The embedded server is started if it is the one."""
        # Not under the lock: who closes an App has it until callbacks have ended, which may ask for this.
        self._check_open()
        with self._lock:
            self._begin()
            assert self._connection is not None
            return self._connection

    @property
    def bare_connection(self) -> Connection | None:
        """The same; None where no broker brings its calls to workers."""
        return None if self._executor is not None or self._eager is not None else self.connection

    def go_to(self, connection: Connection) -> None:
        """Have calls go elsewhere than was told: what is said on a command line counts. Only before the first call."""
        self.need("connection")
        with self._lock:
            self._connection = connection
            self.conf.fix("this App is connected")

    def need(self, word: str, said: str = "") -> None:
        """Raise ConfigError where that is nothing for an executor; ``word`` as of :class:`Capabilities`."""
        if self._executor is not None:
            self._executor.capabilities.need(word, said)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError(f"App {self.name!r} is closed; make a new one")

    def _begin(self) -> None:
        self._check_open()
        self.need("connection")
        if self._connection is None:
            told = self._told
            told.check(None)
            self._connection, self._opened.resolving = told.begin()
            self.conf.fix("this App is connected")
            if not context.serving:
                for sentence in unread(self._connection, self.conf.names_read):
                    warn(sentence)

    def _server(self) -> Connection:
        """Return the connection when its server is there."""
        connection, opened = self.connection, self._opened
        if context.serving:
            # The worker itself sees to it that its server stays.
            opened.rejoin = None
        forked = opened.rejoin is not None
        if opened.wait_for_server():
            if not context.serving:
                # What is registered last runs first: the server is still there when the rest is told to it.
                atexit.unregister(self._at_exit)
                atexit.register(self._at_exit)
            if self.conf.listen and not forked:
                opened.listen(self.conf.listen, connection.address)
        return connection

    @property
    def engine(self) -> Engine:
        """What brings its calls to workers. The connection to the broker is opened, if there is none yet.

        Raises:
            BrokerUnavailable: it cannot be reached.
            BrokerUnsuitable: it is too old, or it may evict data.
        """
        engine = self._opened.engine if self._eager is None else self._eager
        if engine is not None and engine.usable and not self._closed:
            return engine
        self._check_open()
        if self.see_whether_eager(self.conf.task_always_eager):
            return self.engine
        with self._lock:
            engine = self._opened.engine
            if engine is None or not engine.usable or self._closed:
                engine = self._opened.engine = self._connect()
                ancestry.at_exit_of_child(weakref.WeakMethod(self._at_exit))
                self._connected()
            return engine

    def _connected(self) -> None:
        """Hear that there is a connection."""
        if self._declared is not None:
            self._declared.settle()

    # -- what its project declares

    @property
    def declared(self) -> Declared:
        """The periodic tasks that its project declares."""
        with self._lock:
            if self._declared is None:
                from .periodic.declared import Declared

                self._declared = Declared(cast("DeclaringApp", self))
            return self._declared

    @property
    def on_after_configure(self) -> AppEvent:
        """Whoever connects is called, with ``sender=app``, when the App is connected: to add periodic tasks, say."""
        return self.declared.on_after_configure

    @property
    def on_after_finalize(self) -> AppEvent:
        """The same, a moment later, as in Celery."""
        return self.declared.on_after_finalize

    def see_whether_eager(self, said: bool | None) -> bool:
        """Run calls where they are submitted from now on, or no longer; returns which."""
        wanted = self._executor is None and bool(said or current.all_eager)
        if wanted and (self._eager is None or not self._eager.usable):
            self._be_eager()
        elif not wanted:
            self._eager = None
        return wanted

    def _be_eager(self) -> None:
        from .engines.executors.eagerengine import EagerEngine

        conf = self.conf
        self._eager = EagerEngine(self.name, conf.result_limit, lambda: conf.task_eager_propagates)

    def _connect(self) -> Engine:
        if self._executor is not None:
            # In a process that was forked off.
            self._executor.check_open(f"App {self.name!r}")
        connection = self._server()
        conf = self.conf
        engine = self._opened.connect(
            self.name, connection, conf.result_expires, conf.result_limit, self.of_workers
        )
        engine.set_up(self._setups)
        return engine

    @property
    def session(self) -> Session:
        """The open connection to the broker, for those who look behind the engine."""
        self.need("connection", "session")
        engine = self.engine
        if engine is self._eager:
            raise ConfigError(
                f"App {self.name!r} is eager: its calls run where they are submitted, without a broker"
            )
        return cast("BrokeredEngine", engine).session

    def events(
        self,
        types: str | Iterable[str] | None = None,
        *,
        task: str | Definition | None = None,
        since: str | float | datetime | timedelta | None = None,
        timeout: Duration | None = None,
        expand: bool = True,
    ) -> EventStream:
        """Return what happens to calls and workers, under Celery's names: ``for event in app.events(): ...``.

        Args:
            types: such as ``"task-failed"``, or several; ``"task"`` and ``"worker"`` are all of these.
            task: only calls of this task: itself, its name, or a pattern of names such as ``"shop.*"``.
            since: ``"start"`` begins with all that the server has kept, a datetime or epoch seconds at a moment,
                ``"10m"`` or a timedelta so long ago; without it events come from now on.
            timeout: seconds without any event after which it ends; None: it does not.
            expand: one event for each call; else one for calls in a row, as they come.

        Raises:
            ConfigError: there is no such type; a word makes no sense; or there is no broker.
        """
        from .happened.eventstream import EventStream

        return EventStream(self.engine.events, types, task, since, timeout, expand)

    def check(self) -> BrokerFacts:
        """Return what the broker is: version, policy, latency."""
        return self._opened.facts(self._server())

    # -- the end

    def close(self, cold: bool = False) -> None:
        """Stop local workers, close connections; the last user of the embedded server stops it.

        Running calls may end first, for 10 seconds at most; with ``cold`` they may not. Workers that were started with
        ``keep`` go on.

        Raises:
            BrokerUnavailable: calls were accepted that could not be handed over; everything is closed nevertheless.
        """
        if self._closed:
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            current.closed(self)
            self._opened.close(cold)
        if context.serving:
            self._finalizer.detach()
        atexit.unregister(self._at_exit)
        if self._opened.unsent:
            raise BrokerUnavailable(self._opened.unsent)

    def forked(self) -> None:
        """Go on in a process that was forked off, with a session of its own on the same server."""
        self._lock = threading.RLock()
        self.conf.forked()
        self._opened.forked()

    def _at_exit(self) -> None:
        try:
            self.close(cold=True)
        except BrokerUnavailable as error:
            tell_at_exit(str(error))
        except Exception as error:
            _log.warning("closing App %r: %s", self.name, error)
