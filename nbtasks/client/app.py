"""The App: a label, a broker, local workers, and the tasks that are bound to it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from nbtasks.core import context
from nbtasks.core.cpus import usable_cpus
from nbtasks.core.durations import LONGEST_S, Duration, patience
from nbtasks.core.errors import ConfigError
from nbtasks.core.keywords import CallKeywords, TaskKeywords, WorkerKeywords, documented
from nbtasks.core.options import TaskOptions
from nbtasks.core.taskbody import TaskBody
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local.connection import Connection
from nbtasks.local.processes.workers import LocalWorkers

from . import current, lateparts
from .conf.checking import of_workers
from .conf.discovering import Discovery, Packages
from .dashboardhandle import Dashboard
from .decorator import made, makes_tasks, registered, task
from .group import GroupResult as Map
from .home import Home
from .joinable import Joinable
from .locking.applock import AppLock
from .registered import RegisteredTasks
from .result import AsyncResult as Handle
from .submitting.setupcheck import check_setup
from .task import Task
from .taskelsewhere import task_elsewhere

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nbtasks.core.due.missed import Missed

    from .batches.ledger import Ledger
    from .canvas.signature import Signature
    from .control.control import Control
    from .futures.taskexecutor import TaskExecutor
    from .periodic.periodictask import PeriodicTask
    from .stranded import Stranded
    from .workerinfo import WorkerInfo

__all__ = ["App", "Task", "shared_task", "task"]

#: Celery's name for a task of no App, which goes through the current one.
shared_task = task

S = TypeVar("S", bound=Callable[[], Any])


class App(Joinable):
    """The caller's side: where calls go and where results come from.

    Nothing is started or connected before it is needed.

    Args:
        name: a label.
        broker: URL of a Redis, Valkey, PostgreSQL, MariaDB or MySQL, or of a SQLite file;
            or of a RabbitMQ, ``amqp://...``, which needs ``backend``. A list of one is taken, too, and one of
            sentinels. None: NBTASKS_BROKER, a connection file, else the embedded server.
        backend: with a RabbitMQ the one of them that keeps calls and results, None: NBTASKS_BACKEND.
            Else for those who come from Celery: the broker's own server, where results are kept in any case.
        namespace: separates data of several projects on one server.
        key: the signing key, 32 bytes or its base64url. None: NBTASKS_KEY, a connection file, else the user's key file.
        include: modules that workers import when they start, and have of their own: they are not sent along.
        result_expires: how long results are kept after the last call of a batch has ended, seconds or a text like 24h.
            None: for ever (a hundred years). Where it is not given, a day, or what the settings say.
        result_limit: largest result in bytes.
        connection: everything about the broker in one; ``broker``, ``namespace`` and ``key`` are not looked at then.
        connection_file: a file with URL, key and namespace, as :meth:`write_connection_file` and :meth:`invite` make
            it; what is also given by itself comes first.
        listen: let workers on other machines reach the embedded server, with TLS and a password: ``"HOST:PORT"``, or
            True for all addresses of this machine and any free port. :meth:`invite` says how they join.
        engine: an executor of concurrent.futures, or what looks like one: it runs the calls, and there is no broker.
        eager: for tests: calls run where they are submitted, and are over when the submit returns. The same as the
            setting ``task_always_eager``, which can be switched on later.
    """

    @classmethod
    def current(cls) -> App:
        """Return the newest open App of this process; one with defaults is made if there is none."""
        app = current.current()
        assert isinstance(app, App)
        return app

    def set_current(self) -> None:
        """Make this one the current App, in place of the newest: tasks of no App go through it.

        In a worker the current App is always the one that the worker runs for, and this changes nothing.

        Raises:
            ConfigError: it is closed.
        """
        self._check_open()
        current.prefer(self)

    # -- settings

    def config_from_object(
        self, obj: Any, *, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Take settings from a module, an object or a mapping. They are read when the first one is needed.

        What is set in ``app.conf`` itself, and what ``App(...)`` was given, counts before that.

        Args:
            obj: the same, or its name: ``"package.module"`` or ``"package.module:name"``.
            silent: whether there may be no such module.
            force: read it now.
            namespace: only names that begin so are settings: with ``"CELERY"``, ``CELERY_BROKER_URL`` is broker_url.

        Raises:
            ConfigError: there is no such module, no such setting, or a value is wrong.
        """
        self.conf.read(obj, silent, force, namespace)

    def config_from_envvar(self, variable_name: str, *, silent: bool = False, force: bool = False) -> None:
        """Take settings from the module that an environment variable names, as :meth:`config_from_object` does.

        Raises:
            ConfigError: the variable is not set, or as there.
        """
        name = os.environ.get(variable_name)
        if name:
            self.conf.read(name, silent, force, None)
        elif not silent:
            raise ConfigError(
                f"config_from_envvar: {variable_name} is not set; have it name a module, {variable_name}=celeryconfig"
            )

    def autodiscover_tasks(
        self, packages: Packages = None, related_name: str | None = "tasks", *, force: bool = False
    ) -> None:
        """Have workers import the module ``tasks`` of each package, where there is one.

        The whole package is the workers' own then, and is not sent along.

        Args:
            packages: their names, or a function that returns them; None: Django's installed apps, and it is set up in
                workers.
            related_name: name of the module; None: the packages themselves.
            force: import the modules here, now.

        Raises:
            ConfigError: there is no such package.
        """
        found = Discovery(packages, related_name)
        self.discoveries.append(found)
        if force:
            found.now()

    # -- tasks

    @makes_tasks
    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Make a function a task of this app: ``@app.task`` or ``@app.task(retries=3)``.

        Raises:
            ConfigError: an unknown option or a bad value.
        """
        return made(function, options, self)

    def register_task(self, task: Any) -> Any:
        """Make an instance of a class that is derived from :class:`Task` a task of this app; returns it."""
        return registered(task, self)

    def worker_setup(self, function: S) -> S:
        """Have a function run once in each process of a worker, before the first call there of this App's tasks.

        For what belongs to the process: receivers of signals, a logger's handlers, a connection that calls share. It
        travels with the tasks, so that a cell can define it; a changed one runs again. What it raises fails the calls
        that need it.

        Raises:
            ConfigError: it takes arguments, or is a coroutine function.
        """
        self.need("worker_setup")
        check_setup(function)
        name = (function.__module__, function.__qualname__)
        self._setups[:] = [one for one in self._setups if (one.__module__, one.__qualname__) != name]
        self._setups.append(function)
        return function

    @property
    def tasks(self) -> RegisteredTasks[Task]:
        """Its tasks, and those of no App, by name: ``app.tasks["pack.mod.fetch"]``."""
        return RegisteredTasks(self)

    def task_named(self, name: str) -> Task:
        """Return a task by its name, whose code may be at the workers only: they look it up when they run it.

        Raises:
            ConfigError: that is no name.
        """
        return self.tasks.get(name) or task_elsewhere(name, self, self.tasks_elsewhere)

    def send_task(
        self, name: str, args: Any = None, kwargs: Any = None, **options: Unpack[CallKeywords]
    ) -> Handle:
        """Submit a call of a task by its name, as :meth:`Task.apply_async` does; its code may be at the workers only.

        A worker that has no task of this name fails the call with NotRegistered.
        """
        return self.task_named(name).apply_async(args, kwargs, **options)

    def signature(self, varies: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """Return a call that is not submitted yet, as :func:`nbtasks.signature` does; by name: a task of this App.

        Raises:
            ConfigError: it is nothing that stands for one.
        """
        task = self.task_named(varies) if isinstance(varies, str) else varies
        return lateparts.signature(task, args, kwargs, **options)

    def AsyncResult(self, id: str) -> Handle:  # noqa: N802 - Celery's name
        """Return the handle of a call by its id, whoever submitted it.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
        """
        return Handle(id, app=self)

    def GroupResult(self, id: str) -> Map:  # noqa: N802 - Celery's name
        """Return the handle of a map by its id, as :meth:`AsyncResult` does that of a call."""
        return Map(id, app=self)

    def lock(self, name: str, timeout: Duration | None = None) -> AppLock:
        """Return a lock for a block, ``with app.lock("db"): ...``, that one process of all machines has at a time.

        ``timeout`` is how long it waits, 0 for not at all; then it raises TimeoutError. It is not reentrant.
        """
        return AppLock(self, name, 1, timeout)

    def semaphore(self, name: str, capacity: int, timeout: Duration | None = None) -> AppLock:
        """Return the same for ``capacity`` at once. Of those who hold it, and say different ones, the least counts."""
        return AppLock(self, name, capacity, timeout)

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
        from .attaching import attached

        return attached(self, id, last)

    def batches(self, *, quiet: bool = False) -> list[Ledger]:
        """Return what was submitted through this app, oldest first (the last 1,000).

        Args:
            quiet: also what shows no card by itself, such as single calls: what has not ended, or is still held.
        """
        engine = self._opened.engine
        return engine.registry.recent(quiet=quiet) if engine is not None else []

    # -- periodic tasks

    def add_periodic_task(
        self,
        schedule: Any,
        sig: Any,
        args: Any = None,
        kwargs: Any = None,
        name: str | None = None,
        *,
        missed: Missed = "latest",
        overlap: bool = False,
        jitter: Duration = 0,
        keep: bool = False,
        tz: Any = None,
        **options: Unpack[CallKeywords],
    ) -> PeriodicTask:
        """Have a task called again and again. One of the same name is replaced; its history, and a pause, stay.

        At once, where a notebook, a script or a function says it; it then ends with this process, unless ``keep``. What
        a module says while it is imported is declared: ``nbtasks beat -A``, ``nbtasks worker -A`` and
        :meth:`start_workers` put it.

        Args:
            schedule: ``crontab(...)``, a timedelta, seconds, a text such as ``15m`` or ``0 6 * * *``.
            sig: what is called: ``task.s(...)``, a task, or the name of one.
            args: more arguments, before those of ``sig``.
            kwargs: more keyword arguments.
            name: of the periodic task; None: made of the call.
            missed: what is done about due times at which nobody was there to fire: ``skip`` leaves them out, ``latest``
                fires the last one, ``all`` the last hundred.
            overlap: whether a run may begin while the one before goes on; else that due time is left out.
            jitter: each run begins up to so much later, by chance.
            keep: it goes on when this process has ended, until it is removed.
            tz: time zone of a crontab; None: the setting ``timezone``, else this machine's.
            options: those of ``apply_async``, for each run; ``expires`` counts from each due time.

        Raises:
            ConfigError: the schedule says nothing, ``sig`` is no call of one task, or an option makes no sense here.
        """
        terms = {"missed": missed, "overlap": overlap, "jitter": jitter, "keep": keep, "tz": tz}
        return self.declared.add(schedule, sig, args, kwargs, name, terms, options)

    def periodic_tasks(self) -> list[PeriodicTask]:
        """Return the periodic tasks of the namespace, the next one first."""
        from .periodic.declared import periodic_tasks

        return periodic_tasks(self)

    def periodic_task(self, name: str) -> PeriodicTask:
        """Return the handle of a periodic task by its name, whoever has made it."""
        from .periodic.periodictask import PeriodicTask

        return PeriodicTask(name, self)

    # -- workers

    @documented(WorkerKeywords, WorkerOptions.defaults())
    def start_workers(
        self, n: int | None = None, *, timeout: Duration | None = 30.0, **options: Unpack[WorkerKeywords]
    ) -> None:
        """Have ``n`` worker processes on this machine, ready when this returns. Doing it again changes nothing.

        But if the working folder or ``os.environ`` were changed here since then, new ones take their place.

        They end with this process, unless ``keep``.

        Args:
            n: children; what the settings say, else as many as this process may use CPUs, if None.
            timeout: seconds until it is given up.
            options: as below.

        Raises:
            ConfigError: an unknown option or a bad value.
            WorkersError: they did not come up; the message has the end of their log.
        """
        self.need("start_workers")
        # Not after they were begun: nobody would end them.
        self._check_open()
        if self._eager is not None:
            # There is nothing for them to do.
            return
        own = of_workers(self.conf)
        most = own.pop("concurrency", None) or usable_cpus()
        wanted = WorkerOptions.make(n if n is not None else most, {**own, **options}, self.include)
        most_s = patience(timeout)
        workers = self.local_workers
        workers.begin(wanted)
        # The worker starts meanwhile.
        _ = self.engine
        if wanted.beat is not False and not self.declared.is_empty:
            self.declared.apply(owner="")
        workers.wait(LONGEST_S if most_s is None else most_s)

    @property
    def local_workers(self) -> LocalWorkers:
        """The workers that this process has started."""
        self.need("start_workers", "local_workers")
        with self._lock:
            opened = self._opened
            if opened.workers is None:
                opened.workers = LocalWorkers(self.connection, opened.note_worker_death, opened.hindrance)
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

    @property
    def control(self) -> Control:
        """Tells workers something, or asks them, on any machine."""
        from .control.control import Control

        self.need("control")
        return Control(self)

    def dashboard(self, *, readonly: bool = False) -> Dashboard:
        """Return the dashboard of the namespace: a cell of a notebook that ends with it shows it, live.

        ``nbtasks dashboard`` serves the same as a web page. With ``readonly`` nothing can be done there.
        """
        self.need("dashboard", "dashboard()")
        return Dashboard(self, readonly)

    def stranded(self) -> list[Stranded]:
        """Return what waits for a worker of another kind than those that are there: another Python, another key."""
        return self.engine.stranded(self.workers())


def _make_default() -> App:
    if context.serving:
        # In a worker: the same broker, whatever the environment says.
        serving = context.serving[0]
        return App("in a worker", connection=serving.connection, include=serving.include)
    return App()


def _make_at(name: str, connection: Connection, include: Sequence[str]) -> App:
    return App(name, connection=connection, include=include)


def _rebuilt(function: Callable[..., Any], options: TaskOptions, home: Home | None = None) -> Task:
    """Rebuild a pickled task; ``home`` is its App's, None where that is the one that runs it, or it has none."""
    return (
        function.task.at(home, options) if isinstance(function, TaskBody) else Task(function, options, home)
    )


current.make.append(_make_default)
current.make_at.append(_make_at)
current.rebuild.append(_rebuilt)
