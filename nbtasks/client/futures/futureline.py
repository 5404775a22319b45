"""Calls of one executor on their way: held back, submitted, ended. Their futures learn what happens to them."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from nbtasks.client.batches.ledger import Ledger
from nbtasks.client.batches.watchers import Watcher
from nbtasks.client.group import GroupResult
from nbtasks.client.result import AsyncResult
from nbtasks.core.errors import NbtasksError, WireError
from nbtasks.core.states import FIRST_READY_CODE

from .taskfuture import TaskFuture

#: Seconds between two looks at whether all has ended, for a thread that waits for it: the Stop button gets through.
_LOOK_EVERY_S = 0.25
#: Seconds at the interpreter's end after which it is said what is waited for.
_SILENT_S = 2.0
_log = logging.getLogger("nbtasks")
#: Lines and maps that the interpreter's end waits for. Executor and map may be held by nobody else, and have to end.
_lines: weakref.WeakSet[FutureLine] = weakref.WeakSet()
_maps: dict[str, GroupResult[Any]] = {}

Submit = Callable[[], AsyncResult[Any]]


class _Followed:
    """A batch with calls of the executor's, and the futures of those that have not ended."""

    def __init__(self, batch: Ledger, ring: Callable[[str], object]) -> None:
        self.batch = batch
        self.futures: dict[int, TaskFuture[Any]] = {}
        # By its id: arguments live no longer than their calls, and a cycle would keep them.
        self.watcher: Watcher = batch.watchers.add(functools.partial(ring, batch.id))

    def changed(self) -> list[int]:
        """Return those of its calls that may have changed since the last look."""
        ranges = self.watcher.take()
        if self.batch.problem is not None or not self.batch.engine.usable:
            return list(self.futures)
        if sum(count for _, count in ranges) > len(self.futures):
            return list(self.futures)
        return [index for first, count in ranges for index in range(first, first + count)]

    def revoke(self, terminate: bool) -> None:
        """Revoke its calls; others may have calls in the same batch."""
        own, futures = self.batch.own_states, list(self.futures.items())
        open_ones = [(index, future) for index, future in futures if own[index] < FIRST_READY_CODE]
        if len(open_ones) == self.batch.n - self.batch.finished_count:
            # At once, for workers go on while they are asked one by one. Those that run go on unless they are stopped.
            self.batch.revoke(terminate)
            return
        for index, future in open_ones:
            if terminate or not future.running():
                self.batch.revoke(terminate, index)


class FutureLine:
    """Of one executor.

    Args:
        most: calls that are submitted and have not ended, at most; None for any number.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._held: deque[tuple[TaskFuture[Any], Submit]] = deque()
        #: Calls that are being submitted, or were and have not ended.
        self._out = 0
        self._followed: dict[str, _Followed] = {}
        self._rung: SimpleQueue[str | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._maps: list[GroupResult[Any]] = []
        self._closed = False
        self._waits_at_exit = False

    @property
    def unfinished(self) -> int:
        """Calls that have not ended, without those of maps."""
        return self._out + len(self._held)

    def note_map(self, group: GroupResult[Any]) -> None:
        """A map was submitted: it is one of the executor's, too."""
        with self._changed:
            self._maps = [*(one for one in self._maps if not one.ready()), group]
            self._wait_at_exit()
        batch = group.batch
        _maps[batch.id] = group
        batch.engine.when(batch, group.ready, lambda: _let_go(batch.id))

    def put(self, future: TaskFuture[Any], submit: Submit) -> None:
        """Submit a call, or hold it back until others have ended.

        Raises:
            NbtasksError: it could not be submitted, and that does not depend on its arguments.
        """
        with self._changed:
            if self._most is not None and self._out >= self._most:
                self._held.append((future, submit))
                return
            self._out += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="nbtasks-futures", daemon=True)
                self._thread.start()
                self._wait_at_exit()
        is_out = False
        try:
            is_out = self._start(future, submit)
        finally:
            if not is_out:
                self._note_end()

    def _start(self, future: TaskFuture[Any], submit: Submit) -> bool:
        """Submit a call; returns whether it is on its way."""
        try:
            place = future.start(submit)
        except Exception as error:
            if isinstance(error, NbtasksError) and not isinstance(error, WireError):
                raise
            # What cannot be called, or cannot travel: of a future, as of a process pool's.
            future.fail(error)
            return False
        if place is None:
            return False
        batch, index = place
        with self._changed:
            followed = self._followed.get(batch.id)
            if followed is None:
                followed = self._followed[batch.id] = _Followed(batch, self._rung.put)
            followed.futures[index] = future
        # It may have ended meanwhile.
        followed.watcher.note(index, 1)
        return True

    def _note_end(self) -> None:
        """A call has ended, or was not submitted: another one may be."""
        while (item := self._next_held()) is not None:
            future, submit = item
            try:
                if self._start(future, submit):
                    return
            except Exception as error:
                future.fail(error)

    def _next_held(self) -> tuple[TaskFuture[Any], Submit] | None:
        with self._changed:
            if self._held:
                return self._held.popleft()
            self._out -= 1
            self._changed.notify_all()
        if self._closed:
            self._rung.put(None)
        return None

    # -- on a thread of its own

    def _loop(self) -> None:
        while self.unfinished or not self._closed:
            batch = self._rung.get()
            if batch is not None:
                self._look(batch)

    def _look(self, batch_id: str) -> None:
        followed = self._followed.get(batch_id)
        if followed is None:
            return
        batch, ended = followed.batch, 0
        for index in followed.changed():
            future = followed.futures.get(index)
            if future is None:
                continue
            if batch.states[index] >= FIRST_READY_CODE or batch.problem is not None:
                future.settle()
            elif not batch.engine.usable:
                future.fail(_closed(batch, index))
            else:
                if index in batch.running:
                    future.begin()
                continue
            del followed.futures[index]
            ended += 1
        with self._changed:
            if not followed.futures and self._followed.get(batch.id) is followed:
                del self._followed[batch.id]
                followed.watcher.close()
        for _ in range(ended):
            self._note_end()

    # -- the end

    def revoke(self, terminate: bool = False) -> None:
        """Revoke all calls that have not begun; with ``terminate`` those that run are stopped."""
        with self._changed:
            held, self._held = list(self._held), deque()
            followed, maps = list(self._followed.values()), list(self._maps)
            self._changed.notify_all()
        for future, _ in held:
            future.cancel()
        for one in followed:
            one.revoke(terminate)
        for group in maps:
            group.revoke(terminate)

    def wait(self, most_s: float | None = None) -> bool:
        """Wait until all calls have ended; returns whether they have."""
        deadline = None if most_s is None else time.monotonic() + most_s
        with self._changed:
            while self.unfinished:
                left = _LOOK_EVERY_S if deadline is None else min(_LOOK_EVERY_S, deadline - time.monotonic())
                if left <= 0:
                    return False
                self._changed.wait(left)
            maps = list(self._maps)
        for group in maps:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not group.until_ready(left_s):
                return False
        return True

    def _wait_at_exit(self) -> None:
        if not self._waits_at_exit:
            self._waits_at_exit = True
            _lines.add(self)
            # The engine is open by now: what is registered last at the interpreter's end comes first.
            atexit.unregister(_wait_at_exit)
            atexit.register(_wait_at_exit)

    def look_again(self) -> None:
        """The engine was closed: nobody will tell how calls end."""
        with self._changed:
            followed = list(self._followed)
        for batch in followed:
            self._rung.put(batch)

    def close(self) -> None:
        """Have the thread end, once all calls have ended."""
        self._closed = True
        self._rung.put(None)


def _closed(batch: Ledger, index: int) -> Exception:
    try:
        batch.engine.check_open(batch.call_id(index))
    except Exception as error:
        return error
    return NbtasksError(f"nobody tells any more how call {batch.call_id(index)} ends")


def _let_go(batch: str) -> None:
    _maps.pop(batch, None)


def _wait_at_exit() -> None:
    """Let what was submitted end, as the executors of the standard library do."""
    ends: list[Callable[[float | None], object]] = [line.wait for line in list(_lines)]
    ends += [group.until_ready for group in list(_maps.values())]
    for wait in ends:
        # A closed App has nothing more to tell.
        with contextlib.suppress(NbtasksError):
            if not wait(_SILENT_S):
                _log.warning("calls of app.executor() have not ended: waiting for them")
                wait(None)
