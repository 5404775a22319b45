"""What all parts of a session stand on: connections, keys, the server's time, large values, the workers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence

from nbtasks.broker.brokererrors import LOADING_S, unavailable
from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.brokerline import BrokerLine
from nbtasks.client.batches.registry import Registry
from nbtasks.client.home import Home
from nbtasks.core.address import Address
from nbtasks.core.errors import BrokerUnavailable
from nbtasks.local.connection import Connection
from nbtasks.local.server.valuefiles import ValueFiles
from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.signing import Keyring
from nbtasks.wire.values import Shelf

from .roster import WorkerRoster

_CONNECT_S = 2.7
_RECONNECT_S = 1.0
_TRY_AGAIN_S = 0.5


class SessionGround:
    """Connects, and makes what does not know of any batch.

    Attributes:
        registry: the live batches.
        leg: what the broker can do.
        line: for what only reads, or may be applied twice.
        store, queues, blobs: over that line.
        files: of large values, None where they go through the broker.
        shelf: where large values are put and found.
        roster: the workers.

    Raises:
        BrokerUnavailable: it cannot be reached.
        BrokerUnsuitable: it is too old, or it may evict data.
    """

    def __init__(self, connection: Connection, include: Sequence[str]) -> None:
        self.connection = connection
        self.leg = open_leg(connection)
        self.keyring = Keyring(connection.keys)
        self.codec = Codec(Sealer(self.keyring, connection.namespace), include)
        self.registry = Registry()
        self._lines: list[BrokerLine] = []
        self.line = line = self.new_line()
        self.store, self.queues, self.blobs = line.store(), line.queues(), line.blobs()
        _check(line)
        # No notebook need hear of one cut connection.
        line.patience_s = _RECONNECT_S
        self.clock = line.clock()
        self.clock.follow()
        self.files = ValueFiles.beside(connection.url, connection.namespace)
        self.shelf = Shelf(self.blobs.key, self.blobs.read, self.files)
        self.roster = WorkerRoster(line.fleet(), self.queues, self.keyring.id, self.files)

    def new_line(self) -> BrokerLine:
        """Return a connection that ends with the session; it is made when it is used."""
        line = self.leg.line()
        self._lines.append(line)
        return line

    def end_line(self, line: BrokerLine) -> None:
        """End a connection before the session does."""
        with contextlib.suppress(ValueError):
            self._lines.remove(line)
        # As at the end of the session: another thread may be waiting there.
        line.abort()

    def _disown_lines(self) -> None:
        for line in list(self._lines):
            line.disown()

    def _abort_lines(self) -> None:
        for line in list(self._lines):
            line.abort()

    @property
    def home(self) -> Home:
        """Where its calls go."""
        return Home.of(self.connection)

    def address(self, queue: str) -> Address:
        """Return a queue's address for this Python and this key."""
        return self.roster.address(queue)


def _check(line: BrokerLine) -> None:
    """Look at the server for the first time, for so long at most: looking up a name may hang much longer."""
    outcome: list[Exception | None] = []

    def look() -> None:
        began = time.monotonic()
        try:
            try:
                line.check()
            except BrokerUnavailable:
                # One connection that was cut is no reason to say that there is no broker.
                if time.monotonic() - began > _TRY_AGAIN_S:
                    raise
                line.check()
            outcome.append(None)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=look, name="nbtasks-connect", daemon=True)
    thread.start()
    thread.join(_CONNECT_S)
    if not outcome and line.connected:
        # The server is there and loads its data.
        thread.join(LOADING_S)
    if not outcome:
        raise unavailable(line.label, TimeoutError(f"no answer within {_CONNECT_S:g} s"))
    if outcome[0] is not None:
        # It says why. Where the first try and the second one were given up is for us, and three screens of frames.
        raise outcome[0].with_traceback(None) from None
