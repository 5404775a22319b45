"""The client's way in: numbered flushes of batches and chunks, and revocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbtasks.core.address import Address
from nbtasks.core.errors import BackPressure, OperationalError

from .channel import Argument
from .keys import Keys
from .link import Link, translated
from .untrusted import number_or, or_nothing

#: Most entries of one lane; beyond it a submit is refused.
MOST_ENTRIES = 2_000_000
#: A session lives as long as its client looks, and for this long where the client's machine sleeps.
SESSION_TTL_MS = 30 * 24 * 3600 * 1000
#: Seconds a blob lives until a batch or a result has taken it over.
BLOB_GRACE_S = 24 * 3600


class FunctionMissing(OperationalError):
    """The server does not have a function's record; send it along.

    Attributes:
        digest: the function's content hash.
    """

    def __init__(self, digest: str) -> None:
        super().__init__(f"the broker does not have function {digest[:12]}")
        self.digest = digest


class FlushGap(OperationalError):
    """The server misses flushes before this one (it was restored to an older state).

    Attributes:
        last: number of the last flush that it has.
    """

    def __init__(self, last: int) -> None:
        super().__init__(f"the broker has flushes up to {last} only")
        self.last = last


@dataclass(frozen=True)
class WorkflowPlace:
    """Where a batch stands in a workflow, as the server advances it.

    Attributes:
        workflow: its id.
        awaited: the batches that it waits for, all of each.
        waiting: the batches that wait for all of it.
        fed: batches whose calls wait for its calls one by one, and the calls in a chunk of theirs.
        excuses: one of those that wait for it is to run only after a failure.
        earlier: calls that were submitted before the workflow and that it waits for: batch, first index, how many.
    """

    workflow: str
    awaited: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    fed: tuple[tuple[str, int], ...] = ()
    excuses: bool = False
    earlier: tuple[tuple[str, int, int], ...] = ()


@dataclass
class Flush:
    """Operations that are applied together, exactly once."""

    args: list[Argument] = field(default_factory=list)
    blobs: list[tuple[str, bytes | memoryview]] = field(default_factory=list)
    size: int = 0

    def batch(
        self, batch: str, n: int, address: str, function: str, frame: bytes, label: bytes, ttl_ms: int
    ) -> None:
        """Record a new batch of ``n`` calls (-1: not known yet)."""
        self.args += ["B", batch, n, address, function, frame, label, ttl_ms]
        self.size += len(frame) + len(label) + 200

    def grown(self, batch: str, n: int, label: bytes) -> None:
        """Record that a batch has ``n`` calls in the end."""
        self.args += ["N", batch, n, label]

    def function(self, digest: str, frame: bytes) -> None:
        """Put a function's record in place again."""
        self.args += ["F", digest, frame]
        self.size += len(frame)

    def blob(self, batch: str, key: str, data: bytes | memoryview) -> None:
        """Store a piece of a large value that lives as long as the batch."""
        self.blobs.append((key, data))
        self.args += ["O", batch, key]

    def chunk(
        self, batch: str, address: str, lane: str, due_ms: int, first: int, count: int, frame: bytes
    ) -> None:
        """Queue a chunk of calls, at a moment of the server's time or now (0)."""
        self.args += ["C", batch, address, lane, due_ms, first, count, frame]
        self.size += len(frame) + 100

    def plan(self, workflow: str, frame: bytes) -> None:
        """Record the graph of a workflow."""
        self.args += ["V", workflow, frame]
        self.size += len(frame)

    def incoming(self, workflow: str, all_there: bool) -> None:
        """A workflow begins to come, or all of it is there."""
        self.args += ["I", workflow, "1" if all_there else ""]

    def step(self, batch: str, place: WorkflowPlace) -> None:
        """A batch that was just recorded is a part of a workflow."""
        after, fed = " ".join(place.waiting), " ".join(f"{name}/{size}" for name, size in place.fed)
        excused = "1" if place.excuses else ""
        self.args += ["W", batch, place.workflow, " ".join(place.awaited), after, fed, excused]
        for before, first, count in place.earlier:
            self.args += ["X", batch, before, first, count, place.workflow]
        self.size += 100 + len(after) + len(fed)

    def parked(
        self, batch: str, address: str, lane: str, delay_ms: int, first: int, count: int, frame: bytes
    ) -> None:
        """Record a chunk of calls that wait for other batches, and then for some ms."""
        self.args += ["P", batch, address, lane, delay_ms, first, count, frame]
        self.size += len(frame) + 100

    def all_parked(self, batch: str) -> None:
        """All chunks of a batch are recorded that waits for whole batches."""
        self.args += ["L", batch]


class Submission:
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
    for reply in link.pipeline([("SET", key, data, "EX", BLOB_GRACE_S) for key, data in blobs]):
        if isinstance(reply, Exception):
            raise translated(reply, link.label)


def _refusal(reply: list[bytes]) -> OperationalError:
    kind = reply[0]
    if kind == b"NOFN":
        return FunctionMissing(reply[1].decode())
    if kind == b"GAP":
        return FlushGap(int(reply[1]))
    queue = Address.parse(reply[1].decode()).queue
    return BackPressure(
        f"queue {queue!r} holds {MOST_ENTRIES:,} entries already; wait until workers have caught up, "
        "add workers, or purge the queue"
    )
