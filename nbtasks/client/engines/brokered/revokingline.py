"""Revokes that come one after another, as of a loop over handles: done together, so that each costs next to nothing."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger
    from nbtasks.core.stopsignal import Terminate

    #: Revokes calls of some batches, with their indexes.
    Together = Callable[[dict[Ledger, list[int]], Terminate], None]

_log = logging.getLogger("nbtasks")
#: Seconds after the end of one within which another one is the next of a loop.
_LOOP_S = 0.05
#: Seconds in which more may come.
_GATHER_S = 0.05


class RevokingLine:
    """The line of a session. The first revoke of a loop does not stand in it: whoever revokes once gets its errors.

    Args:
        together: does what has gathered.
    """

    def __init__(self, together: Together) -> None:
        self._together = together
        self._changed = threading.Condition()
        self._waiting: list[tuple[Ledger, int, Terminate]] = []
        self._thread: threading.Thread | None = None
        self._ended_at = float("-inf")
        self._asked = False
        self._pid = os.getpid()

    def is_loop(self) -> bool:
        """Whether what is revoked now is the next call of a loop."""
        return self._thread is not None or time.monotonic() - self._ended_at <= _LOOP_S

    def put(self, batch: Ledger, index: int, terminate: Terminate) -> None:
        """Put a call into the line."""
        with self._changed:
            batch.revoked.line = self
            self._waiting.append((batch, index, terminate))
            if self._thread is None:
                # No daemon: what was asked for at the end of a script is still done.
                self._thread = threading.Thread(target=self._run, name="nbtasks-revoking")
                self._thread.start()

    def note_end(self) -> None:
        """A call has been revoked that stood in no line."""
        self._ended_at = time.monotonic()

    def wait(self) -> None:
        """Wait until all is done that was asked for. Not on threads of the library: it is done with their help."""
        if self._thread is None or self._pid != os.getpid():
            return
        if threading.current_thread().name.startswith("nbtasks"):
            return
        with self._changed:
            self._asked = True
            self._changed.notify_all()
            while self._thread is not None:
                self._asked = True
                # In short steps, so that the Stop button gets through on every platform.
                self._changed.wait(0.25)

    def _run(self) -> None:
        while True:
            with self._changed:
                # Whoever asks for a state need not wait for more to come.
                self._changed.wait_for(lambda: self._asked, _GATHER_S)
                self._asked = False
                taken, self._waiting = self._waiting, []
                if not taken:
                    self._thread, self._ended_at = None, time.monotonic()
                    self._asked = False
                    self._changed.notify_all()
                    return
            for terminate, asked in _gathered(taken):
                try:
                    self._together(asked, terminate)
                except Exception as error:
                    calls = sum(map(len, asked.values()))
                    _log.warning(
                        "%d calls could not be revoked: %s. Revoke them again when it is mended", calls, error
                    )


def _gathered(
    taken: list[tuple[Ledger, int, Terminate]],
) -> Iterator[tuple[Terminate, dict[Ledger, list[int]]]]:
    """Yield how calls are to be revoked, and those that are in a row so: by batch, each once, in order."""
    for terminate, many in groupby(taken, key=lambda one: one[2]):
        found: dict[Ledger, set[int]] = {}
        for batch, index, _ in many:
            found.setdefault(batch, set()).add(index)
        yield terminate, {batch: sorted(indexes) for batch, indexes in found.items()}
