"""A task may fork. The copy of the process is the task's own: it is no worker, it tells nothing and runs no other call.

It has the signals and the output of any program, and where the task's function comes to its end there, it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import thread as executors

# By name: a task may put something else into the module.
from signal import pthread_sigmask
from signal import signal as set_handler
from typing import NoReturn

from .streams import give_back


class _Here:
    """This process.

    Attributes:
        is_copy: it was forked off by a task.
    """

    is_copy = False


here = _Here()


def expect_copies(signals: Iterable[int], forsake: Callable[[], None]) -> None:
    """Make ready for forks of this process.

    Args:
        signals: that this process handles and a copy does not.
        forsake: called in a copy: lets go of what is this process's own.
    """
    numbers = list(signals)
    # Of the thread that forks.
    kept = threading.local()

    def hold() -> None:
        # The copy is born with our handlers: a SIGTERM that came before it has its own would be lost.
        kept.mask = pthread_sigmask(signal.SIG_BLOCK, numbers)

    def go_on() -> None:
        pthread_sigmask(signal.SIG_SETMASK, kept.mask)

    def begin() -> None:
        first, here.is_copy = not here.is_copy, True
        try:
            if first:
                _be_a_program(numbers)
                forsake()
        finally:
            go_on()

    os.register_at_fork(before=hold, after_in_parent=go_on, after_in_child=begin)


def _be_a_program(signals: Iterable[int]) -> None:
    # The forking thread is the main one here. In sub-interpreters it is not, and they have no signals.
    with contextlib.suppress(ValueError):
        for number in signals:
            set_handler(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    # In a pool of threads it is one of those that a program waits for at its end: it would wait for itself.
    executors._threads_queues.pop(threading.current_thread(), None)  # type: ignore[attr-defined]
    # What it prints comes to the call as what a subprocess prints does.
    give_back()


def leave_copy(error: BaseException | None) -> None:
    """Called where a task's function has come to its end: a copy ends there, as a program does."""
    if here.is_copy:
        _end(error)


def _end(error: BaseException | None) -> NoReturn:
    code = 1
    try:
        if error is None:
            code = 0
        elif isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            if code and not isinstance(error.code, int):
                sys.stderr.write(f"{error.code}\n")
        else:
            traceback.print_exception(error)
        # A program waits for its threads.
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)
