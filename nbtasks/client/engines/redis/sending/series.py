"""Single calls of one task that are submitted faster than they can be sent: they share a batch, as a map's calls do.

So a loop of ``.delay()`` costs the broker little more than a map. A series takes calls while it is the last in line,
which keeps the order of submission; from the moment it is sent, it is a batch like any other.
"""

from __future__ import annotations

from collections.abc import Callable

from nbtasks.broker.redis.submission import Flush
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Call, Parcel
from nbtasks.client.batches.sent import Sent

from .outbox import Item

#: What a handle keeps alive of its neighbours is bounded by this.
_MOST_CALLS = 1000
_MOST_BYTES = 256 * 1024
#: Bytes of a call besides its payload, about.
_CALL_BYTES = 16


class Series:
    """Calls that wait to be sent together.

    Args:
        batch: what they will be; it grows until it is sent.
        parcel: the same, with nothing in it yet.
        kind: what calls must have in common to share it.
        seal: cuts payloads into signed chunks.
        record: adds the batch and its chunks to a flush.
        failed: told when they can never be sent.
    """

    def __init__(
        self,
        batch: Ledger,
        parcel: Parcel,
        kind: tuple[object, ...],
        seal: Callable[[list[bytes]], list[Sent]],
        record: Callable[[Flush, bytes, list[Sent]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.batch = batch
        self.kind = kind
        self.item = Item(self._write, parcel.function, parcel.frame, 0, failed)
        self._calls: list[Call] = []
        parcel.calls = self._calls
        batch.leave_open()
        self._parcel = parcel
        self._seal = seal
        self._record = record
        self._payloads: list[bytes] = []

    @property
    def has_room(self) -> bool:
        """Whether another call may come."""
        return len(self._payloads) < _MOST_CALLS and self.item.size < _MOST_BYTES

    def add(self, call: Call, payload: bytes) -> int:
        """Take one more call; returns its index."""
        index = len(self._payloads)
        self._payloads.append(payload)
        self._calls.append(call)
        self.batch.grow(index + 1)
        self.item.size += len(payload) + _CALL_BYTES
        return index

    def _write(self, flush: Flush, frame: bytes) -> None:
        # It is out of the line, so nobody adds to it any more. It may be written more than once.
        if self.batch.growing:
            self._parcel.sent = self._seal(self._payloads)
            self.batch.complete()
        self._record(flush, frame, self._parcel.sent)
