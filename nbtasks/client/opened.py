"""What an App has opened: the way to its server, its session, its local workers. They end together."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtasks.local.connection import Resolving
    from nbtasks.local.processes.workers import LocalWorkers
    from nbtasks.local.server.embeddedlease import EmbeddedLease

    from .session import Session

_log = logging.getLogger("nbtasks")
#: Seconds that running calls have to end when an App is closed.
CLOSE_S = 10.0


class Opened:
    """Belongs to one App, and does not know it: so it can be closed when nobody holds that any more.

    Attributes:
        resolving: a server on its way, None when it is there.
        lease: on the embedded server, if that is the one.
        rejoin: acquires one, in a process that was forked off.
    """

    def __init__(self) -> None:
        self.resolving: Resolving | None = None
        self.lease: EmbeddedLease | None = None
        self.session: Session | None = None
        self.workers: LocalWorkers | None = None
        self.rejoin: Callable[[], EmbeddedLease | None] | None = None

    def note_worker_death(self, worker_id: str) -> None:
        """Have a dead worker's calls given back at once, without waiting for its lease."""
        if self.session is not None and self.session.usable:
            self.session.roster.bury(worker_id)

    @property
    def unsent(self) -> str:
        """What is to be said of calls that could not be handed over before it was closed."""
        return self.session.unsent if self.session is not None else ""

    def workers_given_up(self, queue: str) -> str | None:
        """Return why local workers of a queue are not started any more; None where they are."""
        return None if self.workers is None else self.workers.given_up(queue)

    def close(self, cold: bool = False) -> None:
        """Stop local workers, close connections, leave the embedded server."""
        if self.workers is not None:
            if not self._keeps_workers(self.workers):
                _end(self.workers, cold)
            self.workers.close()
        if self.session is not None:
            if self.session.registry.all_unfinished():
                from nbtasks.local.server.leftwork import note_left

                note_left(self.session.connection.url)
            self.session.close()
        if self.resolving is not None:
            self.resolving.close()
        if self.lease is not None:
            self.lease.close()

    def _keeps_workers(self, workers: LocalWorkers) -> bool:
        return workers.options is not None and workers.options.keep

    def forked(self) -> None:
        """Begin anew in a process that was forked off: the same server, and nothing else of the parent's.

        Nothing is opened yet, and what belongs to the parent goes on.
        """
        if self.session is not None:
            self.session.disown()
        before = self.lease or self.resolving
        if before is not None:
            self.rejoin = before.anew
        self.session = self.workers = self.lease = self.resolving = None

    def wait_for_server(self) -> bool:
        """Return when the embedded server is there, if that is the one; and whether it was waited for."""
        if self.rejoin is not None:
            self._keep(self.rejoin())
            self.rejoin = None
            return True
        if self.resolving is None:
            return False
        self._keep(self.resolving.wait())
        self.resolving = None
        return True

    def _keep(self, lease: EmbeddedLease | None) -> None:
        self.lease = lease.keep_up() if lease is not None else None


def _end(workers: LocalWorkers, cold: bool) -> None:
    if not workers.stop(cold, timeout_s=CLOSE_S):
        workers.stop(cold=True)


#: What nobody holds any more, to be closed by a thread of its own: whoever lets go may be anywhere.
_unheld: SimpleQueue[Opened] = SimpleQueue()
_closer: list[threading.Thread] = []


def close_when_unheld(app: object, opened: Opened) -> weakref.finalize[[Opened], object]:
    """Have what an App has opened closed as soon as nobody holds the App; for Apps that are current for nobody."""
    if not _closer or not _closer[0].is_alive():
        _closer[:] = [threading.Thread(target=_close_unheld, name="nbtasks-closer", daemon=True)]
        _closer[0].start()
    finalizer = weakref.finalize(app, _unheld.put, opened)
    finalizer.atexit = False
    return finalizer


def _close_unheld() -> None:
    while True:
        opened = _unheld.get()
        try:
            if opened.session is not None:
                opened.session.flush()
            opened.close(cold=True)
            if opened.unsent:
                _log.error("an App that nobody holds was closed: %s", opened.unsent)
        except Exception:
            _log.exception("an App that nobody holds could not be closed")
        del opened
