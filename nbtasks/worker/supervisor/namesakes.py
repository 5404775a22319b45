"""Other workers that have the name of this one: lists, logs and orders could not tell them apart."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

from nbtasks.broker.verbs.fleet import Fleet

from .identity import Identity


def namesakes(fleet: Fleet, me: Identity) -> Iterator[str]:
    """Yield a sentence for each worker of the namespace that is there and has this one's name.

    Raises:
        OperationalError: the broker does not answer.
    """
    for worker, shown in fleet.workers().items():
        if worker != me.id and shown.name == me.name and _may_live(shown.host, shown.pid):
            yield (
                f"another worker is called {me.name!r}, too: on host {shown.host}, pid {shown.pid}. Both take calls, "
                "and lists and logs cannot tell them apart: stop one of them, or give this one a name of its own, "
                "-n w2@%h"
            )


def _may_live(host: str, pid: int) -> bool:
    """Whether a process may be there: one that was killed here a moment ago has its lease for some seconds more."""
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
