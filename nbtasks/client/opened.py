"""What an App has opened: the way to its server, its engine, its local workers. They end together."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

from nbtasks.core.errors import BrokerUnavailable, ConfigError, OperationalError
from nbtasks.local import hindrance
from nbtasks.local.server import listening

# Not when it is first needed: a fork in the midst of an import leaves a child with half a module.
from .engines.brokered.brokeredengine import BrokeredEngine

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from nbtasks.core.brokerfacts import BrokerFacts
    from nbtasks.local.connection import Connection, Resolving
    from nbtasks.local.processes.workers import LocalWorkers
    from nbtasks.local.server.embeddedlease import EmbeddedLease

    from .batches.engine import Engine
    from .engines.executors.executorengine import ExecutorEngine
    from .futures.futureline import FutureLine

_log = logging.getLogger("nbtasks")
#: Seconds that running calls have to end when an App is closed.
CLOSE_S = 10.0
#: Seconds that an embedded server may need to be there again after it was killed.
REVIVAL_S = 10.0


class Opened:
    """Belongs to one App, and does not know it: so it can be closed when nobody holds that any more.

    Attributes:
        resolving: a server on its way, None when it is there.
        lease: on the embedded server, if that is the one.
        engine: what brings calls to workers, once it is needed.
        workers: local ones.
        rejoin: acquires one, in a process that was forked off.
    """

    def __init__(self) -> None:
        self.resolving: Resolving | None = None
        self.lease: EmbeddedLease | None = None
        self.engine: Engine | None = None
        #: Tells others that a worker is dead.
        self._bury: Callable[[str], None] = lambda _: None
        #: Says why the server takes nothing.
        self._write_problem: Callable[[], str | None] = lambda: None
        self.workers: LocalWorkers | None = None
        self.rejoin: Callable[[], EmbeddedLease | None] | None = None
        #: Who follows calls of the engine, and has to hear that it tells nothing any more.
        self.followers: weakref.WeakSet[FutureLine] = weakref.WeakSet()

    def note_worker_death(self, worker_id: str) -> None:
        """Have a dead worker's calls given back at once, without waiting for its lease."""
        if self.engine is not None and self.engine.usable:
            self._bury(worker_id)

    def hindrance(self) -> str | None:
        """Return why no worker could begin, where that is the server's fault."""
        try:
            return self._write_problem() if self.engine is not None and self.engine.usable else None
        except OperationalError as error:
            return str(error)

    @property
    def unsent(self) -> str:
        """What is to be said of calls that could not be handed over before it was closed."""
        return self.engine.unsent if self.engine is not None else ""

    def workers_given_up(self, queue: str) -> str | None:
        """Return why local workers of a queue are not started any more; None where they are."""
        return None if self.workers is None else self.workers.given_up(queue)

    def connect(
        self,
        name: str,
        connection: Connection,
        result_expires_s: float,
        result_limit: int,
        include: Sequence[str],
    ) -> BrokeredEngine:
        """Return an engine on a server that is there, or about to be there again.

        Args:
            name: the App's, for messages.
            result_expires_s, result_limit, include: as of :class:`BrokeredEngine`.
        """
        give_up_at = time.monotonic() + REVIVAL_S
        while True:
            try:
                engine = BrokeredEngine(connection, result_expires_s, result_limit, include)
                engine.know_own_workers(self.workers_given_up)
                self._bury, self._write_problem = engine.bury, engine.write_problem
                return engine
            except RuntimeError as error:
                # Too many threads: everything else of ours says what it is.
                reason = hindrance.explain_any(error)
                raise ConfigError(f"App {name!r} cannot connect: {reason}") from error
            except BrokerUnavailable:
                # One of ours that was killed a moment ago is about to be back.
                lease = self.lease
                if lease is None or time.monotonic() > give_up_at:
                    raise
            lease.ensure()
            time.sleep(0.05)

    def execute(
        self, executor: Executor, name: str, result_limit: int, beside: Mapping[str, object]
    ) -> ExecutorEngine:
        """Have an executor run the calls.

        Args:
            name, result_limit: as of :class:`ExecutorEngine`.
            beside: what the App was told besides.

        Raises:
            ConfigError: it is no executor, or does not go with the rest.
        """
        from .engines.executors.executorengine import ExecutorEngine
        from .engines.executors.lacking import check_alone

        check_alone(beside)
        engine = self.engine = ExecutorEngine(executor, name, result_limit)
        return engine

    def facts(self, connection: Connection) -> BrokerFacts:
        """Return what the broker is, over a connection of its own."""
        from nbtasks.broker.lookat import look_at

        return look_at(connection)

    # -- other machines

    def listen(self, where: str | bool, address: str) -> None:
        """Have the embedded server listen for other machines.

        Args:
            address: of the server that is used.

        Raises:
            ConfigError: it is another one.
        """
        if self.lease is None:
            raise ConfigError(
                f"listen: only the embedded server can be made to listen, and this App uses {address}"
            )
        listening.open_listener(self.lease, where)

    def listen_no_more(self) -> None:
        """Have it listen no more; earlier invitations are void."""
        if self.lease is not None:
            listening.close_listener(self.lease)

    @property
    def listening(self) -> tuple[str, int] | None:
        """Host and port where it listens; None where it does not."""
        return self.lease.listening() if self.lease is not None else None

    def for_others(self, connection: Connection, host: str | None = None) -> Connection | None:
        """Return the connection to the embedded server for other machines; None where it does not listen."""
        url = listening.listener_url(self.lease, host) if self.lease is not None else None
        return dataclasses.replace(connection, url=url) if url else None

    # -- the end

    def close(self, cold: bool = False) -> None:
        """Stop local workers, close connections, leave the embedded server."""
        if self.workers is not None:
            if not self._keeps_workers(self.workers):
                _end(self.workers, cold)
            self.workers.close()
        if self.engine is not None:
            self.engine.close()
        for follower in list(self.followers):
            follower.look_again()
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
        if self.engine is not None:
            self.engine.disown()
        before = self.lease or self.resolving
        if before is not None:
            self.rejoin = before.anew
        self.engine = self.workers = self.lease = self.resolving = None

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
            if opened.engine is not None:
                opened.engine.flush()
            opened.close(cold=True)
            if opened.unsent:
                _log.error("an App that nobody holds was closed: %s", opened.unsent)
        except Exception:
            _log.exception("an App that nobody holds could not be closed")
        del opened
