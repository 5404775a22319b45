"""The seam between what users hold and what brings calls to workers: all that is asked of an engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from .batchengine import BatchEngine
from .ledger import Ledger

if TYPE_CHECKING:
    from nbtasks.client.definition import Definition
    from nbtasks.client.happened.eventsource import EventSource
    from nbtasks.client.home import Home
    from nbtasks.client.stranded import Stranded
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.plan import Plan
    from nbtasks.core.stopsignal import Terminate
    from nbtasks.wire.modules.manifest import Needs
    from nbtasks.wire.values import BlobPiece
    from nbtasks.wire.workflowrecord import WorkflowRecord

    from .engineparts import Commander, LockKeeper, PeriodicKeeper, Surveyor
    from .outline import Outline
    from .parcel import Call, CallOptions, Parcel
    from .registry import Registry


class Engine(BatchEngine, Protocol):
    """What Apps and tasks ask besides what batches ask."""

    #: Stands for this engine alone, and for an App's settings as they are, for those who must not keep either.
    mark: object

    @property
    def registry(self) -> Registry:
        """The live batches."""

    @property
    def home(self) -> Home:
        """Where its calls go."""

    @property
    def unsent(self) -> str:
        """What is to be said of calls that were accepted and could not be handed over before the end; else empty."""

    # -- what only some have; the others raise ConfigError

    @property
    def periodics(self) -> PeriodicKeeper:
        """Keeps periodic tasks."""

    @property
    def commanding(self) -> Commander:
        """Tells workers something, or asks them."""

    @property
    def holding(self) -> LockKeeper:
        """Takes locks for code of this process."""

    @property
    def events(self) -> EventSource:
        """Tells what happens to calls and workers, whoever submitted them."""

    @property
    def lookout(self) -> Surveyor:
        """Looks at queues, locks and the server."""

    # -- submitting

    def checked(self, options: CallOptions) -> CallOptions:
        """Return options as this engine takes them.

        Raises:
            ConfigError: it cannot do what they ask for.
        """

    def claim(self, key: str, batch: str, for_s: float) -> str:
        """Return the batch of the call that a key stands for, as :meth:`UniqueCalls.claim` does; ``batch`` if none."""

    def share_files(self, queue: str) -> bool:
        """Whether large arguments may go into files of this machine."""

    def submit_call(self, task: Definition, call: Call, options: CallOptions) -> tuple[Ledger, int]:
        """Submit one call; returns its batch and its index."""

    def submit(
        self, batch: Ledger, parcel: Parcel, payloads: Iterable[bytes], chunk: int | None = None
    ) -> None:
        """Submit the calls of a map.

        Args:
            payloads: one of each call; large values are put apart, into the parcel, while they are read.
            chunk: calls that travel together, if the user said so.
        """

    def submit_reusing(
        self,
        batch: Ledger,
        parcel: Parcel,
        calls: Sequence[Call],
        payloads: Callable[[Sequence[int]], Iterable[bytes]],
        chunk: int | None = None,
    ) -> None:
        """Submit those calls of a map of which no earlier run has left the result; the others have ended with it.

        Args:
            calls: all of them, with their arguments as they are packed.
            payloads: returns those of the calls with these indexes.
            chunk: as above.
        """

    def submit_workflow(
        self,
        plan: Plan,
        nodes: Sequence[tuple[Ledger, Parcel, Sequence[bytes]]],
        earlier: Sequence[Ledger] = (),
    ) -> None:
        """Submit batches of which some wait for others.

        Args:
            nodes: for each node of the plan its batch, its parcel, and the payload of each call: its own arguments.

        Raises:
            ConfigError: it cannot let calls wait for others.
        """

    def revoke_workflow(self, batch: Ledger, terminate: Terminate) -> None:
        """Revoke all calls of the workflow that a batch is a part of, and that have not ended."""

    def workflow_of(self, batch: Ledger) -> WorkflowRecord | None:
        """Return the workflow that a batch is a part of, whoever has submitted it; None where it is in none."""

    def save_group(self, record: WorkflowRecord) -> None:
        """Keep a group of calls of several batches, which a plan without edges says.

        Raises:
            ConfigError: this engine keeps nothing.
        """

    def saved_group(self, id: str) -> WorkflowRecord | None:
        """Return a group that was kept under an id; None where there is none."""

    def open(self, batch: Ledger, parcel: Parcel) -> None:
        """Begin a batch that grows; nothing is sent yet."""

    def add(
        self,
        batch: Ledger,
        parcel: Parcel,
        first: int,
        payloads: Sequence[bytes],
        pieces: Sequence[BlobPiece],
        needs: Needs,
    ) -> None:
        """Submit more calls of a batch that grows.

        Args:
            first: index of the first.
            pieces: their large values.
            needs: the modules that their arguments may need.
        """

    def complete(self, batch: Ledger, parcel: Parcel) -> None:
        """All calls of a batch that grew are submitted."""

    def flush(self) -> None:
        """Wait until everything is handed over."""

    # -- what there is

    def adopt(self, batch_id: str) -> Ledger:
        """Return what is known of a batch, whoever submitted it.

        Raises:
            UnknownCall: nobody recorded it, or its time is over.
        """

    def forgotten(self, batch: Ledger) -> Collection[int]:
        """Return which of the single calls that share a batch were forgotten one by one, by whatever process."""

    def newest(self, most: int) -> Iterable[str]:
        """Return the ids of the batches that were submitted last, newest first."""

    def outlines(self, most: int) -> list[Outline]:
        """Return what was submitted last, of anybody's, newest first, where that is known."""

    def unfinished(self) -> list[Outline]:
        """Return what goes on of anybody's, newest first, where that is known."""

    def workers(self) -> list[WorkerInfo]:
        """Return all workers, whatever they can take."""

    def stranded(self, workers: Iterable[WorkerInfo]) -> list[Stranded]:
        """Return what waits for workers of another kind than this process's, where none of these is such a one."""

    # -- the end

    def disown(self) -> None:
        """Let go of everything in a process that was forked off: it is the parent's, and goes on there."""

    def close(self) -> None:
        """Hand over what waits, and end."""
