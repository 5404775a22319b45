"""The line before an executor: what waits here can still be revoked, so no more is handed over than keeps it busy."""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.parcel import Parcel
from nbtasks.core.ranges import runs

from .errand import Answer, Errand
from .running import run

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = logging.getLogger("nbtasks")
#: Errands under way at an executor that does not say how many it runs at once.
_MOST_UNDER_WAY = 128
#: Seconds between two looks at what runs.
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, eq=False)
class Load:
    """The calls of one submit, packed.

    Attributes:
        packed: the task's function.
        first: index of the first of them.
        chunk: calls of one errand, if the user said so.
    """

    batch: Ledger
    parcel: Parcel
    packed: bytes
    first: int
    payloads: Sequence[bytes]
    chunk: int | None = None


@dataclass(frozen=True, eq=False)
class Stretch:
    """Calls in a row that are to be run, or are under way; ``attempt`` counts tries from 1."""

    load: Load
    first: int
    count: int
    attempt: int = 1
    whole_function: bool = False

    def part(self, first: int, count: int) -> Stretch:
        """Return some of these calls."""
        return dataclasses.replace(self, first=first, count=count)

    def next_try(self, index: int, changed: bytes | None) -> Stretch:
        """Return the next attempt of one of them; ``changed`` are its arguments, packed, where these are other."""
        load = self.load
        if changed is not None:
            load = dataclasses.replace(load, first=index, payloads=[changed])
        return dataclasses.replace(self, load=load, first=index, count=1, attempt=self.attempt + 1)

    def without(self, index: int) -> Iterator[Stretch]:
        """Yield what is left of it without one call."""
        left = [number for number in range(self.first, self.first + self.count) if number != index]
        for first, count in runs(left):
            yield self.part(first, count)

    def has(self, batch: Ledger, index: int) -> bool:
        """Whether a call is among these; an index of -1 stands for any."""
        return self.load.batch is batch and (index < 0 or self.first <= index < self.first + self.count)


class Line:
    """Hands calls over to an executor, from a thread of its own.

    Args:
        slots: calls that it runs at once; None where it does not say.
        size: returns how many calls of a stretch the next errand is to have.
        errand: packs them.
        hear: told of each errand's answer, or of why there is none.
        settle: called when all answers that have come were heard.
        look: called now and then while errands are under way.
    """

    def __init__(
        self,
        executor: Executor,
        slots: int | None,
        size: Callable[[Stretch], int],
        errand: Callable[[Stretch], Errand],
        hear: Callable[[Stretch, Answer | BaseException], None],
        settle: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        self._executor = executor
        self._most: float = 2 * slots + 1 if slots else _MOST_UNDER_WAY
        self._size = size
        self._errand = errand
        self._hear = hear
        self._settle = settle
        self._look = look
        self._changed = threading.Condition()
        self._waiting: deque[Stretch] = deque()
        self._later: list[tuple[float, int, Stretch]] = []
        self._numbers = itertools.count()
        self._under_way: dict[Future[Answer], Stretch] = {}
        self._ended: deque[Future[Answer]] = deque()
        self._looked_at = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def put(self, stretch: Stretch, due_at: float = 0.0, ahead: bool = False) -> None:
        """Have calls run, not before a moment (epoch seconds); those ``ahead`` of all that wait."""
        with self._changed:
            if due_at > time.time():
                heapq.heappush(self._later, (due_at, next(self._numbers), stretch))
            elif ahead:
                self._waiting.appendleft(stretch)
            else:
                self._waiting.append(stretch)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="nbtasks-line", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def take_out(self, batch: Ledger, index: int) -> list[tuple[int, int]]:
        """Let calls that the executor has not begun not be run; returns (first, count) of them. -1 means all."""
        taken: list[tuple[int, int]] = []

        def left_of(stretch: Stretch) -> Iterator[Stretch]:
            if not stretch.has(batch, index):
                yield stretch
                return
            taken.append((stretch.first, stretch.count) if index < 0 else (index, 1))
            if index >= 0:
                yield from stretch.without(index)

        with self._changed:
            self._waiting = deque(rest for one in self._waiting for rest in left_of(one))
            self._later = [(at, no, rest) for at, no, one in self._later for rest in left_of(one)]
            heapq.heapify(self._later)
            for future, stretch in list(self._under_way.items()):
                if stretch.has(batch, index) and future.cancel():
                    self._under_way.pop(future, None)
                    self._waiting.extendleft(left_of(stretch))
            self._changed.notify_all()
        return taken

    def under_way(self) -> list[tuple[Stretch, bool]]:
        """Return what the executor has, and whether it says that it runs."""
        with self._changed:
            return [(stretch, future.running()) for future, stretch in self._under_way.items()]

    def ahead_of(self, batch: Ledger) -> int | None:
        """Return how many calls of others wait here before the first one of a batch; None where none of it waits."""
        with self._changed:
            count = 0
            for one in self._waiting:
                if one.load.batch is batch:
                    return count
                count += one.count
            return None

    def close(self, hand_over: bool, wait_s: float) -> list[Stretch]:
        """End; returns what was not handed over.

        Args:
            hand_over: what waits goes to the executor first, but what is to begin later.
            wait_s: seconds that this may take.
        """
        with self._changed:
            self._closed = True
            self._most = float("inf")
            left = [one for _, _, one in self._later]
            self._later.clear()
            if not hand_over:
                left += self._waiting
                self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(wait_s)
        return left

    # -- on the thread of its own

    def _loop(self) -> None:
        while (step := self._next()) is not None:
            ended, to_send = step
            for future, stretch in ended:
                self._take_in(stretch, _answer_of(future))
            if ended:
                self._settle()
            for stretch in to_send:
                self._send(stretch)
            if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
                self._looked_at = time.monotonic()
                self._look()
            # Nothing is kept alive here while there is nothing to do.
            del step, ended, to_send

    def _next(self) -> tuple[list[tuple[Future[Answer], Stretch]], list[Stretch]] | None:
        with self._changed:
            while True:
                self._note_due()
                ended = []
                while self._ended:
                    future = self._ended.popleft()
                    if (stretch := self._under_way.pop(future, None)) is not None:
                        ended.append((future, stretch))
                to_send = self._cut()
                if ended or to_send:
                    return ended, to_send
                if self._closed:
                    return None
                look_in = LOOK_EVERY_S - (time.monotonic() - self._looked_at)
                if self._under_way and look_in <= 0:
                    return [], []
                due_in = self._later[0][0] - time.time() if self._later else None
                waits = [left for left in (due_in, look_in if self._under_way else None) if left is not None]
                self._changed.wait(max(0.0, min(waits)) if waits else None)

    def _note_due(self) -> None:
        while self._later and self._later[0][0] <= time.time():
            self._waiting.append(heapq.heappop(self._later)[2])

    def _cut(self) -> list[Stretch]:
        cut: list[Stretch] = []
        while self._waiting and len(self._under_way) + len(cut) < self._most:
            stretch = self._waiting.popleft()
            n = min(stretch.count, self._size(stretch))
            cut.append(stretch.part(stretch.first, n))
            if n < stretch.count:
                self._waiting.appendleft(stretch.part(stretch.first + n, stretch.count - n))
        return cut

    def _send(self, stretch: Stretch) -> None:
        try:
            future = self._executor.submit(run, self._errand(stretch))
        except BaseException as error:
            self._take_in(stretch, error)
            self._settle()
            return
        with self._changed:
            self._under_way[future] = stretch
        future.add_done_callback(self._done)

    def _take_in(self, stretch: Stretch, answer: Answer | BaseException) -> None:
        try:
            self._hear(stretch, answer)
        except Exception:
            # Others wait for theirs.
            _log.exception("an answer of the executor could not be taken in")

    def _done(self, future: Future[Answer]) -> None:
        with self._changed:
            self._ended.append(future)
            self._changed.notify_all()


def _answer_of(future: Future[Answer]) -> Answer | BaseException:
    try:
        return future.result()
    except BaseException as error:
        return error
