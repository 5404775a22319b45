"""What a call finds of its process: signals, timers, the clock, its streams and much else. It is put back after a call.

What is changed with functions is known without looking: see undoing.py. What is changed by assignment, or by C code, is
looked for: after a short call what is cheap to see, after a longer one everything.
"""

from __future__ import annotations

# The public ones make enums of numbers, which takes a hundred times as long.
import _signal  # type: ignore[import-not-found]
import builtins
import decimal
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from signal import SIG_BLOCK, SIG_SETMASK, pthread_sigmask, setitimer
from types import FrameType, ModuleType
from typing import Any

from . import openfigures, progresslibraries, showing, streams, undoing
from .assignments import Assignments, restore_builtins

Handler = Callable[[int, FrameType | None], None] | signal.Handlers

#: After a call of so many seconds what is set anew costs nothing.
_LONG_S = 0.001
#: What a call takes besides its function, about.
_BESIDES_S = 20e-6
_CLOCK = ("sleep", "monotonic", "time", "perf_counter")
#: Who puts clocks of their own there, for good.
_MAY_REPLACE_CLOCK = ("gevent", "eventlet")
_NUMBERS = sorted(set(map(int, signal.valid_signals())) - {signal.SIGKILL, signal.SIGSTOP})
#: What is looked at after every call, beside our own: what tasks use, and what ends a process that does not handle it.
#: SIGCHLD too: who ignores it never learns how a subprocess has ended.
_USED = ("SIGCHLD", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGQUIT", "SIGPIPE", "SIGVTALRM", "SIGPROF")
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)

_getsignal: Callable[[int], Any] = _signal.getsignal
_wakeup: Callable[[int], int] = _signal.set_wakeup_fd
_sigmask: Callable[[int, Any], Any] = _signal.pthread_sigmask
_set_handler: Callable[[int, Any], Any] = _signal.signal
#: What is known to have been changed.
_changes = undoing.changes


def unblock() -> None:
    """Have this thread, and what it starts, hear all signals."""
    if _sigmask(SIG_BLOCK, ()):
        pthread_sigmask(SIG_SETMASK, ())


class Surroundings:
    """Of a child's main thread.

    Args:
        handlers: of the signals that are ours.

    Attributes:
        spoiled: a call has changed what cannot be put back: the process had better be replaced.
        decimal_context: the one outside calls, as far as it is known; where it is another one, a call has to begin.
    """

    def __init__(self, handlers: Mapping[int, Handler]) -> None:
        self.spoiled = False
        #: Seconds of calls after which nothing was looked at.
        self._unseen_s = 0.0
        # As C has it: SIG_IGN is a number.
        self._ours = [(number, int(one) if isinstance(one, int) else one) for number, one in handlers.items()]
        self._clocks = tuple(getattr(time, name) for name in _CLOCK)
        self._assigned = Assignments()
        self.decimal_context: decimal.Context | None = None

    def install(self) -> None:
        """Set everything for the first time; main thread only."""
        undoing.install()
        openfigures.install()
        showing.install()
        progresslibraries.install()
        self._assigned.remember()
        self._print, self._environ = builtins.print, os.environ
        self._len, self._type, self._bool = builtins.len, builtins.type, builtins.bool
        self._functions = _functions()
        self._used_functions = signal.signal, threading.Thread, threading.Lock
        for number, handler in self._ours:
            _set_handler(number, handler)
        # What a worker's starter has blocked, it had blocked for itself.
        pthread_sigmask(SIG_SETMASK, ())
        self._files = getrlimit(RLIMIT_NOFILE)
        self._looked_at = [number for number, _ in self._ours] + [
            int(getattr(signal, name)) for name in _USED
        ]
        self._seen = list(map(_getsignal, self._looked_at))
        self._all = list(map(_getsignal, _NUMBERS))

    def begin(self) -> None:
        """A call begins with another context of decimal; all that it needs was imported."""
        self._assigned.note_shared()
        self.decimal_context = self._assigned.shared

    def calm(self) -> None:
        """Have no signal or timer of a call come any more, once it has ended; what follows needs the built-ins."""
        if (
            builtins.print is not self._print
            or builtins.len is not self._len
            or builtins.type is not self._type
            or builtins.bool is not self._bool
        ):
            restore_builtins()
        if self._assigned.shared is not None:
            self._assigned.restore_shared()
        if _changes and undoing.SIGNALS in _changes:
            self._restore_signals()

    def restore(self, seconds: float, may_wait: bool = False, alone: bool = True) -> bool:
        """Put back what a call of so many seconds has changed, and return whether that was looked at; main thread only.

        Args:
            may_wait: it is looked at once a millisecond among short calls, unless it is known that something was
                changed. The caller sees to it that it is done before the process waits or does something else.
            alone: no other call runs in this process: what is not this thread's own is put back as well.
        """
        self._unseen_s += seconds + _BESIDES_S
        is_due = bool(_changes)
        if (
            may_wait
            and not is_due
            and self._unseen_s < _LONG_S
            and builtins.print is self._print
            and os.environ is self._environ
        ):
            return False
        self._unseen_s = 0.0
        if is_due and undoing.SIGNALS in _changes:
            self._restore_signals()
        if alone:
            if is_due:
                undoing.undo()
            self._assigned.restore(seconds > _LONG_S)
            streams.renew()
        if (
            seconds > _LONG_S
            or list(map(_getsignal, self._looked_at)) != self._seen
            or _sigmask(SIG_BLOCK, ())
        ):
            self._restore_signals()
        if (time.sleep, time.monotonic, time.time, time.perf_counter) != self._clocks:
            self._restore_clock()
        try:
            is_there = (signal.signal, threading.Thread, threading.Lock) == self._used_functions
        except AttributeError:
            is_there = False
        if seconds > _LONG_S or not is_there:
            self._restore_functions()
        if getrlimit(RLIMIT_NOFILE) != self._files:
            self._restore_files()
        return True

    def _restore_signals(self) -> None:
        # First, so that none rings meanwhile.
        for timer in _TIMERS:
            setitimer(timer, 0)
        _wakeup(-1)
        for number, handler in self._ours:
            _set_handler(number, handler)
        if list(map(_getsignal, _NUMBERS)) != self._all:
            for number, handler in zip(_NUMBERS, self._all, strict=True):
                # None: not from Python, as some libraries have it.
                if handler is not None and _getsignal(number) != handler:
                    _set_handler(number, handler)
        unblock()

    def _restore_clock(self) -> None:
        for name, function in zip(_CLOCK, self._clocks, strict=True):
            found = getattr(time, name)
            if found is not function and not str(getattr(found, "__module__", "")).startswith(
                _MAY_REPLACE_CLOCK
            ):
                setattr(time, name, function)
                # Who replaces clocks has replaced them elsewhere as well.
                self.spoiled = True

    def _restore_functions(self) -> None:
        # Other code relies on them, too. Where something is left that cannot be called, the next call would fail.
        for module, name, function in self._functions:
            if not callable(vars(module).get(name)):
                setattr(module, name, function)

    def _restore_files(self) -> None:
        """Allow as many open files as before; who has asked for more may keep that."""
        (own, _), (soft, hard) = self._files, getrlimit(RLIMIT_NOFILE)
        if not undoing.is_less(soft, own):
            return
        if undoing.is_less(hard, own):
            # Nobody can take that back.
            self.spoiled, own = True, hard
        setrlimit(RLIMIT_NOFILE, (own, hard))


def _functions() -> list[tuple[ModuleType, str, Any]]:
    return [
        (module, name, function)
        for module in (signal, threading)
        for name, function in vars(module).items()
        if callable(function) and not name.startswith("_")
    ]
