"""Which queues a worker serves. That may change while it runs."""

from __future__ import annotations

from nbtasks.core.address import PYTHON, Address


class ServedQueues:
    """The queues of one worker.

    Attributes:
        names: those that it takes calls of now.
        addresses: all at which it has taken calls since it has begun; one never loses its place, for children write
            down what they hold by its number.
    """

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self.names = list(dict.fromkeys(address.queue for address in addresses))
        self.addresses = list(addresses)
        self._key_ids = list(dict.fromkeys(address.key_id for address in addresses))

    @property
    def served(self) -> tuple[int, ...]:
        """The numbers of the addresses at which it takes calls now."""
        return tuple(number for number, address in enumerate(self.addresses) if address.queue in self.names)

    def add(self, name: str) -> bool:
        """Serve a queue; False where it is served already."""
        if name in self.names:
            return False
        self.names.append(name)
        wanted = [Address(name, PYTHON, key_id) for key_id in self._key_ids]
        self.addresses += [address for address in wanted if address not in self.addresses]
        return True

    def cancel(self, name: str) -> bool:
        """Serve a queue no longer; False where it is not served."""
        if name not in self.names:
            return False
        self.names.remove(name)
        return True
