"""What only some brokers need is imported when the first one of them is opened, in whatever thread that is.

A fork waits until it is there: a copy of a process in the midst of an import would wait for ever for a thread that it
does not have. So each import of that kind stands in ``with importing:``.
"""

from __future__ import annotations

# Before it is said what a fork does first: of several, the last one that was said is done first. Libraries ask for
# loggers while they are imported, so a fork that had the lock of logging already would wait for ever here.
import logging  # noqa: F401
import os
import threading

#: Held by who imports, and by who forks.
importing = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release
    )
