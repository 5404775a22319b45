"""The engine of an eager App: a call runs where it is submitted, and is over when the submit returns. For tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Parcel
from nbtasks.core.errors import ConfigError
from nbtasks.wire.opened.function import Function

from .eagerholding import EagerHolding
from .executorengine import ExecutorEngine
from .line import Load, Stretch
from .running import run_here

if TYPE_CHECKING:
    from nbtasks.client.batches.engineparts import LockKeeper
    from nbtasks.client.batches.parcel import Call, CallOptions
    from nbtasks.client.definition import Definition
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.wire.modules.manifest import Needs
    from nbtasks.wire.values import BlobPiece


class EagerApp:
    """Stands where other Apps have an executor; the name is what messages call it."""

    def submit(self, *_: Any) -> Any:
        """Raise: nothing is handed to it."""
        raise ConfigError("an eager App runs its calls where they are submitted")


class EagerEngine(ExecutorEngine):
    """Runs each call where it is submitted, with its retries and without waiting between them.

    Arguments and results are pickled as for a worker. The function is the one that is here: it sees what a test has
    put into its module, and what it changes is changed here.

    Args:
        name: the App's.
        propagates: returns whether a call that fails raises where it is submitted.
    """

    def __init__(self, name: str, result_limit: int, propagates: Callable[[], bool]) -> None:
        super().__init__(EagerApp(), name, result_limit)  # type: ignore[arg-type]
        self._name = name
        self._propagates = propagates
        self._holding = EagerHolding()

    def _refusal(self, word: str) -> ConfigError:
        return ConfigError(
            f"{word}: App {self._name!r} is eager: its calls run where they are submitted, without a broker"
        )

    @property
    def holding(self) -> LockKeeper:
        """Takes locks of this process."""
        return self._holding

    def checked(self, options: CallOptions) -> CallOptions:
        """Return options: none can keep a call from running at once."""
        return options

    def submit_call(self, task: Definition, call: Call, options: CallOptions) -> tuple[Ledger, int]:
        """Run one call."""
        batch, index = super().submit_call(task, call, options)
        if batch.failed_count and self._propagates():
            from nbtasks.client.result import AsyncResult

            raise AsyncResult.of(batch, index).result
        return batch, index

    def submit(
        self, batch: Ledger, parcel: Parcel, payloads: Iterable[bytes], chunk: int | None = None
    ) -> None:
        """Run the calls of a map, one after another."""
        if not batch.n:
            self.registry.note_over(batch)
            return
        packed = list(payloads)
        self.shelf.keep(parcel, parcel.blobs)
        self.registry.add(batch)
        self._run(batch, parcel, 0, packed)

    def open(self, batch: Ledger, parcel: Parcel) -> None:
        """Begin a batch that grows."""
        self.registry.add(batch)

    def add(
        self,
        batch: Ledger,
        parcel: Parcel,
        first: int,
        payloads: Sequence[bytes],
        pieces: Sequence[BlobPiece],
        needs: Needs,
    ) -> None:
        """Run more calls of a batch that grows."""
        self.shelf.keep(parcel, list(pieces))
        self._run(batch, parcel, first, list(payloads))

    def workers(self) -> list[WorkerInfo]:
        """Return nobody."""
        return []

    def _run(self, batch: Ledger, parcel: Parcel, first: int, payloads: list[bytes]) -> None:
        task = parcel.task
        function = Function.of(task.name, task.function, task.options)
        for index in range(first, first + len(payloads)):
            stretch: Stretch | None = Stretch(Load(batch, parcel, b"", first, payloads), index, 1)
            while stretch is not None:
                stretch = self._try(stretch, function)
        self.registry.announce()

    def _try(self, stretch: Stretch, function: Function) -> Stretch | None:
        """Run one attempt of a call; returns the next one, if there is one."""
        batch = stretch.load.batch
        answer = run_here(self._errand(stretch), function)
        for retried in answer.again:
            batch.apply_event("", retried)
            return stretch.next_try(retried.index, answer.changed.get(retried.index))
        if answer.record is not None:
            self._apply(batch, answer.record, answer.ranges)
        return None
