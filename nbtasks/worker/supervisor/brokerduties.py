"""What a supervisor does with the broker, over connections of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.core.errors import OperationalError
from nbtasks.core.orders import Order
from nbtasks.core.workeranswer import WorkerAnswer
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local.connection import Connection
from nbtasks.local.server.valuefiles import ValueFiles
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.noting import Noting
from nbtasks.worker.log import LOGGER
from nbtasks.worker.seats import Seat

from .arrival import Arrival
from .beat import Beat
from .controlstream import ControlStream
from .deadchildren import DeadChildren
from .deadworkers import DeadWorkers
from .deafchildren import DeafChildren
from .duty import Duty
from .enforcement import Enforcement
from .fallout import Fallout
from .heeding import Heeding
from .identity import Identity
from .lease import Lease
from .namesakes import namesakes
from .portrait import Portrait
from .publisherduty import publishing
from .recovery import Recovery
from .servedqueues import ServedQueues
from .strangers import Strangers
from .workernotes import WorkerNotes

_RENEW_AGAIN_S = 0.2


class BrokerDuties:
    """The duties that have threads, begun and ended together; and those that the main loop sees to.

    Args:
        seats: of the children; told of each renewal of the lease.
        obey: follows an order, on a thread of its own.

    Attributes:
        dead_children, deaf_children: what the main loop does for children over the broker.
        have_begun: the broker is there, so something may have to be given back.
    """

    def __init__(
        self,
        connection: Connection,
        options: WorkerOptions,
        identity: Identity,
        seats: Sequence[Seat],
        enforcement: Enforcement,
        portrait: Portrait,
        queues: ServedQueues,
        obey: Callable[[Order, str], WorkerAnswer],
    ) -> None:
        self._connection = connection
        self._identity = identity
        self._portrait = portrait
        self._leg = open_leg(connection)
        self._lines: list[BrokerLine] = []
        self.have_begun = False
        sealer = Sealer(identity.keyring, connection.namespace)
        codec = Codec(sealer)
        line, slow, leasing, duties = (self._new_line() for _ in range(4))
        clock = leasing.clock(connection.is_local)
        # A lease may be renewed twice: one connection that was cut is no trouble to tell of.
        leasing.patience_s = _RENEW_AGAIN_S
        me, addresses = identity.id, queues.addresses
        noting = Noting(codec, identity.name, clock.now)
        self._line = line
        self._fleet = line.fleet()
        self._notes = WorkerNotes(line, noting, identity.keyring.ids)
        self._delivery = delivery = line.delivery(addresses, me)
        recovery = Recovery(delivery, line.store(), codec, identity.name, noting)
        self.dead_children = DeadChildren(delivery, recovery, enforcement, line.locks(), me)
        self.deaf_children = DeafChildren(delivery, me)
        self._strangers = Strangers(duties.queues(), queues.names, addresses)
        self._fallout = Fallout(duties, codec, noting).duty
        self._dead_workers = DeadWorkers(
            duties, codec, me, options.lease_s, addresses,
            WorkerNotes(duties, noting, identity.keyring.ids),
        ).duty  # fmt: skip
        self._lease = Lease(
            leasing.fleet(), me, options.lease_s, clock, portrait.sheet, seats[0].slot.set_lease
        )
        self._beat: Duty | None = None
        if options.beat is not False:
            self._beat = Beat(duties, sealer, clock, me, identity.keyring.ids).duty
        self._ordering = duties.ordering()
        self._heeding = Heeding(codec, clock, me, obey, self._ordering)
        hints = {"wf": self._fallout.soon}
        if self._beat is not None:
            hints["sd"] = self._beat.soon
        #: Where a carrier brings calls to those who wait.
        self._publishing = publishing(connection, addresses, me)
        self._control_stream = ControlStream(slow, line, clock, addresses, self._heeding, hints)

    def _new_line(self) -> BrokerLine:
        line = self._leg.line()
        self._lines.append(line)
        return line

    def arrive(self, arrival: Arrival, began: float) -> bool:
        """Come to the broker as soon as it is there; False where the worker is to end before.

        Args:
            began: when the worker has begun (monotonic).
        """
        if not arrival.step(self._line.check):
            return False
        files = ValueFiles.beside(self._connection.url, self._connection.namespace)
        self._portrait.place = files.place if files is not None else ""
        self.have_begun = True
        first = (
            self._lease.start,
            # Before orders are followed: what they say comes after what is kept.
            lambda: self._heeding.take_over(self._ordering.task_limits()),
            lambda: self._control_stream.start(time.monotonic() - began),
        )
        return all(arrival.step(one) for one in first)

    def begin(self) -> None:
        """Look after the other workers, and their queues, too."""
        self._dead_workers.start()
        self._strangers.start()
        self._fallout.start()
        if self._publishing is not None:
            self._publishing.start()
        with contextlib.suppress(OperationalError):
            for sentence in namesakes(self._fleet, self._identity):
                LOGGER.warning("%s", sentence)
        if self._beat is not None:
            self._beat.start()

    def note_queues(self) -> None:
        """There are addresses that were not there before."""
        self._delivery.extend()

    def show(self) -> None:
        """There is something new to show of this worker."""
        self._lease.soon()

    def show_ready(self) -> None:
        """The children are ready: now others can be helped."""
        self._notes.online(self._portrait)
        self._lease.soon()
        self._dead_workers.soon()

    def end(self, seats: Iterable[int]) -> None:
        """Give back everything, and leave.

        Args:
            seats: the numbers of those that have had a child.

        Raises:
            OperationalError: the broker does not answer.
        """
        if self._beat is not None:
            self._beat.stop()
        if self._publishing is not None:
            self._publishing.stop()
        for duty in (self._fallout, self._strangers, self._dead_workers, self._control_stream, self._lease):
            duty.stop()
        self.dead_children.give_back_all(seats)
        self._notes.offline("it was stopped")
        self._fleet.release(self._identity.id)

    def close(self) -> None:
        """Let go of all connections."""
        for line in self._lines:
            line.abort()
        if self._publishing is not None:
            self._publishing.abort()
