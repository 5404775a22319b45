"""Keeps one worker running: a thread that starts the process again when it dies unasked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import WorkersError
from nbtasks.local import hindrance

from .process import DISMISSED, WorkerProcess, describe_exit
from .setting import setting

if TYPE_CHECKING:
    from nbtasks.core.workeroptions import WorkerOptions
    from nbtasks.local.connection import Connection

    from .workerlog import WorkerLog

_BEFORE_NEXT_START = Backoff(0.1, 10.0)
#: A worker that lived so long does not count as a quick death.
STEADY_AFTER_S = 10.0
QUICK_DEATHS = 5
COLD_S = 5.0


@dataclass(frozen=True)
class UpkeepCallbacks:
    """What wants to know. All are called on the upkeep's thread."""

    #: The worker is ready for the first time.
    on_ready: Callable[[Upkeep], None]
    #: A worker, whose id it gets, died unasked; the next start comes after this returns.
    on_death: Callable[[str], None]
    #: Nothing runs any more and nothing will be started.
    on_over: Callable[[Upkeep], None]


class Upkeep:
    """One worker with fixed options.

    Attributes:
        options: how it was asked for.
        worker_id: the id of the worker that is, or was, ready last.
        settled: set when the first start has come to an end, good or bad.
        over: set when nothing runs any more and nothing will be started.
        problem: why it is over, None where it was asked to stop.
        was_dismissed: somebody's order has ended it.
    """

    def __init__(
        self, connection: Connection, options: WorkerOptions, log: WorkerLog, callbacks: UpkeepCallbacks
    ) -> None:
        self.options = options
        self.worker_id: str | None = None
        self.settled = threading.Event()
        self.over = threading.Event()
        self.problem: str | None = None
        self.was_dismissed = False
        self._connection = connection
        self._log = log
        self._callbacks = callbacks
        self._lock = threading.Lock()
        self._asked_to_stop = threading.Event()
        self._up = False
        self._quick_deaths = 0
        self._log_mark = log.size()
        self._process = WorkerProcess(connection, options, log)
        self._thread = threading.Thread(target=self._watch, name="nbtasks-workers", daemon=True)

    def start(self) -> None:
        """Watch over the process.

        Raises:
            WorkersError: this machine has no thread left for that; the process is ended again.
        """
        try:
            self._thread.start()
        except RuntimeError as error:
            self._process.kill()
            self._process.wait()
            self.problem = f"its process cannot be watched: {hindrance.explain_any(error)}"
            self.over.set()
            self.settled.set()
            raise WorkersError(f"local workers cannot be started: {self.problem}") from error

    @property
    def is_up(self) -> bool:
        """Whether the process runs and is ready."""
        return self._up and self._process.alive

    @property
    def pid(self) -> int:
        """The process id of the supervisor that runs now, or ran last."""
        return self._process.pid

    @property
    def changes(self) -> str:
        """What has changed here since the process was started that tasks may see; empty where nothing has."""
        return setting().changes(self._process.setting, self.options.env)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines that the last process wrote."""
        return self._log.tail(lines, self._log_mark)

    def stop_warm(self) -> None:
        """Let the worker end its calls and go; do not wait for that."""
        with self._lock:
            if not self._asked_to_stop.is_set():
                self._asked_to_stop.set()
                self._process.ask_warm()

    def ask_cold(self, problem: str | None = None) -> None:
        """Tell the worker to go at once, because of ``problem`` if there is one."""
        with self._lock:
            self._asked_to_stop.set()
            self.problem = self.problem or problem
            self._process.ask_cold()

    def enforce(self) -> None:
        """Return when the worker is gone, by force after COLD_S seconds."""
        if not self.over.wait(COLD_S):
            self._process.kill()
            self.over.wait(COLD_S)

    # the thread

    def _watch(self) -> None:
        try:
            while self._run_one():
                pass
        finally:
            self._up = False
            self.over.set()
            self.settled.set()
            self._callbacks.on_over(self)

    def _run_one(self) -> bool:
        """See one process through its life; return whether there is a next one."""
        started_at = time.monotonic()
        answer = self._process.answer() or {}
        was_ready = answer.get("ready") is True
        if was_ready:
            self._greet(str(answer.get("worker")))
        code = self._process.wait()
        self._up = False
        if self._asked_to_stop.is_set():
            return False
        what = str(answer.get("error") or f"the worker process {describe_exit(code)}")
        if not self.settled.is_set():
            self.problem = what if "error" in answer else f"{what} before it was ready"
            return False
        if code == DISMISSED:
            self.was_dismissed = True
            self.problem = (
                "somebody has told the worker to end (shutdown); start_workers() starts another one"
            )
            return False
        if was_ready and self.worker_id:
            self._callbacks.on_death(self.worker_id)
        return self._start_again(what, time.monotonic() - started_at)

    def _greet(self, worker_id: str) -> None:
        self.worker_id = worker_id
        self._up = True
        if not self.settled.is_set():
            self._callbacks.on_ready(self)
            self.settled.set()

    def _start_again(self, what: str, lived_s: float) -> bool:
        self._quick_deaths = 1 if lived_s > STEADY_AFTER_S else self._quick_deaths + 1
        if self._quick_deaths >= QUICK_DEATHS:
            self.problem = f"{what}, {QUICK_DEATHS} times in a row; it is not started again"
            return False
        if self._asked_to_stop.wait(_BEFORE_NEXT_START.after(self._quick_deaths)):
            return False
        with self._lock:
            if self._asked_to_stop.is_set():
                return False
            self._log_mark = self._log.size()
            try:
                self._process = WorkerProcess(self._connection, self.options, self._log, again=True)
            except WorkersError as error:
                self.problem = str(error)
                return False
        return True
