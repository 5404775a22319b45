"""What the outbox sends of batches: chunks of one, and how many calls a growing one has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nbtasks.broker.verbs.flush import Flush
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Parcel
from nbtasks.wire.values import BlobPiece

from .outbox import Item
from .writing import ChunkGroup, Writing

#: Bytes of an entry besides its frame, about.
_ENTRY_BYTES = 100


class Sending(Protocol):
    """Whose batches they are."""

    writing: Writing

    def fail(self, batch: Ledger, parcel: Parcel, error: Exception) -> None:
        """A batch can never be submitted."""


class BatchItem(Item):
    """Something of one batch."""

    def __init__(self, sending: Sending, ledger: Ledger, parcel: Parcel, size: int) -> None:
        super().__init__(parcel.function, parcel.frame, size)
        self._sending = sending
        self.ledger = ledger
        self._parcel = parcel

    def fail(self, error: Exception) -> None:
        """The batch can never be submitted."""
        self._sending.fail(self.ledger, self._parcel, error)


class ChunksItem(BatchItem):
    """Chunks of a batch."""

    def __init__(self, sending: Sending, ledger: Ledger, parcel: Parcel, group: ChunkGroup) -> None:
        size = len(parcel.frame) + bytes_of(group.blobs)
        super().__init__(
            sending, ledger, parcel, size + sum(len(one.frame) + _ENTRY_BYTES for one in group.sent)
        )
        self._group = group

    def write(self, flush: Flush, function: bytes) -> None:
        """Add them."""
        self._sending.writing.chunks(flush, function, self.ledger, self._parcel, self._group)


class GrowthItem(BatchItem):
    """How many calls a growing batch has; and that its client still reads items, for else it counts as gone."""

    def __init__(self, sending: Sending, ledger: Ledger, parcel: Parcel) -> None:
        super().__init__(sending, ledger, parcel, _ENTRY_BYTES)

    def write(self, flush: Flush, function: bytes) -> None:
        """Add it, as it is then."""
        self._sending.writing.growth(flush, self.ledger, self._parcel)


def bytes_of(blobs: Sequence[BlobPiece]) -> int:
    """Return how large pieces are together."""
    return sum(len(data) for _, data in blobs)
