"""A job: one entry in a child's hands, opened, with the calls of it that are still to be run."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nbtasks.broker.delivery import Entry
from nbtasks.core import attempts
from nbtasks.core.context import CurrentCall, Report
from nbtasks.core.ids import call_id
from nbtasks.core.options import TaskOptions
from nbtasks.wire.codec import Chunk, Function


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
    #: Calls that have been started or skipped and are not reported yet.
    open: int = 0
    #: The whole entry was given back; nothing of it is acknowledged by this child any more.
    given_up: bool = False
    #: The entry has been handed over to be acknowledged.
    reported: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: Held while calls of it are given to others.
    giving: threading.Lock = field(default_factory=threading.Lock)

    @property
    def remaining(self) -> int:
        """Calls not started."""
        return self.end - self.next

    @property
    def to_run(self) -> int:
        """Calls not started that are to be run: some of the remaining ones may have ended otherwise."""
        return self.remaining - sum(self.next <= index < self.end for index in self.skip)

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

    # What all calls of a job have in common is worked out once.

    @cached_property
    def name(self) -> str:
        """The task's name."""
        return str(self.chunk.options.get("nm", "task"))

    @cached_property
    def batch_bytes(self) -> bytes:
        """The batch's id, as the slot has it."""
        return self.entry.batch.encode()

    @cached_property
    def key_id(self) -> str:
        """Id of the key that its calls were signed with."""
        return self.entry.key_id

    @cached_property
    def at_most_once(self) -> bool:
        """Whether its calls must not run again after a loss."""
        return not self.chunk.options.get("al", True)

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

    def cut(self, keep: int) -> tuple[int, int] | None:
        """Take all but ``keep`` of the calls that are not started out of the job: (first, count)."""
        with self.lock:
            first = self.next + keep
            if first >= self.end:
                return None
            piece = (first, self.end - first)
            self.end = first
            return piece

    def drop(self) -> None:
        """Start nothing more of it: somebody else has it."""
        with self.lock:
            self.end = self.next

    def payload(self, index: int) -> bytes | memoryview:
        """Return the payload of a call."""
        return self._payloads[index - self.entry.first]

    @cached_property
    def _payloads(self) -> Sequence[bytes | memoryview]:
        first = self.entry.first - self.chunk.first
        return self.chunk.payloads[first : first + self.entry.count]

    def call(self, index: int, worker: str, report: Report | None = None) -> CurrentCall:
        """Return what task code may ask about a call; ``report`` is told of its progress."""
        batch, only, name, attempt, queue, hard, soft = self._of_all_calls
        return CurrentCall(
            call_id(batch, index, only), batch, index, name, attempt, worker, queue,
            time_limit=hard, soft_time_limit=soft, report=report,
        )  # fmt: skip

    @cached_property
    def _of_all_calls(self) -> tuple[str, int | None, str, int, str, float | None, float | None]:
        chosen, options = self.chunk.options, self.options
        return (
            self.entry.batch, 1 if chosen.get("one") else None, self.name,
            attempts.tries(self.entry.attempt), self.entry.address.partition("@")[0],
            options.time_limit, options.soft_time_limit,
        )  # fmt: skip


def options_of(function: Function, chunk: Chunk) -> TaskOptions:
    """Return the task's options with what was set for these calls."""
    import dataclasses

    base = function.options if isinstance(function.options, TaskOptions) else TaskOptions()
    changes: dict[str, Any] = {}
    for short, name in (("tl", "time_limit"), ("sl", "soft_time_limit"), ("mr", "max_retries")):
        if short in chunk.options:
            changes[name] = chunk.options[short]
    if "mr" in chunk.options and chunk.options["mr"] and not base.autoretry_for:
        changes["autoretry_for"] = (Exception,)
    return dataclasses.replace(base, **changes) if changes else base
