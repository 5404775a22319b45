"""A job: one entry in a child's hands, opened, with the calls of it that are still to be run."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field

from nbtasks.broker.verbs.entry import Entry
from nbtasks.core import attempts
from nbtasks.core.context import CurrentCall, Report
from nbtasks.core.hold import Hold
from nbtasks.core.ids import call_id
from nbtasks.core.options import TaskOptions, with_overrides
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.kinds.generators import seed_call
from nbtasks.wire.opened.function import Function, Lent

from .handedon import HandedOn


@dataclass
class Job:
    """An entry, its chunk and its function."""

    entry: Entry
    chunk: Chunk
    function: Function
    options: TaskOptions
    next: int
    end: int
    #: Calls that were final before this job began.
    skip: frozenset[int] = frozenset()
    #: What its calls get from calls before them; None where they wait for none.
    handed: HandedOn | None = None
    #: Calls that have been started or skipped and are not reported yet.
    open: int = 0
    #: The whole entry was given back; nothing of it is acknowledged by this child any more.
    given_up: bool = False
    #: The entry has been handed over to be acknowledged.
    reported: bool = False
    #: The locks of the call that is about to start, or runs: it is alone in its job then.
    hold: Hold | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: Held while calls of it are given to others.
    giving: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # What all its calls have in common is worked out once.
        header, entry = self.chunk.header, self.entry
        #: When its entry was taken (monotonic).
        self.taken = time.monotonic()
        #: What is said of all its calls.
        self.header = header
        #: The local modules that its calls see: those of its function, and those of their arguments.
        self.world = self.function.world
        if self.world is not None and header.modules:
            self.world = self.world.with_more(header.modules)
        #: Id of the key that its calls were signed with, and the batch's id as the slot has it.
        self.key_id, self.batch_bytes = entry.key_id, entry.batch.encode()
        #: The copy of the function that needs not be lent: nothing is to be prepared for a call.
        self.shared = self.function.shared if header.seed is None else None
        first = entry.first - self.chunk.first
        self._payloads = self.chunk.payloads[first : first + entry.count]
        #: How each of its calls has ended is told at once: others wait for its locks, or it must not look as not run.
        self.tells_at_once = header.at_most_once or bool(header.locks)
        self._n = 1 if header.single else None
        self._name, self._own_id = header.name, header.task_id
        self._queue, self._attempt = entry.address.queue, attempts.tries(entry.attempt)

    @property
    def remaining(self) -> int:
        """Calls not started."""
        return self.end - self.next

    @property
    def to_run(self) -> int:
        """Calls not started that are to be run: some of the remaining ones may have ended otherwise."""
        return self.remaining - sum(self.next <= index < self.end for index in self.skip)

    @property
    def first_to_run(self) -> int | None:
        """Index of the next call that is to be run; None where there is none."""
        return next((index for index in range(self.next, self.end) if index not in self.skip), None)

    def span(self, calls: int) -> int:
        """Return how many of the remaining calls to keep so that ``calls`` of them are to be run."""
        if not self.skip:
            return min(calls, self.remaining)
        to_run = (index for index in range(self.next, self.end) if index not in self.skip)
        last = next(itertools.islice(to_run, calls - 1, None), self.end - 1) if calls else self.next - 1
        return last + 1 - self.next

    @property
    def is_untouched(self) -> bool:
        """Whether none of its calls was started or left out."""
        return self.next == self.entry.first and not self.open

    @property
    def kept(self) -> tuple[int, int] | None:
        """(first, count) of the calls that are left of its entry; None where none were given away."""
        first, count = self.entry.first, self.end - self.entry.first
        return (first, count) if count < self.entry.count else None

    def claim(self) -> int | None:
        """Return the index of the next call to start, or None; a call that is claimed is no longer given away."""
        with self.lock:
            while self.next < self.end:
                index = self.next
                self.next += 1
                if index not in self.skip:
                    self.open += 1
                    return index
            return None

    def leave_out(self, final: frozenset[int], revoked: frozenset[int]) -> list[int]:
        """Do not start calls that have ended, or were revoked; returns those of the latter that have not ended yet."""
        with self.lock:
            fresh = [i for i in sorted(revoked - final - self.skip) if self.next <= i < self.end]
            self.skip |= final.union(fresh)
            self.open += len(fresh)
            return fresh

    def cut(self, keep: int) -> tuple[int, int] | None:
        """Take all but ``keep`` of the calls that are not started out of the job: (first, count)."""
        with self.lock:
            first = self.next + keep
            if first >= self.end:
                return None
            piece = (first, self.end - first)
            self.end = first
            return piece

    def is_worked_off(self, ended: int = 0) -> bool:
        """Return, once, whether its entry is to be acknowledged: nothing of it runs, or is to be run here.

        Args:
            ended: so many of its calls have ended just now.
        """
        with self.lock:
            self.open -= ended
            over = self.open == 0 and self.next >= self.end and not (self.given_up or self.reported)
            self.reported = self.reported or over
        return over

    def drop(self) -> None:
        """Start nothing more of it: somebody else has it."""
        with self.lock:
            self.end = self.next

    def payload(self, index: int) -> bytes | memoryview:
        """Return the payload of a call."""
        return self._payloads[index - self.entry.first]

    def lend(self, call: CurrentCall) -> Lent:
        """Return a copy of the function for a call, whose arguments can be opened now."""
        if self.header.seed is not None:
            seed_call(self.entry.batch, call.index, self.header.seed)
        return self.function.lend(call)

    def options_with(self, lent: Lent) -> TaskOptions:
        """Return the options for a call that runs this copy of the function."""
        if lent.options is self.function.options:
            return self.options
        return with_overrides(lent.options, self.header.overrides)

    def id_of(self, index: int) -> str:
        """Return the id of a call."""
        return self._own_id or call_id(self.entry.batch, index, self._n)

    def call(self, index: int, worker: str, report: Report | None = None) -> CurrentCall:
        """Return what task code may ask about a call; ``report`` is told of its progress."""
        batch, options = self.entry.batch, self.options
        # By position, which takes half the time: it is made for each call.
        made = CurrentCall(
            self._own_id or call_id(batch, index, self._n), batch, index, self._name, self._attempt, worker,
            self._queue, False, (), {}, options.time_limit, options.soft_time_limit, report, self.chunk,
        )  # fmt: skip
        if self.hold is not None:
            made.hold = self.hold
        return made
