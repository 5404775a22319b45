"""Which call the threads and processes belong to that were started here. A stopped call's processes end with it.

The system knows only which thread has started a process, and those of an event loop's calls share threads.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import os
import subprocess
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any

from nbtasks.core.context import CurrentCall, current_call, reset_served, set_served
from nbtasks.local.processes.proctree import children_of_thread, kill_tree, look_up

from .leftovers import boot_ticks

#: Seconds that a killed process has to be gone.
_GONE_WITHIN_S = 1.0

#: The event loop waits for the end of what is started here.
_is_awaited: ContextVar[bool] = ContextVar("nbtasks_is_awaited", default=False)
_lock = Lock()


@dataclass(eq=False)
class _Process:
    """A process that a call has started.

    Attributes:
        born: the system's time of its start; None where the system does not tell.
        popen: what the task holds of it.
        awaited: the event loop waits for its end.
    """

    pid: int
    born: int | None
    popen: Callable[[], subprocess.Popen[Any] | None]
    awaited: bool

    def end(self) -> None:
        popen = self.popen()
        found = look_up(self.pid)
        # Else its number may be another one's by now.
        if (found.started if found else None) != self.born or (
            popen is not None and popen.returncode is not None
        ):
            return
        kill_tree(self.pid)
        if self.awaited:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if popen is not None:
                popen.wait(_GONE_WITHIN_S)
            elif self.born is not None:
                os.waitpid(self.pid, 0)


@dataclass(eq=False)
class _Started:
    """What one call has started.

    Attributes:
        threads: those that work for it, and since when (monotonic).
        work: stands for each thread, and each function given to a pool of threads, that has not ended.
        coroutines: its asyncio tasks.
        is_stopped: the call was stopped: what it still starts ends at once.
    """

    processes: list[_Process] = field(default_factory=list)
    threads: dict[int, float] = field(default_factory=dict)
    work: set[object] = field(default_factory=set)
    coroutines: weakref.WeakSet[asyncio.Future[Any]] = field(default_factory=weakref.WeakSet)
    is_stopped: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        # A task may return its request.
        return type(self), ()


def tag() -> None:
    """Have threads, what is given to thread pools, and processes know by which call they were started."""
    _tag_threads()
    _tag_processes()


def end_started(call: CurrentCall) -> None:
    """End the processes that a call has started, with what those have started."""
    started = _started(call)
    with _lock:
        started.is_stopped = True
        ending, started.processes = started.processes, []
        threads = dict(started.threads)
    for process in ending:
        process.end()
    for thread, since in threads.items():
        # What C code has started in it, as os.system() does.
        for pid in list(children_of_thread(thread)):
            found = look_up(pid)
            if found is not None and found.state != "Z" and found.started >= boot_ticks(since):
                kill_tree(pid)


def goes_on(call: CurrentCall) -> bool:
    """Whether what a call has started in this process, and what is not the call itself, has not ended yet."""
    started = call.started
    if type(started) is not _Started:
        return False
    return bool(started.work) or any(not one.done() for one in list(started.coroutines))


def note_coroutine(call: CurrentCall, task: asyncio.Future[Any]) -> None:
    """Note that a call has started an asyncio task."""
    _started(call).coroutines.add(task)


@contextlib.contextmanager
def awaited() -> Iterator[None]:
    """In here an event loop waits for the end of what is started."""
    token = _is_awaited.set(True)
    try:
        yield
    finally:
        _is_awaited.reset(token)


def _started(call: CurrentCall) -> _Started:
    with _lock:
        if type(call.started) is not _Started:
            call.started = _Started()
        started: _Started = call.started
        return started


@contextlib.contextmanager
def _working_for(call: CurrentCall, work: object) -> Iterator[None]:
    token, me = set_served(call), threading.get_native_id()
    started = _started(call)
    started.threads[me] = monotonic()
    try:
        yield
    finally:
        started.threads.pop(me, None)
        started.work.discard(work)
        reset_served(token)


def _begun(call: CurrentCall) -> object:
    """Note that a call has begun something that a thread will do."""
    work = object()
    _started(call).work.add(work)
    return work


def _note(pid: int, popen: subprocess.Popen[Any] | None = None) -> None:
    call = current_call()
    if call is None:
        return
    found = look_up(pid)
    process = _Process(
        pid,
        found.started if found else None,
        weakref.ref(popen) if popen is not None else lambda: None,
        _is_awaited.get(),
    )
    started = _started(call)
    with _lock:
        is_late = started.is_stopped
        if not is_late:
            started.processes.append(process)
    if is_late:
        process.end()


def _tag_threads() -> None:
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def start_tagged(thread: threading.Thread) -> None:
        call = current_call()
        if call is not None:
            run, work = thread.run, _begun(call)

            def run_tagged() -> None:
                # Else the thread would keep itself.
                vars(thread).pop("run", None)
                with _working_for(call, work):
                    run()

            thread.run = run_tagged  # type: ignore[method-assign]
        start(thread)

    def submit_tagged(pool: ThreadPoolExecutor, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = current_call()
        if call is None:
            return submit(pool, function, *args, **kwargs)
        return submit(pool, _run_for, call, _begun(call), function, *args, **kwargs)

    start_raw = _thread.start_new_thread

    def start_raw_tagged(function: Any, args: Any, kwargs: Any = None, /) -> int:
        call = current_call()
        given = (args,) if kwargs is None else (args, kwargs)
        if call is None or not callable(function) or not isinstance(args, tuple):
            return start_raw(function, *given)
        return start_raw(_run_for, (call, _begun(call), function, *args), kwargs or {})

    _thread.start_new_thread = start_raw_tagged
    threading.Thread.start = start_tagged  # type: ignore[method-assign, assignment]
    ThreadPoolExecutor.submit = submit_tagged  # type: ignore[method-assign, assignment]


def _run_for(call: CurrentCall, work: object, function: Any, /, *args: Any, **kwargs: Any) -> Any:
    with _working_for(call, work):
        return function(*args, **kwargs)


def _tag_processes() -> None:
    execute: Callable[..., None] = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def execute_tagged(popen: subprocess.Popen[Any], *args: Any) -> None:
        execute(popen, *args)
        _note(popen.pid, popen)

    subprocess.Popen._execute_child = execute_tagged  # type: ignore[attr-defined]
    forkpty = os.forkpty

    def forkpty_tagged() -> tuple[int, int]:
        pid, fd = forkpty()
        if pid:
            _note(pid)
        return pid, fd

    os.forkpty = forkpty_tagged
    for name in ("fork", "posix_spawn", "posix_spawnp"):
        if hasattr(os, name):
            setattr(os, name, _tagged(getattr(os, name)))


def _tagged(start: Callable[..., int]) -> Callable[..., int]:
    def start_tagged(*args: Any, **how: Any) -> int:
        pid = start(*args, **how)
        # In a forked copy it is 0.
        if pid:
            _note(pid)
        return pid

    return start_tagged
