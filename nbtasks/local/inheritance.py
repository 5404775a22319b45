"""What has ended and was inherited by this process, which is the first one of a container: it has to be waited for."""

from __future__ import annotations

import os
import time

_FIRST_PID = 1
_PATIENCE_S = 1.0


def collect(group: int) -> None:
    """Wait for processes of a group of ours that end now, so that none stays as a zombie; elsewhere init does that."""
    if os.getpid() != _FIRST_PID or group <= 1:
        return
    give_up_at = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up_at:
        try:
            # Only of that group: what else this process has started is waited for by who has started it.
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                time.sleep(0.005)
        except ChildProcessError:
            return
