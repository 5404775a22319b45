"""What all parts of a session stand on: connections, keys, the server's time, large values, the workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from nbtasks.broker.newlink import new_link
from nbtasks.broker.redis.keys import Keys
from nbtasks.broker.redis.link import Link, unavailable
from nbtasks.broker.redis.redisfleet import Fleet
from nbtasks.broker.redis.redisstore import Store
from nbtasks.broker.redis.servercheck import LOADING_S, check
from nbtasks.broker.servertime import ServerClock
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
        link: for what only reads, or may be applied twice.
        files: of large values, None where they go through the broker.
        shelf: where large values are put and found.
        roster: the workers.

    Raises:
        BrokerUnavailable: it cannot be reached.
        BrokerUnsuitable: it is too old, or it may evict data.
    """

    def __init__(self, connection: Connection, include: Sequence[str]) -> None:
        self.connection = connection
        self.keys = Keys(connection.namespace)
        self.keyring = Keyring(connection.keys)
        self.codec = Codec(Sealer(self.keyring, connection.namespace), include)
        self.registry = Registry()
        self._links: list[Link] = []
        self.link = link = self.new_link()
        self.store = Store(link, self.keys)
        _check(link)
        # No notebook need hear of one cut connection.
        link.patience_s = _RECONNECT_S
        self.clock = ServerClock(link, self.keys)
        self.clock.follow()
        self.files = ValueFiles.beside(connection.url, connection.namespace)
        self.shelf = Shelf(self.keys.blob, self.store.blob, self.files)
        self.roster = WorkerRoster(Fleet(link, self.keys), self.store, self.keyring.id, self.files)

    def new_link(self) -> Link:
        """Return a connection that ends with the session; it is made when it is used."""
        link = new_link(self.connection)
        self._links.append(link)
        return link

    def _disown_links(self) -> None:
        for link in self._links:
            link.disown()

    def _abort_links(self) -> None:
        for link in self._links:
            link.abort()

    @property
    def home(self) -> Home:
        """Where its calls go."""
        return Home.of(self.connection)

    def address(self, queue: str) -> Address:
        """Return a queue's address for this Python and this key."""
        return self.roster.address(queue)


def _check(link: Link) -> None:
    """Look at the server for the first time, for so long at most: looking up a name may hang much longer."""
    outcome: list[Exception | None] = []

    def look() -> None:
        began = time.monotonic()
        try:
            try:
                check(link)
            except BrokerUnavailable:
                # One connection that was cut is no reason to say that there is no broker.
                if time.monotonic() - began > _TRY_AGAIN_S:
                    raise
                check(link)
            outcome.append(None)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=look, name="nbtasks-connect", daemon=True)
    thread.start()
    thread.join(_CONNECT_S)
    if not outcome and link.connected:
        # The server is there and loads its data.
        thread.join(LOADING_S)
    if not outcome:
        raise unavailable(link.label, TimeoutError(f"no answer within {_CONNECT_S:g} s"))
    if outcome[0] is not None:
        raise outcome[0]
