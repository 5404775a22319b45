"""The supervisor: keeps children alive, keeps the lease, stops what shall stop. It never runs user code."""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import selectors
import signal
import time
from collections.abc import Callable
from typing import Any

from nbtasks.core.errors import OperationalError
from nbtasks.core.orders import StopCalls
from nbtasks.core.workeroptions import MOST_CHILDREN, WorkerOptions
from nbtasks.local.connection import Connection
from nbtasks.local.processes.maththreads import share_cpus
from nbtasks.local.processes.preloading import import_module, set_up_django
from nbtasks.worker import log, tasklog
from nbtasks.worker.child.child import child_main
from nbtasks.worker.child.childsettings import ChildSettings
from nbtasks.worker.executing.coroutines import ASYNC_SLOTS
from nbtasks.worker.log import LOGGER
from nbtasks.worker.noticeboard import NoticeBoard
from nbtasks.worker.seats import make_seats
from nbtasks.worker.slots import StopOrder
from nbtasks.worker.workersignals import WorkerSignals

from .arrival import Arrival
from .autoscaling import Autoscaling
from .brokerduties import BrokerDuties
from .children import COLD, ROOM, WARM, Children
from .commands import Commands
from .enforcement import Enforcement
from .forkserver import Death
from .identity import Identity
from .lostlocks import LostLocks
from .portrait import Portrait
from .selfreport import SelfReport
from .servedqueues import ServedQueues
from .stopsignals import StopSignals

_TICK_S = 0.25
#: The same as the tick, until all children are ready.
_EARLY_TICK_S = 0.003


class Supervisor:
    """One worker: a supervisor and its children.

    Args:
        patience_s: seconds that a broker may need to come up; None to wait for it as long as it takes.

    Attributes:
        was_dismissed: an order over the broker has ended it.
    """

    def __init__(
        self, connection: Connection, options: WorkerOptions, patience_s: float | None = None
    ) -> None:
        self._connection = connection
        self._options = options
        self._patience_s = patience_s
        self._identity = Identity.of_this_process(connection, options)
        self._queues = ServedQueues(self._identity.addresses)
        self._board = NoticeBoard(self._queues.addresses)
        n, most = _sizes(options)
        side_by_side = options.threads if options.pool == "threads" else 0
        self._seats = make_seats(most, self._queues.addresses, side_by_side + ASYNC_SLOTS)
        self._children = Children(self._seats, n)
        self._autoscaling = Autoscaling(*(options.autoscale or (0, 0)))
        self._sent = WorkerSignals(self._identity.name)
        self._enforcement = Enforcement(self._seats, self._children.pids)
        self._lost_locks = LostLocks(self._seats, self._children.pids)
        self._portrait = Portrait(self._identity, options, self._children, self._queues)
        self.was_dismissed = False
        self._serial = itertools.count(1)
        self._look_in_s = _TICK_S
        self._waiting = 0

    # -- life

    def run(
        self,
        life_line: int | None = None,
        on_ready: Callable[[dict[str, Any]], None] | None = None,
        tasks: Callable[[], list[str]] = list,
    ) -> int:
        """Serve until told to stop; returns the exit code.

        Args:
            life_line: a descriptor whose end means that the parent has died.
            on_ready: called once, when every child is ready.
            tasks: returns the names of those that are here, for the first lines of the log.
        """
        began = time.monotonic()
        log.set_up(self._options.loglevel, self._options.logfile, self._options.log_forms)
        os.environ.update(self._options.env)
        # Without IPython plotly finds no notebook, and its figures would load their scripts from the network.
        os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
        share_cpus(self._children.size)
        if self._options.include:
            set_up_django()
        for module in self._options.include:
            import_module(module, "include")
        tasklog.set_up(self._options)
        self._sent.before_children(self._options)
        self._start_children()
        # Not before: children inherit none of this.
        self._signals = StopSignals()
        self._commands = self._make_commands(tasks)
        self._duties = BrokerDuties(
            self._connection,
            self._options,
            self._identity,
            self._seats,
            self._enforcement,
            self._portrait,
            self._queues,
            self._commands.follow,
        )
        try:
            if self._arrives(life_line, began):
                self._banner(tasks())
                self._duties.begin()
                self._main_loop(life_line, on_ready)
        finally:
            self._shut_down()
        return 0

    def _start_children(self) -> None:
        identity = self._identity
        settings = ChildSettings(
            self._connection,
            self._options,
            identity.id,
            identity.name,
            self._board,
            self._seats,
            self._sent,
        )
        self._children.start(lambda number, life_line: child_main(settings, number, life_line))

    def _make_commands(self, tasks: Callable[[], list[str]]) -> Commands:
        report = SelfReport(
            self._connection,
            self._options,
            self._identity,
            self._children,
            self._queues,
            self._enforcement,
            self._portrait,
            tasks,
        )
        return Commands(
            self._children,
            self._queues,
            self._board,
            self._autoscaling,
            report,
            self,
        )

    def _arrives(self, life_line: int | None, began: float) -> bool:
        """Take up work with the broker as soon as it is there; False where the worker is to end before."""
        arrival = Arrival(self._patience_s, lambda pause_s: self._signals.comes_within(pause_s, life_line))
        arrives = self._duties.arrive(arrival, began)
        if arrives:
            arrival.over()
        return arrives

    def _banner(self, tasks: list[str]) -> None:
        if not LOGGER.isEnabledFor(20):
            return
        options, name = self._options, self._identity.name
        lines = [
            f"nbtasks worker {name} (Python {platform.python_version()}, pid {os.getpid()})",
            f"  broker       {self._connection.title} ({self._connection.source})",
            f"  namespace    {self._connection.namespace}, key {self._identity.keyring.id}",
            f"  queues       {', '.join(options.queues)}",
            f"  concurrency  {self._children.size} ({options.pool}"
            + (f", {options.threads} threads each)" if options.pool == "threads" else ")"),
        ]
        if tasks:
            lines += ["", "[tasks]", *(f"  . {name}" for name in tasks), ""]
        os.write(2, ("\n".join(lines) + "\n").encode())

    def _shut_down(self) -> None:
        self._children.close()
        # Else it was told to end before there was a broker.
        if self._duties.have_begun:
            with contextlib.suppress(OperationalError):
                self._duties.end(sorted(self._children.used))
        self._duties.close()
        LOGGER.info("%s stopped", self._identity.name)

    # -- the main loop

    def _main_loop(self, life_line: int | None, on_ready: Callable[[dict[str, Any]], None] | None) -> None:
        ready = False
        with selectors.DefaultSelector() as selector:
            selector.register(self._children, selectors.EVENT_READ, "children")
            selector.register(self._signals, selectors.EVENT_READ, "signal")
            if life_line is not None:
                selector.register(life_line, selectors.EVENT_READ, "parent")
            while not self._children.have_ended:
                for key, _ in selector.select(self._look_in_s if ready else _EARLY_TICK_S):
                    self._handle(key.data, key.fd)
                self._tick()
                if not ready and self._children.are_ready:
                    ready = True
                    LOGGER.info("%s ready", self._identity.name)
                    self._duties.show_ready()
                    if on_ready is not None:
                        on_ready({"ready": True, "worker": self._identity.id, "pid": os.getpid()})
        self._signals.release()

    def _handle(self, what: str, fd: int) -> None:
        if what == "children":
            for death in self._children.deaths():
                self._on_death(death)
        elif what == "signal":
            self._signals.drain()
        elif not _still_open(fd):
            LOGGER.warning("the process that started this worker is gone: stopping")
            self._sent.worker_ends()
            self._children.end(COLD)

    def _tick(self) -> None:
        for number in self._signals.take():
            self._on_signal(number)
        now = time.monotonic()
        self._commands.do_what_waits()
        self._commands.autoscale_at(now)
        for number in self._duties.dead_children.give_back(now):
            self._children.replace(number)
        # After that: else a dead child would be replaced a whole tick later.
        self._children.look(now)
        self._look_in_s = max(0.0, min(_TICK_S, self._enforcement.look(now)))
        self._lost_locks.look()
        for seat in self._children.in_use():
            self._duties.deaf_children.look(seat)
            seat.output.bound()
        self._show(now)

    def _show(self, now: float) -> None:
        waiting = sum(seat.slot.waiting for seat in self._children.in_use())
        if waiting != self._waiting:
            # Tasks that wait for others look at this before they take the last free slot.
            self._waiting = waiting
            self._duties.show()
        if self._portrait.is_outdated(now):
            self._duties.show()

    def _on_death(self, death: Death) -> None:
        seat = self._seats[death.slot]
        self._portrait.done_before += seat.slot.status()[3]
        self._portrait.note_counts(seat)
        stopping = self._children.ending is not None or self._children.is_leaving(death.slot)
        self._duties.dead_children.note(death, seat, stopping, time.monotonic())
        seat.clear()

    # -- told to stop something

    def _on_signal(self, number: int) -> None:
        at_once = number == signal.SIGQUIT or self._children.ending == WARM
        self._sent.worker_ends()
        self._children.end(COLD if at_once else WARM)

    def dismiss(self, cold: bool) -> None:
        """End because of an order."""
        self.was_dismissed = True
        os.kill(os.getpid(), signal.SIGQUIT if cold else signal.SIGTERM)

    def stop_calls(self, order: StopCalls) -> None:
        """Have calls stopped; on the orders thread."""
        number = next(self._serial)
        self._enforcement.order(StopOrder(number, order.batch, order.index, order.kill, order.signal & 0x7F))

    # -- told something else

    def note_queues(self) -> None:
        """There are addresses that are new."""
        self._duties.note_queues()

    def show(self) -> None:
        """There is something new to show of this worker."""
        self._duties.show()

    def wake(self) -> None:
        """Have the main thread do what was put off."""
        self._signals.wake()


def _sizes(options: WorkerOptions) -> tuple[int, int]:
    """Return how many children there are at first, and how many there can ever be."""
    if options.pool == "solo":
        return 1, 1
    n = options.autoscale[1] if options.autoscale else options.concurrency
    most = options.autoscale[0] if options.autoscale else 0
    return n, min(MOST_CHILDREN, max(n + ROOM, most))


def _still_open(fd: int) -> bool:
    try:
        return bool(os.read(fd, 4096))
    except OSError:
        return False
