"""What a supervisor says to all its children alike, in memory that they inherit: those that live, and those to come."""

from __future__ import annotations

import json
import mmap
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbtasks.core.address import Address
from nbtasks.core.errors import WorkersError

_BYTES = 256 * 1024
# Version and length. The version is odd while the rest is written.
_HEAD = struct.Struct("<QQ")
_RETRY_S = 0.0001


@dataclass(frozen=True)
class Notice:
    """What stands there.

    Attributes:
        addresses: all that this worker has taken calls at; none ever loses its place.
        served: those at which it takes calls now, by their numbers.
        limits: task -> options that its calls have other than they say themselves.
    """

    addresses: tuple[Address, ...] = ()
    served: tuple[int, ...] = ()
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def taken_from(self) -> tuple[Address, ...]:
        """The addresses at which calls are taken."""
        return tuple(self.addresses[number] for number in self.served)


class NoticeBoard:
    """The memory. Only the supervisor writes."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._memory = mmap.mmap(-1, _BYTES)
        self.write(Notice(tuple(addresses), tuple(range(len(addresses)))))

    @property
    def version(self) -> int:
        """Another one whenever something else stands there."""
        version: int = _HEAD.unpack_from(self._memory)[0]
        return version

    def write(self, notice: Notice) -> None:
        """Put something else in the place of what stands there.

        Raises:
            WorkersError: it is too much; nothing has changed.
        """
        data = json.dumps([notice.addresses, notice.served, notice.limits]).encode()
        if len(data) > _BYTES - _HEAD.size:
            raise WorkersError("a worker can keep no more queues and limits of tasks than it has; restart it")
        version = self.version
        _HEAD.pack_into(self._memory, 0, version + 1, len(data))
        self._memory[_HEAD.size : _HEAD.size + len(data)] = data
        _HEAD.pack_into(self._memory, 0, version + 2, len(data))

    def read(self) -> tuple[int, Notice]:
        """Return the version, and what stands there."""
        while True:
            before, length = _HEAD.unpack_from(self._memory)
            data = self._memory[_HEAD.size : _HEAD.size + length]
            if before % 2 == 0 and self.version == before:
                addresses, served, limits = json.loads(data)
                return before, Notice(tuple(map(Address.parse, addresses)), tuple(served), limits)
            time.sleep(_RETRY_S)
