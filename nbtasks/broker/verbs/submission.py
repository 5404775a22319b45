"""The client's way in: numbered flushes of batches and chunks, and revocation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nbtasks.core.address import Address
from nbtasks.core.errors import BackPressure

from .flush import Flush

#: Most entries of one lane; beyond it a submit is refused.
MOST_ENTRIES = 2_000_000
#: A session lives as long as its client looks, and for this long where the client's machine sleeps.
SESSION_TTL_MS = 30 * 24 * 3600 * 1000
#: A piece of a large value lives for this long until a batch or a result has taken it over.
BLOB_GRACE_MS = 24 * 3600 * 1000


class Submission(Protocol):
    """Applies flushes for one session at a time, and revokes."""

    def submit(self, session: str, number: int, flush: Flush, eager: bool = False) -> None:
        """Apply a flush, all of it or nothing, exactly once: the same number may be sent any number of times.

        Pieces of large values are stored first, each by itself; one that no batch takes over goes after a day. All
        else is one step; what is queued can be taken from then on, and supervisors hear of what is due later. The
        number is noted for the session in the same step, and the session is kept for :data:`SESSION_TTL_MS`.

        A number that is the last one of this session: nothing is done, and that is right. Any other one but the next
        is a gap; a session that is not known has had none, so its first number is 1.

        Args:
            eager: somebody waits for a short answer: rather spin a moment than sleep. Only a hint.

        Raises:
            FunctionMissing: nothing was applied; send the flush with the function's frame.
            FlushGap: nothing was applied; send the missing flushes first.
            BackPressure: nothing was applied; a lane has :data:`MOST_ENTRIES`, or the server has no room.
            BrokerUnavailable: nobody knows; send it again.
        """

    def last_flush(self, session: str) -> int:
        """Return the number of the last flush that the server has applied (0: none), and keep the session alive."""

    def revoke(self, batch: str, control: bytes, running: int | None = None) -> bool:
        """Flag a batch as having revoked calls, and tell the supervisors; False when nobody knows the batch.

        Whoever takes its calls from then on looks at their states first. The REVOKED results themselves are told by
        :meth:`Store.finish`. May be said again.

        Args:
            control: the signed order, which supervisors hear as in :meth:`Ordering.give`.
            running: index of a call that runs on and must not be run again, -1 for all that have not ended: then the
                order is kept with the batch, for :meth:`Store.standing`.
        """

    def revoke_several(self, orders: Sequence[tuple[str, bytes, int | None]]) -> list[bool]:
        """Do the same for several: (batch, control, running) of each, in one round trip; each is one step."""


def queue_is_full(address: str) -> BackPressure:
    """Return the error of a flush that was refused because of a lane of this queue."""
    return BackPressure(
        f"queue {Address.parse(address).queue!r} holds {MOST_ENTRIES:,} entries already; wait until workers have "
        "caught up, add workers, or purge the queue"
    )
