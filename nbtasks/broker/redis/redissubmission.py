"""The client's way in: numbered flushes of batches and chunks, and revocation."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.broker.brokererrors import FlushGap, FunctionMissing
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.submission import BLOB_GRACE_MS, MOST_ENTRIES, SESSION_TTL_MS, queue_is_full
from nbtasks.core.errors import OperationalError

from .keys import Keys
from .link import Link, translated
from .untrusted import number_or, or_nothing


class RedisSubmission:
    """Applies flushes for one session."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def submit(self, session: str, number: int, flush: Flush, eager: bool = False) -> None:
        """Apply a flush; the same number may be sent any number of times.

        Args:
            eager: as in :meth:`Channel.has_come`.

        Raises:
            FunctionMissing: nothing was applied; send the flush with the function's frame.
            FlushGap: nothing was applied; send the missing flushes first.
            BackPressure: nothing was applied; the queue is full.
            BrokerUnavailable: nobody knows; send it again.
        """
        put_blobs(self._link, flush.blobs)
        reply = self._link.script(
            "submit", [self._keys.root], [session, number, SESSION_TTL_MS, MOST_ENTRIES, *flush.args], eager
        )
        if isinstance(reply, list):
            raise _refusal(reply)

    def last_flush(self, session: str) -> int:
        """Return the number of the last flush that the server has applied, and keep the session alive."""
        key = self._keys.session(session)
        number, _ = self._link.pipeline([("HGET", key, "n"), ("PEXPIRE", key, SESSION_TTL_MS)])
        number = or_nothing(number, None)
        if isinstance(number, Exception):
            raise translated(number, self._link.label)
        return number_or(number, 0)

    def revoke(self, batch: str, control: bytes, running: int | None = None) -> bool:
        """Flag the batch and tell the workers; False when nobody knows the batch.

        Args:
            running: index of a call that runs on and must not be run again, -1 for all that have not ended.
        """
        noted = "" if running is None else running
        return bool(self._link.script("revoke", [self._keys.root], [batch, control, noted]))

    def revoke_several(self, orders: Sequence[tuple[str, bytes, int | None]]) -> list[bool]:
        """Do the same for several: (batch, control, running) of each, in one round trip."""
        commands = [
            self._link.script_command(
                "revoke", [self._keys.root], [batch, control, "" if running is None else running]
            )
            for batch, control, running in orders
        ]
        known = []
        for order, reply in zip(orders, self._link.pipeline(commands), strict=True):
            # The server may not know the script yet; what is done again changes nothing.
            known.append(self.revoke(*order) if isinstance(reply, Exception) else bool(reply))
        return known


def put_blobs(link: Link, blobs: Sequence[tuple[str, bytes | memoryview]]) -> None:
    """Store pieces of large values, to be taken over by a batch or a result."""
    if not blobs:
        return
    for reply in link.pipeline([("SET", key, data, "PX", BLOB_GRACE_MS) for key, data in blobs]):
        if isinstance(reply, Exception):
            raise translated(reply, link.label)


def _refusal(reply: list[bytes]) -> OperationalError:
    kind = reply[0]
    if kind == b"NOFN":
        return FunctionMissing(reply[1].decode())
    if kind == b"GAP":
        return FlushGap(int(reply[1]))
    return queue_is_full(reply[1].decode())
