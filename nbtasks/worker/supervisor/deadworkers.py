"""Find workers whose lease has run out, give their calls back, and take them off the list."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.broker.pulse import Pulses
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.broker.verbs.consumers import worker_of
from nbtasks.core.address import Address
from nbtasks.core.clock import steady
from nbtasks.core.errors import OperationalError
from nbtasks.wire.codec import Codec
from nbtasks.worker.log import LOGGER, log_trouble

from .duty import Duty
from .judging import Loss
from .recovery import Recovery
from .workernotes import WorkerNotes

#: Long enough to give back what one dead worker held; a reaper that dies itself holds up the next one for this long.
_ELECTION_MS = 2_000
#: Seconds after which batches are looked at whose data may have expired, and consumers that are on no list.
_SWEEP_AFTER_S = 3600.0
_LIST_AFTER_S = 60.0
#: Seconds after which the stream of events is looked at, and bytes that it may take.
_BOUND_AFTER_S = 10.0
MOST_EVENT_BYTES = 32 * 2**20
#: Seconds after which the lines of locks are looked at.
_LINES_S = 1.0
#: Seconds after which the queues are looked at.
_MEND_AFTER_S = 10.0
#: Share of a lease: if nobody could look for longer, perhaps nobody could renew a lease either.
_BLIND_AFTER = 0.6


class DeadWorkers:
    """One supervisor at a time does this, elected by a lock; on a thread and a connection of its own.

    Attributes:
        duty: begins and ends it.
    """

    def __init__(
        self,
        line: BrokerLine,
        codec: Codec,
        worker: str,
        lease_s: float,
        addresses: Sequence[Address],
        notes: WorkerNotes,
    ) -> None:
        self._notes = notes
        self._line = line
        self._codec = codec
        self._worker = worker
        self._lease_s = lease_s
        # Failures for others could not be signed here.
        self._addresses = addresses
        self._kinds = frozenset(address.kind for address in addresses)
        self._silence = f"no sign of life for {lease_s:g} s"
        self._rest_s = min(5.0, lease_s / 3)
        self._fleet = line.fleet()
        self._housekeeping = line.housekeeping()
        self._queues = line.queues()
        self._store = line.store()
        self._locks = line.locks()
        #: Nobody is taken for dead whom this process has not watched for a whole lease.
        self._pulses = Pulses(lease_s, credulous=False)
        self._swept_at = self._listed_at = self._bounded_at = float("-inf")
        self._looked_at = float("-inf")
        self._mended_at = steady()
        self._audited = 0
        self.duty = Duty("reaper", self._look_and_rest)

    def _look_and_rest(self) -> float:
        try:
            dead, now = self._look()
            again = self._adopt_orphans()
            self._mend()
            again = self._see_to(dead) or again
            waits = self._see_to_locks()
            self._sweep(now)
        except OperationalError as error:
            log_trouble("dead workers cannot be looked for", error)
            return 1.0
        return 0.5 if again else min(_LINES_S, self._rest_s) if waits else self._rest_s

    def _see_to_locks(self) -> bool:
        """See that those get on who wait for locks; returns whether there are any."""
        elected = self._housekeeping.elected("locks", self._worker, round(_LINES_S * 1000))
        return elected and self._locks.see_to_lines() > 0

    def _look(self) -> tuple[dict[str, bytes], float]:
        """Return the other workers that are dead, with what their leases say, and the server's clock."""
        asked_at = steady()
        away_s, self._looked_at = asked_at - self._looked_at, asked_at
        if away_s > max(_BLIND_AFTER * self._lease_s, self._rest_s + 0.5):
            # Nobody could look, and perhaps nobody could renew a lease: the others are about to come back.
            self._pulses.forget()
            if away_s < float("inf"):
                LOGGER.info("the broker was away: dead workers are looked for in %.1f s", self._lease_s)
        now, found = self._fleet.pulses()
        seen = self._pulses.look(found, asked_at, steady())
        return {name: one.lease for name, one in seen.items() if one.dead and name != self._worker}, now

    def _adopt_orphans(self) -> bool:
        """Where the server may have forgotten something, queue what nobody holds; returns whether to look again."""
        connections = self._line.connections
        if connections == self._audited:
            return False
        life = self._housekeeping.server_life()
        if life != self._housekeeping.audited_life():
            if not self._housekeeping.elected("audit", self._worker, _ELECTION_MS):
                return True
            found = self._line.consumers(self._queues.addresses()).adopt_orphans()
            if found:
                LOGGER.warning("%d entries that nobody held were queued again", found)
            self._housekeeping.note_audit(life)
        self._audited = connections
        return False

    def _mend(self) -> None:
        """Now and then, see that the queues deliver: who writes to the server can move their groups, or remove them."""
        if steady() - self._mended_at < _MEND_AFTER_S:
            return
        self._mended_at = steady()
        self._line.delivery(self._addresses, self._worker).prepare()
        if self._housekeeping.elected("mend", self._worker, round(_MEND_AFTER_S * 1000)):
            found = self._line.consumers(self._known_addresses()).adopt_orphans()
            if found:
                LOGGER.warning("%d entries that would never have been delivered were queued again", found)

    def _known_addresses(self) -> list[Address]:
        """Return the addresses of this worker, and all others that are known."""
        return list(dict.fromkeys([*self._addresses, *self._queues.addresses()]))

    def _see_to(self, dead: dict[str, bytes]) -> bool:
        """Reap the dead; returns whether to look again soon."""
        elected = bool(dead) and self._housekeeping.elected("reap", self._worker, _ELECTION_MS)
        if elected:
            # There may be thousands of names on the list that are nobody's.
            holding = self._holding(self._known_addresses())
            others = [name for name in dead if name not in holding]
            self._notes.gone(others, self._silence)
            self._fleet.strike_off(others)
            # Clients are on the list, too, as long as they hold locks.
            self._locks.unlock_all(others)
            for name in holding.intersection(dead):
                # From then on whoever comes back knows that others may have its calls.
                if self._fleet.lapse(name, dead[name]):
                    self._notes.gone([name], self._silence)
                    self._reap(name)
        return bool(dead) and not elected

    def _holding(self, addresses: list[Address]) -> set[str]:
        """Return the workers that are known as consumers of queues."""
        return {worker_of(consumer) for consumer in self._line.consumers(addresses).counts()}

    def _sweep(self, now: float) -> None:
        """Look now and then at what nobody asks for any more; ``now`` is by the server's clock."""
        moment = steady()
        if moment - self._listed_at > _LIST_AFTER_S:
            self._listed_at = moment
            self._list_forgotten()
        if moment - self._bounded_at > _BOUND_AFTER_S:
            self._bounded_at = moment
            if self._housekeeping.elected("events", self._worker, round(_BOUND_AFTER_S * 1000)):
                self._housekeeping.bound_events(MOST_EVENT_BYTES)
        if moment - self._swept_at > _SWEEP_AFTER_S:
            self._swept_at = moment
            self._housekeeping.sweep_batches((now - _SWEEP_AFTER_S) * 1000)

    def _list_forgotten(self) -> None:
        """Watch workers that hold entries and are on no list.

        An entry was delivered to them after they had been reaped, or the list was lost.
        """
        ours = [address for address in self._known_addresses() if address.kind in self._kinds]
        consumers = self._line.consumers(ours).counts()
        for name in sorted({worker_of(consumer) for consumer, held in consumers.items() if held}):
            self._fleet.enlist(name)

    def _reap(self, name: str) -> None:
        # Before its calls: they may take them again.
        self._locks.unlock(name, guard=True)
        every = self._known_addresses()
        ours = [address for address in every if address.kind in self._kinds]
        if ours:
            delivery = self._line.delivery(ours, self._worker)
            recovery = Recovery(delivery, self._store, self._codec, self._worker, self._notes.noting)
            story = f"its worker {name} is gone: {self._silence}"
            for consumer in self._line.consumers(ours).counts():
                if worker_of(consumer) == name:
                    given = recovery.consumer(consumer, Loss(story, seen=False), of_dead=name)
                    delivery.on_behalf_of(consumer).forget()
                    LOGGER.info("gave back %d entries of %s", given, consumer)
        if not self._held_elsewhere(name, [address for address in every if address not in ours]):
            self._fleet.release(name)

    def _held_elsewhere(self, name: str, addresses: list[Address]) -> bool:
        if not addresses:
            return False
        consumers = self._line.consumers(addresses).counts()
        return any(worker_of(consumer) == name and held for consumer, held in consumers.items())
