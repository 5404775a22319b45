"""Who a worker is."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass

from nbtasks.core.address import PYTHON, Address
from nbtasks.core.nodenames import node_name
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local.connection import Connection
from nbtasks.wire.signing import Keyring


@dataclass(frozen=True)
class Identity:
    """What never changes of a worker.

    Attributes:
        id: no other worker ever has it.
        name: for people.
        addresses: at which it takes calls: all its queues, for all its keys.
    """

    id: str
    name: str
    keyring: Keyring
    addresses: tuple[Address, ...]

    @classmethod
    def of_this_process(cls, connection: Connection, options: WorkerOptions) -> Identity:
        """Return that of a worker which begins here."""
        place, keyring = f"{socket.gethostname()}-{os.getpid()}", Keyring(connection.keys)
        addresses = [
            Address(queue, PYTHON, key_id)
            for queue in dict.fromkeys(options.queues)
            for key_id in keyring.ids
        ]
        name = node_name(options.name) if options.name else place
        return cls(f"{place}-{secrets.token_hex(4)}", name, keyring, tuple(addresses))
