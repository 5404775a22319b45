"""Take calls from the broker and run them in children that can be stopped and replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.core.options import WorkerOptions
    from nbtasks.local.connection import Connection


def run(
    connection: Connection, options: WorkerOptions, on_ready: Callable[[dict[str, Any]], None] | None = None
) -> int:
    """Run a worker in the foreground until it is told to stop; returns the exit code.

    TERM and the first INT let running calls end; QUIT and the second INT do not.

    Args:
        on_ready: called once, when every child is ready.
    """
    from .supervisor import Supervisor

    return Supervisor(connection, options).run(on_ready=on_ready)
