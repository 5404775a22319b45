"""Tell a carrier what is queued in its ledger, on a thread and on connections of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.legs import open_publisher
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.core.address import Address
from nbtasks.core.errors import ConfigError, NbtasksError
from nbtasks.local.connection import Connection
from nbtasks.worker.log import LOGGER, log_trouble

from .duty import Duty

if TYPE_CHECKING:
    from nbtasks.broker.carriers.publisher import Publisher

#: Milliseconds of one wait for something that is queued: how soon a stopped worker's thread ends.
_BLOCK_MS = 500
_AGAIN_S = 0.5


class Publishing:
    """Has a publisher at work as long as its worker lives."""

    def __init__(self, publisher: Publisher, line: BrokerLine) -> None:
        self._publisher = publisher
        self._line = line
        self._told = ""
        self._duty = Duty("publisher", self._step)

    def start(self) -> None:
        """Begin."""
        self._duty.start()

    def stop(self) -> None:
        """End; waits for what is being done."""
        self._duty.stop()

    def abort(self) -> None:
        """Let go of its connections."""
        self._line.abort()

    def _step(self) -> float:
        try:
            self._publisher.step(_BLOCK_MS)
        except NbtasksError as error:
            self._note_trouble(error)
            return _AGAIN_S
        if self._told:
            LOGGER.warning("the carrier answers again")
            self._told = ""
        return 0.0

    def _note_trouble(self, error: NbtasksError) -> None:
        """Say it once for each outage; that the ledger is away, the lease says."""
        if not isinstance(error, (CarrierAway, ConfigError)):
            log_trouble("what is queued cannot be told to the carrier", error)
        elif not self._told:
            self._told = str(error)
            LOGGER.warning("%s; meanwhile workers wait for calls at the backend", error)


def publishing(connection: Connection, addresses: Sequence[Address], worker: str) -> Publishing | None:
    """Return what does it for one worker; None where there is no carrier.

    Args:
        addresses: those that the worker serves; the list may grow.
    """
    found = open_publisher(connection, addresses, worker)
    return None if found is None else Publishing(*found)
