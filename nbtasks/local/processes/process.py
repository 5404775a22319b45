"""One worker process and the pipe protocol with it.

Its standard input gets one line of JSON, ``{"connection": ..., "options": ..., "again": bool}``, and stays open as the
life line: the end of the pipe means that this process has died. Its standard output gives one line back,
``{"ready": true, "worker": id, "pid": n}`` or ``{"error": text}``. The key goes through the pipe only: a
command line can be read by everybody on the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtasks.core.errors import WorkersError
from nbtasks.local import hindrance

from .proctree import kill_tree
from .setting import setting

if TYPE_CHECKING:
    from nbtasks.core.workeroptions import WorkerOptions
    from nbtasks.local.connection import Connection

    from .workerlog import WorkerLog

#: Runs a worker, whatever lies in the working folder: a module there that bears the name of a standard one must not be
#: what this package imports. The worker puts the folder in its place when it has imported what it needs itself.
_CODE = (
    "import sys; sys.path[:] = [path for path in sys.path if path]; place = sys.argv.pop(); "
    "place in sys.path or sys.path.append(place); "
    "import runpy; runpy.run_module('nbtasks.worker', run_name='__main__', alter_sys=True)"
)
#: What is started, after the interpreter; the last word is where this package lies.
COMMAND = ("-c", _CODE, str(Path(__file__).parent.parent.parent.parent))


class WorkerProcess:
    """A supervisor process in a session of its own: no signal to this process's group reaches it."""

    def __init__(
        self, connection: Connection, options: WorkerOptions, log: WorkerLog, again: bool = False
    ) -> None:
        """Start the process; it is not ready yet.

        Args:
            again: in the place of one that was ready and has died: the broker may be away for the moment.

        Raises:
            WorkersError: the interpreter cannot be started.
        """
        # Takes 10 ms, which nobody shall pay who starts no workers.
        import subprocess

        self._owner = os.getpid()
        self.setting = setting()
        output = -1
        try:
            output = log.open()
            self._process = subprocess.Popen(
                [sys.executable, *COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                start_new_session=True,
                env={**os.environ, **options.env},
            )
        except OSError as error:
            reason = hindrance.explain(error)
            raise WorkersError(f"{sys.executable} cannot be started: {reason}") from error
        finally:
            if output >= 0:
                os.close(output)
        _started.add(self)
        self._send(connection, options, again)

    def _send(self, connection: Connection, options: WorkerOptions, again: bool) -> None:
        settings = {"connection": connection.to_json(), "options": options.to_json(), "again": again}
        assert self._process.stdin is not None
        # Where it is dead already, its exit code says more than the broken pipe.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(settings).encode() + b"\n")

    @property
    def pid(self) -> int:
        """The process id, also that of its session and process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def answer(self) -> dict[str, Any] | None:
        """Wait for the process's answer; None where it ended without one."""
        assert self._process.stdout is not None
        try:
            found = json.loads(self._process.stdout.readline())
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def wait(self) -> int:
        """Wait for the end; return the exit code, the signal's number with a minus for a killed process."""
        code = self._process.wait()
        self.drop_pipes()
        return code

    def ask_warm(self) -> None:
        """Ask it to take no more calls, to end those it runs, and to go."""
        self._signal(signal.SIGTERM)
        # If a task has stopped it, it hears nothing before.
        self._signal(signal.SIGCONT)

    def ask_cold(self) -> None:
        """Ask it to go at once."""
        self._signal(signal.SIGQUIT)
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process, its children and what those have started by force."""
        if os.getpid() == self._owner and self.alive:
            kill_tree(self.pid)

    def drop_pipes(self) -> None:
        """Close our ends of both pipes."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        if os.getpid() == self._owner:
            self._process.send_signal(number)


#: Exit code of a worker that somebody has told to end, who is not the process that has started it.
DISMISSED = 75


def describe_exit(code: int) -> str:
    """Return how a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"


_started: weakref.WeakSet[WorkerProcess] = weakref.WeakSet()


def _drop_inherited() -> None:
    # A forked child that outlives this process would otherwise hold the life line.
    for process in list(_started):
        process.drop_pipes()
    _started.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited)
