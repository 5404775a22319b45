"""The supervisor: keeps children alive, keeps the lease, stops what shall stop. It never runs user code."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import platform
import secrets
import select
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nbtasks.broker.redis.delivery import Delivery
from nbtasks.broker.redis.fleet import Fleet
from nbtasks.broker.redis.keys import Keys
from nbtasks.broker.redis.lanes import Lanes
from nbtasks.broker.redis.link import Link
from nbtasks.broker.redis.server import check
from nbtasks.broker.redis.servertime import ServerClock
from nbtasks.broker.redis.store import Store
from nbtasks.core.address import PYTHON, Address
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import OperationalError, WorkersError
from nbtasks.core.options import WorkerOptions
from nbtasks.core.orders import Shutdown, StopCalls
from nbtasks.local.connection import Connection
from nbtasks.local.processes.maththreads import share_cpus
from nbtasks.local.processes.preloading import import_module
from nbtasks.local.processes.proctree import kill_tree, look_up, send
from nbtasks.local.server.valuefiles import ValueFiles
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.signing import Keyring
from nbtasks.worker import log
from nbtasks.worker.child.child import ChildSettings, child_main
from nbtasks.worker.executing.coroutines import ASYNC_SLOTS
from nbtasks.worker.executing.sidebyside import make_rosters
from nbtasks.worker.isolation.descriptors import DescriptorFile
from nbtasks.worker.jobs.hand import make_hands
from nbtasks.worker.log import LOGGER, log_trouble
from nbtasks.worker.slots import CONCURRENT, IDLE, STARTING, StopOrder, make_slots

from .arrival import Arrival
from .controlstream import Orders
from .deadworkers import Reaper
from .deafchildren import Relief
from .enforcement import Enforcement
from .forkserver import Birth, Death, Forkserver
from .judging import Loss
from .lease import Lease
from .portrait import Portrait
from .recovery import Rescue
from .strangers import Strangers

_TICK_S = 0.25
_RESCUE_EVERY_S = 0.5
#: Seconds between two looks whether all children go on.
_GOING_S = 1.0
#: Seconds that a child which runs nothing has to end; by then it has told what it had to tell, or given that up.
_LEAVE_S = 15.0
_BEFORE_NEXT_CHILD = Backoff(0.1, 10.0)
_RENEW_AGAIN_S = 0.2

WARM, COLD = "warm", "cold"


@dataclass(frozen=True)
class _Rescue:
    """What a dead child held is given back at a time (monotonic), and then the slot is filled again."""

    loss: Loss
    at: float
    respawn_at: float


class Supervisor:
    """One worker: a supervisor and its children.

    Args:
        patience_s: seconds that a broker may need to come up; None to wait for it as long as it takes.
    """

    def __init__(
        self, connection: Connection, options: WorkerOptions, patience_s: float | None = None
    ) -> None:
        self._connection = connection
        self._options = options
        self._patience_s = patience_s
        self._n = 1 if options.pool == "solo" else options.concurrency
        host = socket.gethostname()
        self._id = f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._name = options.name or f"{host}-{os.getpid()}"
        self._keyring = Keyring(connection.keys)
        self._keys = Keys(connection.namespace)
        self._addresses = tuple(
            Address(queue, PYTHON, key_id)
            for queue in dict.fromkeys(options.queues)
            for key_id in self._keyring.ids
        )
        self._codec = Codec(Sealer(self._keyring, connection.namespace))
        self._slots = make_slots(self._n)
        self._hands = make_hands(self._n, self._addresses)
        side_by_side = options.threads if options.pool == "threads" else 0
        self._rosters = make_rosters(self._n, side_by_side + ASYNC_SLOTS)
        self._outputs = [DescriptorFile() for _ in range(self._n)]
        self._pids: dict[int, int] = {}
        identity = {
            "id": self._id,
            "name": self._name,
            "key_id": self._keyring.id,
            "key_ids": list(self._keyring.ids),
        }
        self._portrait = Portrait(identity, options, self._slots, self._rosters, self._pids)
        self._unready_deaths: dict[int, int] = {}
        self._respawn_at: dict[int, float] = {}
        self._enforcement = Enforcement(self._slots, self._rosters, self._pids)
        self._look_in_s = _TICK_S
        #: Since when a child that shall end has had nothing to run (monotonic).
        self._idle_since: dict[int, float] = {}
        self._to_rescue: dict[int, _Rescue] = {}
        self._reminded_at = self._seen_going_at = 0.0
        self._waiting = 0
        self._serial = itertools.count(1)
        self._stopping: str | None = None
        self._signals: list[int] = []
        self._links: list[Link] = []
        self._has_parts = False

    # -- life

    def run(
        self, life_line: int | None = None, on_ready: Callable[[dict[str, Any]], None] | None = None
    ) -> int:
        """Serve until told to stop; returns the exit code.

        Args:
            life_line: a descriptor whose end means that the parent has died.
            on_ready: called once, when every child is ready.
        """
        began = time.monotonic()
        log.set_up(self._options.loglevel)
        os.environ.update(self._options.env)
        share_cpus(self._n)
        self._import_included()
        forkserver = self._start_children()
        self._catch_signals()
        try:
            if self._arrives(life_line, began):
                self._banner()
                self._strangers.start()
                self._main_loop(forkserver, life_line, on_ready)
        finally:
            self._shut_down(forkserver)
        return 0

    def _import_included(self) -> None:
        for module in self._options.include:
            import_module(module, "include")

    def _start_children(self) -> Forkserver:
        life_read, self._life_write = os.pipe()
        settings = ChildSettings(
            self._connection,
            self._options,
            self._id,
            self._name,
            self._addresses,
            self._slots,
            self._hands,
            self._rosters,
            self._outputs,
            life_read,
        )
        forkserver = Forkserver(lambda number: child_main(settings, number), (self._life_write,))
        os.close(life_read)
        for number in range(self._n):
            forkserver.spawn(number)
        return forkserver

    def _arrives(self, life_line: int | None, began: float) -> bool:
        """Take up work with the broker as soon as it is there; False where the worker is to end before."""
        arrival = Arrival(self._patience_s, lambda pause_s: self._ends_within(pause_s, life_line))
        link = self._new_link()
        if not arrival.step(lambda: check(link)):
            return False
        self._make_parts(link)
        self._has_parts = True
        first = (self._lease.start, lambda: self._orders.start(time.monotonic() - began))
        if not all(arrival.step(one) for one in first):
            return False
        self._reaper.start()
        arrival.over()
        return True

    def _ends_within(self, pause_s: float, life_line: int | None) -> bool:
        watched = [] if life_line is None else [life_line]
        return bool(select.select(watched, [], [], pause_s)[0]) or bool(self._signals)

    def _make_parts(self, link: Link) -> None:
        slow = self._new_link()
        files = ValueFiles.beside(self._connection.url, self._connection.namespace)
        self._portrait.place = files.place if files is not None else ""
        self._fleet = Fleet(link, self._keys)
        self._store = Store(link, self._keys)
        self._delivery = Delivery(Lanes(link, self._keys, self._addresses), self._id)
        self._rescue = Rescue(self._delivery, self._store, self._codec, self._name)
        self._relief = Relief(self._delivery, self._id)
        leasing, duties = self._new_link(), self._new_link()
        clock = ServerClock(leasing, self._keys, self._connection.is_local)
        # A lease may be renewed twice: one connection that was cut is no trouble to tell of.
        leasing.patience_s = _RENEW_AGAIN_S
        self._strangers = Strangers(Store(duties, self._keys), self._options.queues, self._addresses)
        self._reaper = Reaper(
            duties, self._keys, self._codec, self._id, self._options.lease_s, self._addresses
        )
        self._lease = Lease(
            Fleet(leasing, self._keys),
            self._id,
            self._options.lease_s,
            clock,
            self._portrait.info,
            self._slots[0].set_lease,
        )
        self._orders = Orders(
            slow,
            Fleet(slow, self._keys),
            self._fleet,
            clock,
            self._codec,
            self._addresses,
            self._id,
            self._obey,
        )

    def _new_link(self) -> Link:
        link = Link(self._connection.url, self._connection.address)
        self._links.append(link)
        return link

    def _banner(self) -> None:
        if not LOGGER.isEnabledFor(20):
            return
        lines = [
            f"nbtasks worker {self._name} (Python {platform.python_version()}, pid {os.getpid()})",
            f"  broker       {self._connection.address} ({self._connection.source})",
            f"  namespace    {self._connection.namespace}, key {self._keyring.id}",
            f"  queues       {', '.join(self._options.queues)}",
            f"  concurrency  {self._n} ({self._options.pool}"
            + (f", {self._options.threads} threads each)" if self._options.pool == "threads" else ")"),
        ]
        os.write(2, ("\n".join(lines) + "\n").encode())

    # -- the main loop

    def _catch_signals(self) -> None:
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(wake_write, False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, lambda got, _: self._signals.append(got))
        # What the starter, or a module that was imported, has blocked would never be heard here.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.set_wakeup_fd(wake_write)

    def _main_loop(
        self, forkserver: Forkserver, life_line: int | None, on_ready: Callable[[dict[str, Any]], None] | None
    ) -> None:
        wake_read = self._wake_read
        ready = False
        with selectors.DefaultSelector() as selector:
            selector.register(forkserver, selectors.EVENT_READ, "children")
            selector.register(wake_read, selectors.EVENT_READ, "signal")
            if life_line is not None:
                selector.register(life_line, selectors.EVENT_READ, "parent")
            while not self._over():
                for key, _ in selector.select(0.003 if not ready else self._look_in_s):
                    self._handle(key.data, key.fd, forkserver)
                self._tick(forkserver)
                if not ready and self._all_ready():
                    ready = True
                    LOGGER.info("%s ready", self._name)
                    self._lease.soon()
                    self._reaper.soon()
                    if on_ready is not None:
                        on_ready({"ready": True, "worker": self._id, "pid": os.getpid()})
        signal.set_wakeup_fd(-1)

    def _handle(self, what: str, fd: int, forkserver: Forkserver) -> None:
        if what == "children":
            for item in self._news(forkserver):
                if isinstance(item, Birth):
                    self._on_birth(item)
                else:
                    self._on_death(item)
        elif what == "signal":
            with contextlib.suppress(BlockingIOError):
                os.read(fd, 1024)
        elif not _still_open(fd):
            LOGGER.warning("the process that started this worker is gone: stopping")
            self._begin_stop(COLD)

    def _news(self, forkserver: Forkserver) -> list[Birth | Death]:
        try:
            return forkserver.news()
        except (EOFError, ConnectionError) as error:
            for pid in self._pids.values():
                kill_tree(pid)
            _await_end(list(self._pids.values()))
            raise WorkersError(
                "the process that children are forked from has died; the worker starts anew"
            ) from error

    def _tick(self, forkserver: Forkserver) -> None:
        while self._signals:
            self._on_signal(self._signals.pop(0))
        now = time.monotonic()
        self._rescue_what_is_due(now)
        # After the rescue, which says when: else a dead child would be replaced a whole tick later.
        for number, at in list(self._respawn_at.items()):
            if now >= at and not self._stopping:
                del self._respawn_at[number]
                forkserver.spawn(number)
        self._look_in_s = max(0.0, min(_TICK_S, self._enforcement.look(now)))
        self._keep_going(forkserver, now)
        for number, slot in enumerate(self._slots):
            self._relief.look(number, slot, self._hands[number])
            self._outputs[number].bound()
        self._remind(now)
        waiting = sum(slot.waiting for slot in self._slots)
        if waiting != self._waiting:
            # Tasks that wait for others look at this before they take the last free slot.
            self._waiting = waiting
            self._lease.soon()
        if self._portrait.is_outdated(now):
            self._lease.soon()

    def _remind(self, now: float) -> None:
        """Tell children again to end: one that was just being forked has not heard it."""
        if self._stopping == WARM and now - self._reminded_at > 1.0:
            self._reminded_at = now
            for number, pid in list(self._pids.items()):
                self._ask_to_end(pid)
                busy = self._slots[number].status()[1] != IDLE or self._slots[number].running() is not None
                since = self._idle_since.setdefault(number, now)
                if busy:
                    del self._idle_since[number]
                elif now - since > _LEAVE_S:
                    kill_tree(pid, spare=self._pids.values())

    def _ask_to_end(self, pid: int) -> None:
        send(pid, signal.SIGTERM)
        # One that was stopped hears nothing.
        send(pid, signal.SIGCONT)

    def _keep_going(self, forkserver: Forkserver, now: float) -> None:
        """Have what a task has stopped go on: itself, another child, the forkserver."""
        forkserver.keep_going()
        if now - self._seen_going_at < _GOING_S:
            return
        self._seen_going_at = now
        for pid in list(self._pids.values()):
            process = look_up(pid)
            if process is not None and process.state == "T":
                LOGGER.warning("the child with pid %d was stopped by a signal; it goes on", pid)
                send(pid, signal.SIGCONT)

    def _all_ready(self) -> bool:
        return len(self._pids) == self._n and all(slot.status()[1] != STARTING for slot in self._slots)

    def _over(self) -> bool:
        return self._stopping is not None and not self._pids

    # -- children

    def _on_birth(self, birth: Birth) -> None:
        self._pids[birth.slot] = birth.pid
        if self._stopping == WARM:
            self._ask_to_end(birth.pid)
        elif self._stopping == COLD:
            kill_tree(birth.pid)

    def _on_death(self, death: Death) -> None:
        number = death.slot
        self._pids.pop(number, None)
        slot = self._slots[number]
        self._portrait.done_before += slot.status()[3]
        loss = self._loss(number, death)
        never_ready = slot.status()[1] == STARTING
        slot.clear()
        self._rosters[number].clear()
        self._hands[number].empty()
        self._outputs[number].reset()
        now = time.monotonic()
        self._to_rescue[number] = _Rescue(loss, now, now + self._respawn_delay(number, never_ready))

    def _loss(self, number: int, death: Death) -> Loss:
        slot = self._slots[number]
        running = slot.running()
        executing = (running.batch, running.index) if running else None
        killed = self._enforcement.killed(death.pid)
        # Others may have ended there, and not have been told.
        shared = bool(self._rosters[number].running()) or slot.status()[1] == CONCURRENT
        charged = running.count if running else 1
        # Calls in threads or in the event loop are not in the slot: nobody knows which of them had begun.
        seen = slot.status()[1] != CONCURRENT
        if self._stopping:
            return Loss(
                "the worker was stopped", executing, charged, seen=seen, uncharged=True, shared=shared
            )
        if killed is not None:
            call = killed.call
            story = f"it was killed with a call that did not stop: it {killed.error}"
            return Loss(story, (call.batch, call.index), call.count, error=killed.error, shared=shared)
        return Loss(self._story(number, death), executing, charged, seen=seen, shared=shared)

    def _story(self, number: int, death: Death) -> str:
        code = os.waitstatus_to_exitcode(death.status)
        if code < 0:
            how = f"it was killed by signal {-code} ({signal.Signals(-code).name})"
            if -code == signal.SIGKILL:
                how += ", which is how a system that has run out of memory ends a process"
        else:
            how = f"it ended with exit code {code}"
        how += f". It had taken up to {death.peak_bytes / 1e6:,.0f} MB of memory"
        tail = self._outputs[number].last_words().strip()
        return f"{how}. Its last words:\n{tail}" if tail else how

    def _respawn_delay(self, number: int, never_ready: bool) -> float:
        """Children that work are replaced at once; those that die before they are ready, more and more slowly."""
        self._unready_deaths[number] = self._unready_deaths.get(number, 0) + 1 if never_ready else 0
        deaths = self._unready_deaths[number]
        return _BEFORE_NEXT_CHILD.after(deaths - 2)

    def _rescue_what_is_due(self, now: float) -> None:
        """Give back what dead children held; their slots are filled again when that is done."""
        for number, item in list(self._to_rescue.items()):
            if now < item.at:
                continue
            try:
                self._rescue.consumer(f"{self._id}/{number}", item.loss)
            except OperationalError as error:
                log_trouble("what a dead child held cannot be given back yet", error)
                self._to_rescue[number] = dataclasses.replace(item, at=now + _RESCUE_EVERY_S)
                continue
            del self._to_rescue[number]
            self._respawn_at[number] = item.respawn_at

    # -- orders

    def _obey(self, what: StopCalls | Shutdown) -> None:
        """Follow an order; on the orders thread."""
        if isinstance(what, StopCalls):
            self._enforcement.order(StopOrder(next(self._serial), what.batch, what.index, what.kill))
        else:
            os.kill(os.getpid(), signal.SIGQUIT if what.cold else signal.SIGTERM)

    # -- stopping

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGQUIT or self._stopping == WARM:
            self._begin_stop(COLD)
        else:
            self._begin_stop(WARM)

    def _begin_stop(self, how: str) -> None:
        if self._stopping in {how, COLD}:
            return
        self._stopping = how
        LOGGER.info("%s shutdown", how)
        for pid in list(self._pids.values()):
            kill_tree(pid, spare=self._pids.values()) if how == COLD else self._ask_to_end(pid)

    def _shut_down(self, forkserver: Forkserver) -> None:
        forkserver.close()
        # Else it was told to end before there was a broker.
        if self._has_parts:
            with contextlib.suppress(OperationalError):
                self._give_back_all()
        for link in self._links:
            link.abort()
        LOGGER.info("%s stopped", self._name)

    def _give_back_all(self) -> None:
        for part in (self._strangers, self._reaper, self._orders, self._lease):
            part.stop()
        for number in range(self._n):
            consumer = f"{self._id}/{number}"
            unsaved = self._to_rescue.get(number)
            loss = unsaved.loss if unsaved is not None else Loss("the worker was stopped", uncharged=True)
            self._rescue.consumer(consumer, loss)
            self._delivery.on_behalf_of(consumer).forget()
        self._fleet.release(self._id)


def _await_end(pids: list[int]) -> None:
    """Wait until processes are gone that are not this one's children."""
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline and any(_alive(pid) for pid in pids):
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _still_open(fd: int) -> bool:
    try:
        return bool(os.read(fd, 4096))
    except OSError:
        return False
