"""Worker processes of this machine: ready when asked for, replaced when they die, gone with this process."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nbtasks.core.errors import WorkersError
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.core.warning import warn
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local.connection import Connection

from .upkeep import Upkeep, UpkeepCallbacks
from .workerlog import WorkerLog

START_TIMEOUT_S = 30.0
TRIM_EVERY_S = 30.0


#: Seconds that replaced workers have to go before the new ones are said to be ready.
RETIRE_S = 1.0


class LocalWorkers:
    """The workers of one App on this machine: one supervisor process with its children.

    Safe to use from several threads.

    Attributes:
        problem: why the workers are down and stay down, with the tail of their log; None while all is well.
    """

    __stays_here__ = "the workers belong to this process; nbtasks.App.current().workers() lists them there"
    __reduce_ex__ = refuse_to_travel

    def __init__(
        self,
        connection: Connection,
        on_exit: Callable[[str], None] | None = None,
        hindrance: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            connection: what the workers connect to.
            on_exit: called with the worker's id, on a thread of its own, when a supervisor died unasked,
                before the next one is started.
            hindrance: why no worker could come up now, as far as that is known where they are started.
        """
        self.problem: str | None = None
        #: A forked child has a copy of this object, but the workers are its parent's.
        self._owner = os.getpid()
        self._connection = connection
        self._on_exit = on_exit
        self._hindrance = hindrance
        self._callbacks = UpkeepCallbacks(self._promote, self._report_death, self._let_go)
        self._lock = threading.RLock()
        self._log: WorkerLog | None = None
        self._closing = threading.Event()
        #: Takes calls.
        self._serving: Upkeep | None = None
        #: Takes the place of the serving one as soon as it is ready.
        self._coming: Upkeep | None = None
        #: Were told to stop and may still run calls.
        self._leaving: list[Upkeep] = []

    def __repr__(self) -> str:
        return f"<LocalWorkers {f'pid {self.pid}' if self.running else 'not running'}>"

    @property
    def running(self) -> bool:
        """Whether a supervisor is up and ready."""
        serving = self._serving
        return serving is not None and serving.is_up

    def outdated(self) -> dict[str, str]:
        """Return the id of the worker that runs, and what has changed here since it was started; else nothing."""
        serving = self._serving
        if serving is None or serving.worker_id is None or not serving.is_up or os.getpid() != self._owner:
            return {}
        changes = serving.changes
        return {serving.worker_id: changes} if changes else {}

    @property
    def pid(self) -> int | None:
        """The supervisor's process id; None where there is none."""
        upkeep = self._serving or self._coming
        return upkeep.pid if upkeep else None

    @property
    def worker_id(self) -> str | None:
        """The id under which the broker knows the worker; None where there is none."""
        serving = self._serving
        return serving.worker_id if serving else None

    @property
    def options(self) -> WorkerOptions | None:
        """How the workers run, or are about to run; None where there are none."""
        upkeep = self._coming or self._serving
        return upkeep.options if upkeep else None

    @property
    def log_path(self) -> Path | None:
        """The file with what the workers write to standard error; None before the first start."""
        return self._log.path if self._log else None

    def given_up(self, queue: str) -> str | None:
        """Return in one line why the workers of a queue are down and stay down; None where they are not."""
        problem, options = self.problem, self.options
        if problem is None or options is None or queue not in options.queues:
            return None
        return problem.partition("\n")[0]

    def log_tail(self, n: int = 20) -> str:
        """Return the last ``n`` lines of the log."""
        return self._log.tail(n) if self._log else ""

    def begin(self, options: WorkerOptions) -> None:
        """Converge to ``options``, without waiting: go on with :meth:`wait`.

        Nothing happens where they run already. Workers with other options, or started before the working folder or
        the environment was changed here, are replaced: the new ones start,
        then the old ones take no more calls, end those they run and go.

        Raises:
            WorkersError: no process can be started.
            ConfigError: the state folder cannot be used.
        """
        if sys.platform == "win32":
            raise WorkersError(
                "local workers run on Linux and macOS only: use Python in WSL, "
                "or start `nbtasks worker` on another machine"
            )
        with self._lock:
            if self._is_served(options):
                return
            if self._coming:
                self._dismiss(self._coming)
                self._coming = None
            self._coming = Upkeep(self._connection, options, self._open_log(), self._callbacks)
            self.problem = None
            try:
                self._coming.start()
            except WorkersError:
                self._coming = None
                raise

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when the workers are ready that :meth:`begin` has started.

        Raises:
            WorkersError: the workers did not come up in time; carries the tail of their log. Workers that ran
                before go on.
        """
        with self._lock:
            upkeep = self._coming
        if upkeep is None:
            return
        if not upkeep.settled.wait(timeout_s):
            hindrance = self._hindrance()
            upkeep.ask_cold(f"not ready within {timeout_s:g} s{f': {hindrance}' if hindrance else ''}")
            upkeep.enforce()
        if upkeep.problem is None:
            # Those that it replaces stop taking calls; they are gone at once unless they run some.
            with self._lock:
                leaving = list(self._leaving)
            for old in leaving:
                old.over.wait(RETIRE_S)
            return
        with self._lock:
            if self._coming is upkeep:
                self._coming = None
        tail = upkeep.log_tail()
        raise WorkersError(f"local workers did not start: {upkeep.problem}", tail and f"Their log:\n{tail}")

    def stop(self, cold: bool = False, timeout_s: float | None = None) -> bool:
        """Stop the workers and wait until they are gone; return whether they are.

        Args:
            cold: do not let running calls end.
            timeout_s: seconds to wait for running calls; None waits as long as they take. When the time is up
                the workers still finish what they run, and go then.
        """
        if os.getpid() != self._owner:
            return True
        with self._lock:
            for upkeep in (self._serving, self._coming):
                if upkeep:
                    self._dismiss(upkeep)
            self._serving = self._coming = None
            leaving = list(self._leaving)
        if cold:
            _stop_cold(leaving)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for upkeep in leaving:
            upkeep.over.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return all(upkeep.over.is_set() for upkeep in leaving)

    def close(self) -> None:
        """Let go of the log; workers that run are not touched. Nothing is started after this."""
        self._closing.set()
        atexit.unregister(self._at_exit)

    def _is_served(self, options: WorkerOptions) -> bool:
        upkeep = self._coming or self._serving
        return (
            upkeep is not None
            and upkeep.options == options
            and not upkeep.over.is_set()
            and not upkeep.changes
        )

    def _dismiss(self, upkeep: Upkeep) -> None:
        if not upkeep.over.is_set():
            self._leaving.append(upkeep)
            upkeep.stop_warm()

    def _open_log(self) -> WorkerLog:
        if self._log is None:
            self._log = WorkerLog.new()
            # Where there is no thread left for it, none will be left for what is worth a log, either.
            with contextlib.suppress(RuntimeError):
                threading.Thread(target=self._trim_log, name="nbtasks-workers-log", daemon=True).start()
            atexit.register(self._at_exit)
        return self._log

    def _trim_log(self) -> None:
        while self._log and not self._closing.wait(TRIM_EVERY_S):
            self._log.trim()

    def _at_exit(self) -> None:
        self._closing.set()
        if os.getpid() != self._owner:
            return
        with self._lock:
            known = [upkeep for upkeep in (self._serving, self._coming, *self._leaving) if upkeep]
        _stop_cold([upkeep for upkeep in known if not upkeep.options.keep])

    # Called by upkeeps, on their threads.

    def _promote(self, upkeep: Upkeep) -> None:
        with self._lock:
            if upkeep is self._coming:
                before, self._serving, self._coming = self._serving, upkeep, None
                if before:
                    self._dismiss(before)

    def _report_death(self, worker_id: str) -> None:
        if self._on_exit is None:
            return
        try:
            self._on_exit(worker_id)
        except Exception as error:  # noqa: BLE001 - whatever a callback does, the next worker must start
            sys.stderr.write(f"nbtasks: on_exit for worker {worker_id} raised {error!r}\n")

    def _let_go(self, upkeep: Upkeep) -> None:
        with self._lock:
            if upkeep in self._leaving:
                self._leaving.remove(upkeep)
                return
            if upkeep is not self._serving:
                return
            self.problem = f"{upkeep.problem}\n{upkeep.log_tail()}".rstrip()
        if upkeep.problem and not upkeep.was_dismissed:
            # Who waits in get() would hear nothing. Where warnings are errors, this is nobody's call to fail.
            with contextlib.suppress(Warning):
                warn(
                    f"local workers of queue {', '.join(upkeep.options.queues)} were given up: {upkeep.problem}. Calls "
                    "wait until start_workers() or %workers start starts them anew; local_workers.log_tail() says more"
                )


def _stop_cold(upkeeps: list[Upkeep]) -> None:
    for upkeep in upkeeps:
        upkeep.ask_cold()
    for upkeep in upkeeps:
        upkeep.enforce()
