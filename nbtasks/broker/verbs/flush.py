"""What one flush of a client submits: batches, chunks of calls, workflows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .operations import Part, cut

#: Operation of a flush -> of how many parts it is, its letter among them.
_WIDTHS = {"B": 8, "N": 4, "F": 3, "O": 3, "C": 8, "V": 3, "W": 7, "X": 6, "P": 8, "L": 2, "I": 3}


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
    """Operations that are applied together, exactly once, in the order in which they were added.

    What the parts of each are in ``args``, behind its letter:

    === ==========================================================================================================
    B   batch, n, address, function, function's frame or "", label, ms for which results are kept
    N   batch, n, label
    F   function, its frame
    O   batch, key of a blob
    C   batch, address, lane, when it is due (ms; 0: now), first, count, frame
    V   workflow, frame of its graph
    W   batch, workflow, awaited batches, waiting batches, fed ones as ``<batch>/<calls>`` (blanks between them), "1"
        where it excuses
    X   batch, batch that was submitted before, first, count, workflow
    P   as C, with the ms to wait after the release in the place of when it is due
    L   batch
    I   workflow, "" where it begins to come, "1" where all of it is there
    === ==========================================================================================================

    Attributes:
        args: the operations, one behind the other.
        blobs: (key, data) of pieces of large values, which are stored before.
        size: bytes of all that, roughly.
    """

    args: list[Part] = field(default_factory=list)
    blobs: list[tuple[str, bytes | memoryview]] = field(default_factory=list)
    size: int = 0

    def operations(self) -> Iterator[Sequence[Any]]:
        """Yield each operation, its letter first."""
        return cut(self.args, _WIDTHS)

    def batch(
        self, batch: str, n: int, address: str, function: str, frame: bytes, label: bytes, ttl_ms: int
    ) -> None:
        """Record a new batch of ``n`` calls (-1: not known yet).

        Its session hears of it. One that is known already keeps the number of calls that have ended. Its function is
        kept as long as a batch that uses it has not ended, and then as long as their results are.

        Args:
            function: hash of it.
            frame: its record; empty where the server is known to have it, else FunctionMissing is raised.
            ttl_ms: for how long its results are kept after the last call has ended.
        """
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
        """A workflow begins to come, in more than one flush, or all of it is there.

        One that never comes whole is found by :meth:`WorkflowStore.take_fallout`.
        """
        self.args += ["I", workflow, "1" if all_there else ""]

    def step(self, batch: str, place: WorkflowPlace) -> None:
        """A batch that was just recorded is a part of a workflow. Those come first that wait for others.

        What it awaits that has ended already is not waited for.
        """
        after, fed = " ".join(place.waiting), " ".join(f"{name}/{size}" for name, size in place.fed)
        excused = "1" if place.excuses else ""
        self.args += ["W", batch, place.workflow, " ".join(place.awaited), after, fed, excused]
        for before, first, count in place.earlier:
            self.args += ["X", batch, before, first, count, place.workflow]
        self.size += 100 + len(after) + len(fed)

    def parked(
        self, batch: str, address: str, lane: str, delay_ms: int, first: int, count: int, frame: bytes
    ) -> None:
        """Record a chunk of calls that wait for other batches, and then for some ms; they are in no queue yet."""
        self.args += ["P", batch, address, lane, delay_ms, first, count, frame]
        self.size += len(frame) + 100

    def all_parked(self, batch: str) -> None:
        """All chunks of a batch are recorded that waits for whole batches: it is released when these have ended."""
        self.args += ["L", batch]
