"""Take calls from the broker and run them in children that can be stopped and replaced."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.core.workeroptions import WorkerOptions
    from nbtasks.local.connection import Connection

_END_S = 5.0


def run(
    connection: Connection,
    options: WorkerOptions,
    on_ready: Callable[[dict[str, Any]], None] | None = None,
    tasks: Callable[[], list[str]] = list,
) -> int:
    """Run a worker in the foreground until it is told to stop; returns the exit code.

    TERM and the first INT let running calls end; QUIT and the second INT do not.

    Args:
        on_ready: called once, when every child is ready.
        tasks: returns the names of those that it has of its own, for its first lines.
    """
    from .supervisor.supervisor import Supervisor

    return Supervisor(connection, options).run(on_ready=on_ready, tasks=tasks)


def end_soon(code: int) -> int:
    """Have this process, whose worker has ended, end as well.

    Modules that it has imported may have threads that go on, or block at exit.

    Returns the code.
    """

    def end() -> None:
        time.sleep(_END_S)
        os._exit(code)

    threading.Thread(target=end, name="nbtasks-end", daemon=True).start()
    return code
