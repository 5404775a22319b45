"""The client's way in: numbered flushes of batches and chunks, and revocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.broker.brokererrors import FlushGap, FunctionMissing
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.submission import BLOB_GRACE_MS, MOST_ENTRIES, queue_is_full
from nbtasks.core.errors import OperationalError

from .pgoperations import of_flush

if TYPE_CHECKING:
    from .pglink import PgLink

#: How full lanes are is looked at with the first flush and each so manyth one: it costs as much as all the rest.
_LOOK_EVERY = 16
#: Bytes of pieces that are stored in one go.
_MOST_BYTES = 32 * 2**20


class PgSubmission:
    """Applies flushes for one session."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def submit(self, session: str, number: int, flush: Flush, eager: bool = False) -> None:
        """Apply a flush; the same number may be sent any number of times."""
        put_blobs(self._line, flush.blobs)
        args = of_flush(flush).all_args(MOST_ENTRIES, look=number % _LOOK_EVERY == 1)
        reply = self._line.lasting("submit", session, number, *args, size=flush.size)
        if reply not in {"OK", "DUP"}:
            raise _refusal(reply)

    def last_flush(self, session: str) -> int:
        """Return the number of the last flush that the server has applied, and keep the session alive."""
        return int(self._line.one("last_flush", session))

    def revoke(self, batch: str, control: bytes, running: int | None = None) -> bool:
        """Flag the batch and tell the workers; False when nobody knows the batch."""
        return bool(self._line.one("revoke", batch, control, running))

    def revoke_several(self, orders: Sequence[tuple[str, bytes, int | None]]) -> list[bool]:
        """Do the same for several, in one round trip."""
        found = self._line.several([("revoke", order) for order in orders]) if orders else []
        return [bool(rows[0][0]) for rows in found]


def put_blobs(line: PgLink, blobs: Sequence[tuple[str, bytes | memoryview]]) -> None:
    """Store pieces of large values, to be taken over by a batch or a result."""
    some: dict[str, bytes | memoryview] = {}
    for key, data in blobs:
        if some and sum(map(len, some.values())) + len(data) > _MOST_BYTES:
            line.rows("put_blobs", list(some), list(some.values()), BLOB_GRACE_MS)
            some = {}
        some[key] = data
    if some:
        line.rows("put_blobs", list(some), list(some.values()), BLOB_GRACE_MS)


def _refusal(reply: str) -> OperationalError:
    kind, _, what = reply.partition(" ")
    if kind == "NOFN":
        return FunctionMissing(what)
    if kind == "GAP":
        return FlushGap(int(what))
    return queue_is_full(what)
