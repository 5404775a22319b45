"""Calls packed again whose worker does not see the files of this machine: their large values go through the broker."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Parcel
from nbtasks.client.batches.sent import Sent
from nbtasks.client.engines.brokered.roster import WorkerRoster
from nbtasks.client.home import Home
from nbtasks.client.submitting.packing import Packer
from nbtasks.wire.codec import Codec
from nbtasks.wire.values import BlobPiece, Shelf


class Repacking:
    """Packs calls again for one session.

    Args:
        shelf: where large values are put.
        home: where the calls go.
    """

    def __init__(self, codec: Codec, shelf: Shelf, roster: WorkerRoster, home: Home) -> None:
        self._codec = codec
        self._shelf = shelf
        self._roster = roster
        self._home = home

    def repacked(
        self, batch: Ledger, parcel: Parcel, sent: Sequence[Sent]
    ) -> tuple[list[Sent], list[BlobPiece]]:
        """Return chunks without files, and the pieces of their large values."""
        again, packer = [], Packer(batch.name, self._shelf, lambda: False, self._home)
        for item in sent:
            before = self._codec.open_chunk(item.frame, batch.id, self._roster.address(batch.queue))
            header = dataclasses.replace(before.header, files=(), place="", memo=b"")
            payloads = list(packer.payloads(parcel.calls[item.first : item.first + item.count], item.first))
            chunk = dataclasses.replace(before, first=item.first, payloads=payloads, header=header)
            again.append(dataclasses.replace(item, frame=self._codec.seal_chunk(chunk)))
        return again, packer.pieces
