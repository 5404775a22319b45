"""What is written into a flush of one batch: its record with its label, its large values, its chunks."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from nbtasks.broker.servertime import ServerClock
from nbtasks.broker.verbs.flush import Flush
from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Parcel
from nbtasks.client.batches.sent import Sent
from nbtasks.client.engines.brokered.roster import WorkerRoster
from nbtasks.core.label import MOST_NAME, MOST_NAMED, MOST_OF_NAMES, BatchLabel
from nbtasks.core.submitter import Submitter
from nbtasks.wire.codec import Codec
from nbtasks.wire.values import BlobPiece

from .parking import Park, write_chunks, write_place


# One for each call, and to make one that is frozen takes longer.
@dataclass
class ChunkGroup:
    """Chunks of one batch that go together.

    Attributes:
        blobs: the pieces of large values that are for them.
        due_ms: when they are due, 0 for at once.
        n: calls of the batch, which is recorded with them; None where it is recorded already.
        park: which calls wait in a workflow.
        first_time: they were never sent before.
    """

    sent: Sequence[Sent]
    blobs: Sequence[BlobPiece] = ()
    due_ms: int = 0
    n: int | None = None
    park: Park = "none"
    first_time: bool = False


class Writing:
    """Writes batches of one session.

    Args:
        ttl_ms: milliseconds that results are kept.
    """

    def __init__(self, codec: Codec, roster: WorkerRoster, ttl_ms: int, clock: ServerClock) -> None:
        self._codec = codec
        self._roster = roster
        self._ttl_ms = ttl_ms
        self._clock = clock

    def chunks(self, flush: Flush, function: bytes, batch: Ledger, parcel: Parcel, group: ChunkGroup) -> None:
        """Write chunks, and the batch where that is not recorded yet.

        Args:
            function: the frame of what they need, or empty bytes where the broker has it.
        """
        address, n = self._roster.address(batch.queue), group.n
        if n is None and function:
            flush.function(parcel.function, function)
        if n is not None:
            label = self._label(batch, parcel, n)
            flush.batch(batch.id, n, address, parcel.function, function, label, self._ttl_ms)
            if parcel.step is not None:
                write_place(flush, batch, parcel.step, group.first_time)
        for key, data in group.blobs:
            flush.blob(batch.id, key, data)
        if parcel.step is not None:
            write_chunks(flush, batch, parcel, address, group.sent, group.due_ms, group.park)
            if group.first_time and batch is parcel.step.workflow.own[0] and _are_last(group.sent, batch):
                flush.incoming(parcel.step.workflow.id, all_there=True)
            return
        for item in group.sent:
            flush.chunk(batch.id, address, item.lane, group.due_ms, item.first, item.count, item.frame)

    def growth(self, flush: Flush, batch: Ledger, parcel: Parcel) -> None:
        """Write how many calls a growing batch has, as far as that is known."""
        n = -1 if batch.growing else batch.n
        flush.grown(batch.id, n, self._label(batch, parcel, n))

    def _label(self, batch: Ledger, parcel: Parcel, n: int) -> bytes:
        """Return, signed, what another client is told of a batch; ``n`` is -1 while nobody knows how many calls."""
        info = batch.origin
        standing = _standing(
            parcel.function, info.name, info.queue, info.label, info.kind, info.single, info.eta_at, info.on_error,
            parcel.options.header.lane, not info.quiet, "" if batch.mends is None else batch.mends.label,
            info.own_id, info.workflow, info.submitter, _items(batch, parcel, n),
        )  # fmt: skip
        # A fraction of a second takes longer to write than the rest, and nobody looks at it.
        return self._codec.seal_label(batch.id, n, int(self._clock.now()), standing)


def _are_last(sent: Sequence[Sent], batch: Ledger) -> bool:
    return bool(sent) and sent[-1].first + sent[-1].count >= batch.n


@functools.lru_cache(maxsize=64)
def _standing(
    function: str,
    name: str,
    queue: str,
    title: str | None,
    kind: str,
    single: bool,
    eta_at: float | None,
    on_error: str,
    lane: str,
    shown: bool,
    repairs: str,
    own_id: str,
    workflow: str,
    submitter: Submitter,
    items: tuple[str, ...],
) -> str:
    """Return what a label says that is the same for many batches: one call after another of a task, say."""
    return BatchLabel(
        0, function, name, queue, title, kind, single, eta_at, on_error, lane, 0.0, shown, repairs, own_id,
        workflow, submitter, items,
    ).standing  # fmt: skip


def _items(batch: Ledger, parcel: Parcel, n: int) -> tuple[str, ...]:
    """Return what the calls of a small map are called, for those who attach to what a cell has submitted."""
    if batch.kind != "map" or batch.quiet or n > MOST_NAMED or not batch.origin.submitter.cell:
        return ()
    names = tuple(parcel.item_label(index)[:MOST_NAME] for index in range(n))
    return names if sum(map(len, names)) <= MOST_OF_NAMES else ()
