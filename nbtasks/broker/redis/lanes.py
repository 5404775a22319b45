"""The lanes of some queues, in the order in which they are served, and their consumer groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.address import Address
from nbtasks.core.lanenames import LANES

from .channel import Argument
from .keys import GROUP, Keys
from .link import Link
from .redisfinish import finish
from .servercheck import server_life

T = TypeVar("T")

#: Entries that one script looks at, so that it keeps nobody waiting.
MOST_AT_ONCE = 200
#: What is said where a group is lost; about a stream that is not there; to who waits for one that goes; and of what
#: somebody else has put in its place.
_SIGNS_OF_LOSS = ("NOGROUP", "no such key", "UNBLOCKED", "WRONGTYPE")


class Lanes:
    """What lies at some addresses, over one connection.

    Attributes:
        places: address and lane; all queues share a lane before the next lane is looked at: priority is across queues.
        streams: the keys of these places.
    """

    def __init__(self, link: Link, keys: Keys, addresses: Sequence[Address]) -> None:
        self.link = link
        self.keys = keys
        self._addresses = addresses
        self.extend()
        #: A read over several lanes may have taken something before it came to one without a group.
        self._remade = 0

    def extend(self) -> None:
        """See the addresses that there are now: there may be more than before."""
        self.places = [(address, lane) for lane in LANES for address in self._addresses]
        self.streams = [self.keys.lane(address, lane) for address, lane in self.places]
        self._by_stream = {
            name.encode(): place for name, place in zip(self.streams, self.places, strict=True)
        }

    @property
    def connections(self) -> int:
        """How many connections were made so far, and how often the groups had to be made anew on one."""
        return self.link.connections + self._remade

    def place_of(self, stream: bytes) -> tuple[Address, str]:
        """Return the address and lane of a stream's key."""
        return self._by_stream[stream]

    def prepare(self, now: float | None = None) -> None:
        """Make the consumer groups, and note what may have begun where the server has lost who took it.

        Args:
            now: the server's time as it is reckoned. What is due by then is queued before: perhaps a server that was
                lost has done so, too.
        """
        addresses = sorted({address for address, _ in self.places})
        life = server_life(self.link)
        for address in addresses if now is not None else ():
            args: list[Argument] = [address, round((now or 0.0) * 1000), MOST_AT_ONCE]
            while self.link.script("promote", [self.keys.root], args)[0] >= MOST_AT_ONCE:
                continue
        self.link.script("prepare", [self.keys.root, *self.streams], [GROUP, life, *addresses])
        # The server must know the script: where it goes along with a wait, it is not sent in full.
        finish(self.link, self.keys, Finish())

    def grouped(self, command: Callable[[], T]) -> T:
        """Run a command; make the groups first when the server has lost them."""
        try:
            return command()
        except Exception as error:
            if not any(sign in str(error) for sign in _SIGNS_OF_LOSS):
                raise
        self.prepare()
        self._remade += 1
        return command()

    def drop(self, address: str, lane: str, entry_id: bytes) -> None:
        """Be rid of an entry; what somebody else has put in the place of these keys has none."""
        stream = self.keys.lane(address, lane)
        cut = ("HDEL", self.keys.cuts(address), f"{lane}/{entry_id.decode()}")
        self.link.pipeline([("XDEL", stream, entry_id), cut, ("XACK", stream, GROUP, entry_id)])
