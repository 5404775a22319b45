"""What an engine may have besides bringing calls to workers; one that lacks it says so when it is asked for it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .parcel import Call, CallOptions

if TYPE_CHECKING:
    from nbtasks.client.definition import Definition
    from nbtasks.client.workerinfo import WorkerInfo
    from nbtasks.core.brokerfacts import BrokerFacts
    from nbtasks.core.due.periodicfacts import PeriodicFacts
    from nbtasks.core.due.periodicterms import PeriodicTerms
    from nbtasks.core.hold import Hold
    from nbtasks.core.lock import Lock
    from nbtasks.core.occupancy import LockLook
    from nbtasks.core.orders import Command, LimitTask
    from nbtasks.core.queuedepth import QueueDepth
    from nbtasks.core.servergauges import ServerGauges
    from nbtasks.core.workeranswer import WorkerAnswer

    from .outline import Outline

#: Who holds a lock in this process: a thread, or a task of an event loop.
Owner = tuple[int, int, int]


class PeriodicKeeper(Protocol):
    """Keeps periodic tasks."""

    def put(
        self,
        task: Definition,
        calls: Sequence[Call],
        options: CallOptions,
        terms: PeriodicTerms,
        chunk: int | None = None,
    ) -> None:
        """Put one, or another version of it.

        Args:
            calls: what each run is.
            chunk: calls of a map that travel together, where that was said.

        Raises:
            NotPicklable: an argument, or what the function captures, cannot travel.
            ConfigError: it is never due, its arguments are too large to travel with each run, or an option makes no
                sense with it.
        """

    def all(self) -> list[PeriodicFacts]:
        """Return what is known of all, the next one first, those that pause last."""

    def find(self, name: str) -> PeriodicFacts | None:
        """Return what is known of one; None where there is none of this name."""

    def run_now(self, name: str) -> str:
        """Submit a run beside the timetable; returns its batch.

        Raises:
            ConfigError: there is none of this name, or its run before goes on.
        """

    def pause(self, name: str) -> None:
        """Have one pause; raises ConfigError where there is none, as the next one does."""

    def resume(self, name: str) -> None:
        """Have one go on, from now on."""

    def remove(self, name: str) -> bool:
        """Remove one; False where there is none."""


@dataclass(frozen=True)
class DueLater:
    """Some calls of a batch that wait for a moment.

    Attributes:
        due_at: epoch seconds of this machine's clock.
        first, count: which calls.
    """

    queue: str
    due_at: float
    batch: str
    first: int
    count: int


class Commander(Protocol):
    """Tells workers something, or asks them."""

    def reachable(self, workers: Iterable[WorkerInfo]) -> list[WorkerInfo]:
        """Return those workers that live, and believe what this process says."""

    def ask(self, what: Command, workers: Sequence[str], timeout_s: float) -> dict[str, WorkerAnswer]:
        """Give an order to some workers, by their ids; returns the answers of those who answer in time."""

    def tell(self, what: Command, workers: Sequence[str]) -> None:
        """Give an order that nobody has to answer."""

    def keep(self, what: LimitTask) -> None:
        """Have workers that begin later follow an order, too."""

    def due_later(self, queues: Collection[str]) -> Iterator[DueLater]:
        """Yield the calls of some queues that are due later."""

    def outlines_of(self, batches: Sequence[str]) -> Mapping[str, Outline]:
        """Return what is known of batches, by their ids."""


class Surveyor(Protocol):
    """Looks at what there is beyond calls, for people. Nothing of it is signed."""

    def queues(self) -> list[QueueDepth]:
        """Return how long queues are."""

    def locks(self) -> tuple[list[LockLook], int]:
        """Return locks that somebody holds or waits for, and how many more there are."""

    def limits(self) -> list[LimitTask]:
        """Return the limits of tasks that were set while workers run, by task."""

    def server(self) -> tuple[BrokerFacts, ServerGauges]:
        """Return what the server is, and what it says of itself."""

    def living(self, workers: Iterable[WorkerInfo]) -> set[str]:
        """Return the ids of those workers that live."""


class LockKeeper(Protocol):
    """Takes locks for code of this process, and gives them back."""

    def is_held_by(self, owner: Owner, lock: Lock) -> bool:
        """Whether a thread, or the call that runs there, holds a lock."""

    def take(
        self, lock: Lock, owner: Owner, timeout_s: float | None, given_up: threading.Event | None = None
    ) -> Hold:
        """Take a lock, and wait for it.

        Args:
            given_up: set where nobody wants it any more.

        Raises:
            TimeoutError: others hold it.
            BrokerUnavailable: the broker cannot be reached.
        """

    def give_back(self, hold: Hold) -> None:
        """Give a lock back, once."""
