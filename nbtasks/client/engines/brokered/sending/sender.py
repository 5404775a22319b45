"""From sealed chunks to flushes: what is written of a batch when it is submitted, grows, or is sent again."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import weakref
from collections.abc import Callable, Iterator, Sequence

from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Call, Parcel
from nbtasks.client.batches.registry import Registry
from nbtasks.client.batches.sent import Sent
from nbtasks.core.errors import OperationalError
from nbtasks.core.ranges import runs
from nbtasks.core.states import REVOKED_CODE
from nbtasks.wire.record import Record
from nbtasks.wire.values import BlobPiece

from .batchitems import ChunksItem, GrowthItem, bytes_of
from .endings import Endings
from .outbox import Item, Outbox
from .parking import Park
from .series import Series
from .writing import ChunkGroup, Writing

#: Bytes of chunks and large values that one item of the outbox takes, so that workers begin with the first while the
#: others are on their way.
_GROUP_BYTES = 256 * 1024
_FLUSH_S = 60.0
#: Seconds that it may take the broker to record a batch of which some calls have ended before, or whose id is read.
_RECORDED_S = 5.0


class Sender:
    """Submits batches of one session."""

    def __init__(
        self,
        outbox: Outbox,
        registry: Registry,
        writing: Writing,
        endings: Endings,
    ) -> None:
        self._outbox = outbox
        self._registry = registry
        self.writing = writing
        self._endings = endings
        #: The one that was begun last. The outbox holds it until it is sent; then nobody may join it.
        self._series: Callable[[], Series | None] = lambda: None

    @property
    def quiet(self) -> bool:
        """Whether nothing is being submitted, nor was a moment ago."""
        return self._outbox.quiet

    def flush(self) -> None:
        """Wait, for a while, until the broker has everything."""
        self._outbox.flush(_FLUSH_S)

    def flush_so_far(self, most_s: float) -> bool:
        """Wait until everything is sent that was submitted before this; returns whether it is."""
        return self._outbox.flush_so_far(most_s)

    def await_recorded(self, parcel: Parcel) -> bool:
        """Wait until a batch is recorded, for a while and as long as the broker answers; returns whether it is."""
        return parcel.place > 0 and self._outbox.await_place(parcel.place, _RECORDED_S)

    def send(
        self,
        batch: Ledger,
        parcel: Parcel,
        sent: list[Sent],
        new: bool = True,
        open_end: bool = False,
        pieces_from: int = 0,
    ) -> None:
        """Submit chunks of a batch, with the pieces of its large values that are for them.

        Args:
            new: the batch is not recorded yet.
            open_end: more calls will follow.
            pieces_from: so many pieces, from the first on, the broker has already.

        Raises:
            BrokerUnavailable, BackPressure: nothing was submitted.
        """
        parcel.sending = True
        try:
            parcel.sent += sent
            n = (-1 if open_end else batch.n) if new else None
            for number, item in enumerate(self._items(batch, parcel, sent, n, pieces_from)):
                self._put(batch, item, follows=number > 0)
                parcel.place = parcel.place or item.place
        finally:
            parcel.sending = False

    def send_together(self, batches: Sequence[tuple[Ledger, Parcel, list[Sent]]]) -> None:
        """Submit new batches in their order, as one: where it is not large, the broker gets all of it or nothing.

        Raises:
            BrokerUnavailable, BackPressure: nothing was submitted.
        """
        items: list[Item] = []
        for batch, parcel, sent in batches:
            parcel.sending = True
            parcel.sent += sent
            items += self._items(batch, parcel, sent, batch.n, 0)
        functions = set()
        for item in items:
            # A function goes with the first one only.
            item.size -= len(item.frame) if item.digest in functions else 0
            functions.add(item.digest)
        try:
            self._outbox.put_together(items, sum(item.size for item in items))
        except Exception:
            for batch, _, _ in batches:
                self._registry.drop(batch)
            raise
        finally:
            for _, parcel, _ in batches:
                parcel.sending = False
                parcel.place = items[-1].place

    def _items(
        self, batch: Ledger, parcel: Parcel, sent: list[Sent], n: int | None, pieces_from: int
    ) -> Iterator[ChunksItem]:
        for number, (group, blobs) in enumerate(_groups(sent, parcel.blobs, pieces_from)):
            chunks = ChunkGroup(group, blobs, parcel.due_ms, n if number == 0 else None, "all", True)
            item = ChunksItem(self, batch, parcel, chunks)
            item.batch, item.firsts = batch.id, frozenset(piece.first for piece in group)
            yield item

    def fail(self, batch: Ledger, parcel: Parcel, error: Exception) -> None:
        """A batch can never be submitted, nor can its workflow."""
        if parcel.step is None:
            self._registry.fail(batch, error)
            return
        whole = parcel.step.workflow.own
        for one in whole:
            self._registry.fail(one, error)
        self._registry.in_background(lambda: self._end_unsent(whole))

    def _end_unsent(self, whole: Sequence[Ledger]) -> None:
        """What the broker has of a workflow would wait for ever for what it never got."""
        with contextlib.suppress(OperationalError):
            for one in reversed(whole):
                self._endings.tell(one.id, [Record.alike(one.id, 0, one.n, REVOKED_CODE)])

    def _put(self, batch: Ledger, item: Item, follows: bool = False) -> None:
        try:
            self._outbox.put(item, follows)
        except Exception:
            self._registry.drop(batch)
            raise

    def join(
        self,
        kind: tuple[object, ...],
        call: Call,
        payload: bytes,
        open_batch: Callable[[], tuple[Ledger, Parcel]],
        seal: Callable[[Ledger, Parcel, list[bytes]], list[Sent]],
    ) -> tuple[Ledger, int]:
        """Submit a call together with those of its kind that wait to be sent; returns its batch and its index.

        Raises:
            BrokerUnavailable, BackPressure: it was not submitted.
        """
        waiting = self._series()
        if waiting is not None and waiting.kind == kind and waiting.has_room:
            index = self._outbox.extend(waiting, functools.partial(waiting.add, call, payload))
            if index is not None:
                return waiting.ledger, index
        batch, parcel = open_batch()
        series = Series(self, batch, parcel, kind, seal)
        series.add(call, payload)
        self._registry.add(batch)
        self._put(batch, series)
        parcel.place = series.place
        self._series = weakref.ref(series)
        return batch, 0

    def send_kept(self, batch: Ledger, records: Sequence[Record], values: Sequence[str]) -> None:
        """Tell the ends of calls whose results an earlier run has left, of a batch that was sent just now.

        Args:
            values: keys of the pieces of their large values.

        Raises:
            OperationalError: the broker does not answer, or does not take them.
        """
        self.flush_so_far(_RECORDED_S)
        self._endings.tell_kept(batch.id, records, values)

    def send_sign_of_life(self, batch: Ledger, parcel: Parcel) -> None:
        """Tell those who follow a growing batch that its client still reads items; else it has left."""
        self._outbox.put(GrowthItem(self, batch, parcel), follows=True)

    def send_count(self, batch: Ledger, parcel: Parcel) -> None:
        """Tell the broker how many calls a growing batch has in the end."""
        self._outbox.put(GrowthItem(self, batch, parcel))
        self._outbox.flush()
        self._endings.counted(batch.id)

    def put_back(
        self,
        batch: Ledger,
        parcel: Parcel,
        lost: Sequence[tuple[int, int]],
        recorded: bool,
        park: Park = "open",
    ) -> None:
        """Queue calls again that the broker has lost, with their large values; what was revoked stays out.

        Args:
            lost: (first, count) of the calls.
            recorded: the broker still has the batch; else it is recorded again.
            park: which calls wait in a workflow.
        """
        pieces = [piece for item in parcel.sent for piece in _wanted_pieces(batch, item, lost)]
        n = None if recorded else -1 if batch.growing else batch.n
        # Nobody can say which functions it still has.
        self._outbox.forget(parcel.function)
        for number, (group, blobs) in enumerate(_groups(pieces, parcel.blobs, 0)):
            chunks = ChunkGroup(group, blobs, parcel.due_ms, n if number == 0 else None, park)
            self._outbox.put(ChunksItem(self, batch, parcel, chunks), follows=True)

    def send_once_more(
        self, batch: Ledger, parcel: Parcel, pieces: list[Sent], blobs: Sequence[BlobPiece] = ()
    ) -> None:
        """Queue calls again of a batch that the broker knows, with their function."""
        self._outbox.forget(parcel.function)
        self._outbox.put(ChunksItem(self, batch, parcel, ChunkGroup(pieces, blobs)))


def _wanted_pieces(batch: Ledger, item: Sent, lost: Sequence[tuple[int, int]]) -> list[Sent]:
    """Return what is to be run again of a chunk."""
    pieces = [piece for first, count in lost if (piece := item.within(first, count)) is not None]
    revoked = batch.revoked.running
    if not revoked:
        return pieces
    wanted = runs(
        index
        for piece in pieces
        for index in range(piece.first, piece.first + piece.count)
        if revoked.isdisjoint((-1, index))
    )
    return [dataclasses.replace(item, first=first, count=count) for first, count in wanted]


def _groups(sent: list[Sent], blobs: list[BlobPiece], begin: int) -> list[tuple[list[Sent], list[BlobPiece]]]:
    """Cut chunks into groups that one flush takes, each with the pieces from ``begin`` on that are for it."""
    groups: list[tuple[list[Sent], list[BlobPiece]]] = [([], [])]
    size = 0
    for item in sent:
        if size > _GROUP_BYTES:
            groups.append(([], []))
            size = 0
        pieces, begin = blobs[begin : item.pieces], max(begin, item.pieces)
        groups[-1][0].append(item)
        groups[-1][1].extend(pieces)
        size += len(item.frame) + bytes_of(pieces)
    return groups
