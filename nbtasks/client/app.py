"""The App: a label, a broker, local workers, and the tasks that are bound to it."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.core import ancestry, context
from nbtasks.core.cpus import usable_cpus
from nbtasks.core.durations import LONGEST_S, Duration, patience, seconds
from nbtasks.core.errors import BrokerUnavailable, ConfigError
from nbtasks.core.header import RESULT_LIMIT_BYTES
from nbtasks.core.keywords import TaskKeywords, WorkerKeywords, documented
from nbtasks.core.options import TaskOptions, WorkerOptions
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.local import connection as connections
from nbtasks.local.connection import Connection
from nbtasks.local.processes.workers import LocalWorkers

from . import current
from .attaching import attached
from .decorator import makes_tasks, task
from .engines.redis.redisengine import RedisEngine
from .group import GroupResult as Map
from .home import Home
from .opened import Opened, close_when_unheld
from .result import AsyncResult as Handle
from .runs import runlist  # noqa: F401 - it shows handles to those who ask for it
from .task import Task
from .told import Told, checked_limit
from .unsent import tell_at_exit

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from typing_extensions import Self, Unpack

    from nbtasks.broker.redis.server import BrokerFacts

    from .batches.engine import Engine
    from .batches.ledger import Ledger
    from .engines.executors.executorengine import ExecutorEngine
    from .engines.redis.roster import Stranded
    from .engines.redis.session import Session
    from .futures.taskexecutor import TaskExecutor
    from .invitation import Invitation
    from .workerinfo import WorkerInfo

__all__ = ["App", "Task", "task"]

_log = logging.getLogger("nbtasks")
_DAY_S = 86_400.0


class App:
    """The caller's side: where calls go and where results come from.

    Nothing is started or connected before it is needed.

    Args:
        name: a label.
        broker: URL of a Redis or Valkey. None: NBTASKS_BROKER, a connection file, else the embedded server.
        backend: for those who come from Celery: the broker's own server, where results are kept in any case.
        namespace: separates data of several projects on one server.
        key: the signing key, 32 bytes or its base64url. None: NBTASKS_KEY, a connection file, else the user's key file.
        include: modules that workers import when they start, and have of their own: they are not sent along.
        result_expires: how long results are kept after the last call of a batch has ended, seconds or a text like 24h.
        result_limit: largest result in bytes.
        connection: everything about the broker in one; ``broker``, ``namespace`` and ``key`` are not looked at then.
        connection_file: a file with URL, key and namespace, as :meth:`write_connection_file` and :meth:`invite` make
            it; what is also given by itself comes first.
        listen: let workers on other machines reach the embedded server, with TLS and a password: ``"HOST:PORT"``, or
            True for all addresses of this machine and any free port. :meth:`invite` says how they join.
        engine: an executor of concurrent.futures, or what looks like one: it runs the calls, and there is no broker.
    """

    __stays_here__ = (
        "it holds the key. In a task, nbtasks.App.current() is the App that it runs for, and nbtasks.task(function) "
        "makes a task of no App, which submits through that"
    )
    __reduce_ex__ = refuse_to_travel

    def __init__(
        self,
        name: str | None = None,
        *,
        broker: str | None = None,
        backend: str | None = None,
        namespace: str | None = None,
        key: str | bytes | None = None,
        include: Sequence[str] = (),
        result_expires: Duration = _DAY_S,
        result_limit: int = RESULT_LIMIT_BYTES,
        connection: Connection | None = None,
        connection_file: str | os.PathLike[str] | None = None,
        listen: str | bool = False,
        engine: Executor | None = None,
    ) -> None:
        self.name = name or "nbtasks"
        self.include = tuple(include)
        self._told = Told(broker, key, namespace, connection_file, listen)
        self._told.check(backend, connection)
        self._result_expires = seconds(result_expires, "result_expires", least_s=1.0)
        self._result_limit = checked_limit(result_limit)
        self._lock = threading.RLock()
        self._connection: Connection | None = connection
        self._opened = Opened()
        self._closed = False
        self._executor: ExecutorEngine | None = None
        if engine is not None:
            beside = {
                "broker": broker, "backend": backend, "namespace": namespace, "key": key, "include": include,
                "connection": connection, "connection_file": connection_file, "listen": listen,
                "result_expires": self._result_expires != _DAY_S,
            }  # fmt: skip
            self._executor = self._opened.execute(engine, self.name, self._result_limit, beside)
        #: Where it was told that its calls go; empty where it finds out by itself.
        self.told = self._executor.home.address if self._executor else self._told.place(connection)
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

    @classmethod
    def current(cls) -> App:
        """Return the newest open App of this process; one with defaults is made if there is none."""
        app = current.current()
        assert isinstance(app, App)
        return app

    @property
    def usable(self) -> bool:
        """Whether it is open."""
        return not self._closed

    @property
    def home(self) -> Home:
        """Where its calls go: server, namespace and key."""
        if self._executor is not None:
            return self._executor.home
        return Home.of(self._connection or self.connection, self.name)

    @property
    def known_home(self) -> Home | None:
        """The same; None where that has not been found out yet, and finding out would start a server."""
        given = self._executor or self._connection
        finds_out = given is not None or self._told.names_broker or context.serving
        return self.home if finds_out else None

    # -- tasks

    @makes_tasks
    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Make a function a task of this app: ``@app.task`` or ``@app.task(retries=3)``.

        Raises:
            ConfigError: an unknown option or a bad value.
        """
        checked = TaskOptions.make(options)
        if function is not None:
            return Task(function, checked, self)
        return lambda inner: Task(inner, checked, self)

    def AsyncResult(self, id: str) -> Handle:  # noqa: N802 - Celery's name
        """Return the handle of a call by its id, whoever submitted it.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
        """
        return Handle(id, app=self)

    def GroupResult(self, id: str) -> Map:  # noqa: N802 - Celery's name
        """Return the handle of a map by its id, whoever submitted it.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
        """
        return Map(id, app=self)

    def executor(self, max_workers: int | None = None, **options: Unpack[TaskKeywords]) -> TaskExecutor:
        """Return an executor of concurrent.futures, for code that takes one: its calls run on this App's workers.

        Args:
            max_workers: calls of it that run at once, at most; all slots if None. Options are those of :meth:`task`.
        """
        from .futures.taskexecutor import TaskExecutor

        made = TaskExecutor(self, max_workers, TaskOptions.make(dict(options)))
        self._opened.followers.add(made.line)
        return made

    def joblib(self, n_jobs: int = -1, **options: Unpack[TaskKeywords]) -> Any:
        """Return a context manager in which joblib's calls, ``n_jobs`` at once, run on this App's workers."""
        from .futures.joblibbackend import configured

        return configured(self, n_jobs, dict(options))

    def attach(self, id: str | None = None, *, last: int | None = None) -> list[Handle | Map]:
        """Return handles of earlier submits in this namespace, newest first, also after a kernel restart.

        Args:
            id: one batch or call.
            last: so many of the newest; 10 if neither is given.

        Raises:
            UnknownCall: nobody recorded the id, or its time is over.
        """
        return attached(self, id, last)

    def batches(self, *, quiet: bool = False) -> list[Ledger]:
        """Return what was submitted through this app, oldest first (the last 1,000).

        Args:
            quiet: also what shows no card by itself, such as single calls: what has not ended, or is still held.
        """
        engine = self._opened.engine
        return engine.registry.recent(quiet=quiet) if engine is not None else []

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

    def go_to(self, connection: Connection) -> None:
        """Have calls go elsewhere than was told: what is said on a command line counts. Only before the first call."""
        self._need("connection")
        with self._lock:
            self._connection = connection

    def _need(self, word: str, said: str = "") -> None:
        """Raise ConfigError where that is nothing for an executor; ``word`` as of :class:`Capabilities`."""
        if self._executor is not None:
            self._executor.capabilities.need(word, said)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError(f"App {self.name!r} is closed; make a new one")

    def _begin(self) -> None:
        self._check_open()
        self._need("connection")
        if self._connection is None:
            self._connection, self._opened.resolving = self._told.begin()

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
            if self._told.listen and not forked:
                opened.listen(self._told.listen, connection.address)
        return connection

    @property
    def engine(self) -> Engine:
        """What brings its calls to workers. The connection to the broker is opened, if there is none yet.

        Raises:
            BrokerUnavailable: it cannot be reached.
            BrokerUnsuitable: it is too old, or it may evict data.
        """
        engine = self._opened.engine
        if engine is not None and engine.usable and not self._closed:
            return engine
        self._check_open()
        with self._lock:
            engine = self._opened.engine
            if engine is None or not engine.usable or self._closed:
                engine = self._opened.engine = self._connect()
                ancestry.at_exit_of_child(weakref.WeakMethod(self._at_exit))
            return engine

    def _connect(self) -> Engine:
        if self._executor is not None:
            # In a process that was forked off.
            self._executor.check_open(f"App {self.name!r}")
        connection = self._server()
        return self._opened.connect(
            self.name, connection, self._result_expires, self._result_limit, self.include
        )

    @property
    def session(self) -> Session:
        """The open connection to the broker, for those who look behind the engine."""
        self._need("connection", "session")
        engine = self.engine
        assert isinstance(engine, RedisEngine)
        return engine.session

    def check(self) -> BrokerFacts:
        """Return what the broker is: version, policy, latency."""
        return self._opened.facts(self._server())

    # -- workers

    @documented(WorkerKeywords, WorkerOptions.defaults())
    def start_workers(
        self, n: int | None = None, *, timeout: Duration | None = 30.0, **options: Unpack[WorkerKeywords]
    ) -> None:
        """Have ``n`` worker processes on this machine, ready when this returns. Doing it again changes nothing.

        But if the working folder or ``os.environ`` were changed here since then, new ones take their place.

        They end with this process, unless ``keep``.

        Args:
            n: children; as many as this process may use CPUs if None.
            timeout: seconds until it is given up.
            options: as below.

        Raises:
            ConfigError: an unknown option or a bad value.
            WorkersError: they did not come up; the message has the end of their log.
        """
        self._need("start_workers")
        children = n if n is not None else usable_cpus()
        wanted = WorkerOptions.make(children, options, self.include)
        most_s = patience(timeout)
        workers = self.local_workers
        workers.begin(wanted)
        # The worker starts meanwhile.
        _ = self.engine
        workers.wait(LONGEST_S if most_s is None else most_s)

    @property
    def local_workers(self) -> LocalWorkers:
        """The workers that this process has started."""
        self._need("start_workers", "local_workers")
        with self._lock:
            opened = self._opened
            if opened.workers is None:
                opened.workers = LocalWorkers(self.connection, opened.note_worker_death)
            return opened.workers

    def stop_workers(self, cold: bool = False) -> None:
        """Stop the workers that this process has started; running calls end first, unless ``cold``."""
        if self._opened.workers is not None:
            self._opened.workers.stop(cold)

    def workers(self) -> list[WorkerInfo]:
        """Return all workers of the namespace, on any machine."""
        workers = self.engine.workers()
        outdated = self._opened.workers.outdated() if self._opened.workers is not None else {}
        return [dataclasses.replace(one, changes=outdated.get(one.id, "")) for one in workers]

    def stranded(self) -> list[Stranded]:
        """Return what waits for a worker of another kind than those that are there: another Python, another key."""
        return self.session.roster.stranded(self.workers()) if self._executor is None else []

    # -- other machines

    def write_connection_file(self, path: str | os.PathLike[str], *, replace: bool = False) -> None:
        """Write URL, key and namespace into a new file that only you may read.

        ``nbtasks worker --connection-file``, ``App(connection_file=...)`` and NBTASKS_CONNECTION_FILE read it. Anyone
        with it can run code on the workers and in this process.

        Args:
            replace: whether an older connection file may be replaced.

        Raises:
            ConfigError: it exists already, or cannot be written.
        """
        connections.write_connection_file(path, self._for_others() or self.connection, replace=replace)

    def invite(
        self,
        *,
        listen: str | bool = False,
        host: str | None = None,
        file: str | os.PathLike[str] | None = None,
        show: bool = False,
    ) -> Invitation:
        """Return what another machine needs to join; print it to read how.

        The key goes into a connection file beside the notebook. Only with ``show`` the invitation is a line that holds
        it, and no file is written.

        Args:
            listen: have the embedded server listen, as in ``App(listen=...)``; other servers do already.
            host: the name of this machine in the network, where the embedded server listens; None: its address.
            file: where the connection file goes; an older connection file there is replaced.
            show: show the key.

        Raises:
            ConfigError: only this machine can reach the server; or the file cannot be written.
        """
        from .invitation import invite

        self._server()
        if listen:
            self._opened.listen(listen, self.connection.address)
        connection = self._for_others(host) or self.connection
        return invite(connection, self._opened.listening, file, show)

    def uninvite(self) -> None:
        """Have the embedded server listen no more. Earlier invitations are void, also when it listens again."""
        self._server()
        self._opened.listen_no_more()

    def listening(self) -> tuple[str, int] | None:
        """Return host and port where the embedded server listens for other machines; None where it does not."""
        self._server()
        return self._opened.listening

    def _for_others(self, host: str | None = None) -> Connection | None:
        """Return the connection to the embedded server for other machines; None where it does not listen."""
        self._server()
        return self._opened.for_others(self.connection, host)

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
        self._opened.forked()

    def _at_exit(self) -> None:
        try:
            self.close(cold=True)
        except BrokerUnavailable as error:
            tell_at_exit(str(error))
        except Exception as error:
            _log.warning("closing App %r: %s", self.name, error)


def _make_default() -> App:
    if context.serving:
        # In a worker: the same broker, whatever the environment says.
        return App("in a worker", connection=context.serving[0].connection)
    return App()


def _rebuilt(function: Callable[..., Any], options: TaskOptions, home: Home | None = None) -> Task:
    """Rebuild a pickled task; ``home`` is its App's, None where that is the one that runs it, or it has none."""
    return Task(function, options, home)


current.make.append(_make_default)
current.rebuild.append(_rebuilt)
