"""From payloads to signed chunks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.paces import Paces
from nbtasks.client.batches.parcel import CallOptions, Parcel
from nbtasks.client.batches.sent import Sent
from nbtasks.client.submitting import chunking
from nbtasks.client.submitting.locking import locks_at
from nbtasks.client.submitting.shipping import Along
from nbtasks.core import memo
from nbtasks.core.lanenames import lane_of
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.codec import Codec
from nbtasks.wire.values import files_of

if TYPE_CHECKING:
    from nbtasks.broker.servertime import ServerClock

    from .receiving.expiry import Expiry
    from .roster import WorkerRoster


class Sealing:
    """Makes the chunks of a session's batches."""

    def __init__(
        self, codec: Codec, roster: WorkerRoster, paces: Paces, clock: ServerClock, expiry: Expiry
    ) -> None:
        self._codec = codec
        self._roster = roster
        self._paces = paces
        self._clock = clock
        self._expiry = expiry

    def due_ms(self, options: CallOptions) -> int:
        """Return when calls may start, in ms of the server's time; 0: at once."""
        return round((self._clock.now() + options.delay_s) * 1000) if options.delay_s > 0 else 0

    def cut(
        self, batch: Ledger, parcel: Parcel, payloads: Iterable[bytes], n: int, chunk: int | None = None
    ) -> Iterator[list[bytes]]:
        """Yield the payloads of each chunk of ``n`` calls."""
        slots = self._roster.slots(batch.queue) if n > 1 else 1
        if parcel.options.task.is_locked:
            # While one waits for its locks, others may have theirs.
            chunk = 1
        return chunking.cut(payloads, n, self._paces.of(parcel.function), slots, chunk)

    def sealed(
        self,
        batch: Ledger,
        parcel: Parcel,
        chunks: Iterable[list[bytes]],
        first: int,
        along: Along | None = None,
        names: bytes = b"",
    ) -> list[Sent]:
        """Return signed chunks. What is put apart of them may come to the parcel while they are read.

        Args:
            along: the local modules that they may need.
            names: of all calls of the batch, as in core/memo.py, where their results are kept. What is packed anew
                later on may have changed, and has none.
        """
        options, pieces, not_after = parcel.options, parcel.blobs, None
        if options.task.expires is not None:
            # What is over already is over for everybody, however exactly they reckon the server's time.
            not_after = self._clock.now() + options.task.expires if options.task.expires else 0.0
        lane, address = lane_of(options.task.priority), self._roster.address(batch.queue)
        sent, is_locked, locks = [], options.task.is_locked, None
        for part in chunks:
            files = [name for payload in part for name in files_of(payload)] if pieces else []
            modules = along.packed() if along is not None else b""
            header = options.header
            if files or modules or names:
                own = memo.names_of(names, first, len(part))
                header = dataclasses.replace(header, files=tuple(files), modules=modules, memo=own)
            if is_locked:
                if locks is None or options.task.concurrency_key is not None:
                    locks = locks_at(parcel, first)
                header = dataclasses.replace(header, locks=locks)
            chunk = Chunk(batch.id, parcel.function, first, part, header, not_after, address)
            frame = self._codec.seal_chunk(chunk)
            sent.append(Sent(first, len(part), lane, frame, not_after, len(pieces)))
            first += len(part)
        if not_after is not None:
            self._expiry.watch(batch, not_after)
        return sent
