"""Single calls of one task that are submitted faster than they can be sent: they share a batch, as a map's calls do.

So a loop of ``.delay()`` costs the broker little more than a map. A series takes calls while it is the last in line,
which keeps the order of submission; from the moment it is sent, it is a batch like any other.
"""

from __future__ import annotations

from collections.abc import Callable

from nbtasks.broker.verbs.flush import Flush
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Call, Parcel
from nbtasks.client.batches.sent import Sent

from .batchitems import BatchItem, Sending
from .writing import ChunkGroup

#: What a handle keeps alive of its neighbours is bounded by this.
_MOST_CALLS = 1000
_MOST_BYTES = 256 * 1024
#: Bytes of a call besides its payload, about.
_CALL_BYTES = 16


class Series(BatchItem):
    """Calls that wait to be sent together.

    Args:
        ledger: of what they will be; it grows until it is sent.
        parcel: the same, with nothing in it yet.
        kind: what calls have to have in common.
        seal: returns chunks of payloads.
    """

    def __init__(
        self,
        sending: Sending,
        ledger: Ledger,
        parcel: Parcel,
        kind: tuple[object, ...],
        seal: Callable[[Ledger, Parcel, list[bytes]], list[Sent]],
    ) -> None:
        super().__init__(sending, ledger, parcel, 0)
        self.kind = kind
        self.batch = ledger.id
        self._calls: list[Call] = []
        parcel.calls = self._calls
        ledger.leave_open()
        self._seal = seal
        self._payloads: list[bytes] = []

    @property
    def has_room(self) -> bool:
        """Whether another call may come."""
        return len(self._payloads) < _MOST_CALLS and self.size < _MOST_BYTES

    def add(self, call: Call, payload: bytes) -> int:
        """Take one more call; returns its index."""
        index = len(self._payloads)
        self._payloads.append(payload)
        self._calls.append(call)
        self.ledger.grow(index + 1)
        self.size += len(payload) + _CALL_BYTES
        return index

    def write(self, flush: Flush, function: bytes) -> None:
        """Add them as one batch."""
        # It is out of the line, so nobody adds to it any more. It may be written more than once.
        ledger, parcel = self.ledger, self._parcel
        if ledger.growing:
            parcel.sent = self._seal(ledger, parcel, self._payloads)
            ledger.complete()
        self._sending.writing.chunks(flush, function, ledger, parcel, ChunkGroup(parcel.sent, n=ledger.n))
