"""A worker started by another process: settings come on standard input, readiness goes to standard output.

The first line of standard input is ``{"connection": ..., "options": ..., "again": bool}``. One that is started again
waits for its broker as long as it takes. The pipe then stays open: its end means
that the parent has died, and the worker stops.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys

from nbtasks.core.errors import NbtasksError
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local import hindrance
from nbtasks.local.processes.process import DISMISSED

#: The process that starts a worker starts the embedded server at the same time; either may be first.
BROKER_PATIENCE_S = 15.0
#: Any other server was there a moment ago, and one connection may be cut.
CUT_PATIENCE_S = 2.0


def main() -> int:
    """Serve until told to stop; returns the exit code."""
    settings = json.loads(_first_line(0))
    # The task's own reads and prints must touch neither the life line nor the answer.
    life_line, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    # What is imported stays: it need not be searched for garbage again and again while it grows.
    gc.disable()
    try:
        from nbtasks.broker.legs import open_leg
        from nbtasks.local.connection import Connection
        from nbtasks.local.server.embedded import join
        from nbtasks.local.server.serverplace import is_embedded

        from .searching import search_here
        from .supervisor.supervisor import Supervisor

        options = WorkerOptions.from_json(settings["options"])
        connection = Connection.from_json(settings["connection"])
        open_leg(connection)
        gc.enable()
        # Not before: what this package imports must not be found there.
        search_here()
        patience_s: float | None = BROKER_PATIENCE_S if is_embedded(connection.url) else CUT_PATIENCE_S
        if settings.get("again"):
            patience_s = None
        supervisor = Supervisor(connection, options, patience_s)
        with contextlib.ExitStack() as held:

            def on_ready(fact: dict[str, object]) -> None:
                # A worker that outlives its starter keeps the embedded server from ending with it, and brings it back.
                # Not before: the server may be started after the worker, and children are forked without threads.
                lease = join(connection.url) if options.keep else None
                if lease is not None:
                    held.callback(lease.keep_up().close)
                _answer(answers, fact)

            code = supervisor.run(life_line=None if options.keep else life_line, on_ready=on_ready)
            return DISMISSED if supervisor.was_dismissed else code
    except NbtasksError as error:
        _answer(answers, {"error": str(error)})
        return 1
    except (OSError, RuntimeError) as error:
        # This machine refuses something: that is said, and the log has where.
        _answer(answers, {"error": hindrance.explain_any(error)})
        raise


def _first_line(fd: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(fd, 1)
        if not byte:
            sys.exit("no settings on standard input; start a worker by hand with `nbtasks worker`")
        line += byte
    return line


def _answer(fd: int, fact: dict[str, object]) -> None:
    try:
        os.write(fd, json.dumps(fact).encode() + b"\n")
    except OSError:
        return


if __name__ == "__main__":
    from . import end_soon

    sys.exit(end_soon(main()))
