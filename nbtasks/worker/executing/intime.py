"""What asks a user's objects after their call, who may never answer: done beside the call, for some seconds at most."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from nbtasks.core.context import CurrentCall, set_current
from nbtasks.core.interruption import raise_in

#: Seconds for what is told to stop to do so.
_GRACE_S = 0.1


def do_in_time(action: Callable[[], None], call: CurrentCall, most_s: float) -> bool:
    """Do something as the call, for some seconds at most; returns whether it was done."""
    context = contextvars.copy_context()
    context.run(set_current, call)
    # A thread can be stopped, and left alone where that does not help.
    thread = threading.Thread(target=context.run, args=(action,), name="nbtasks-asking", daemon=True)
    thread.start()
    thread.join(most_s)
    if not thread.is_alive():
        return True
    if thread.ident is not None:
        raise_in(thread.ident, SystemExit)
        thread.join(_GRACE_S)
    return False
