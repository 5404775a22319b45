"""Takes back what a call has changed of its process, so that it is no matter of luck which call comes after which.

The functions that change something for the whole process are replaced by ones that note before how it was. So a call
that changes nothing pays nothing, and the next one finds everything as it was, however short the two are. What a module
changes when it is imported stays, as the module does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import asyncio
import contextlib
import faulthandler
import functools
import gc
import locale
import multiprocessing
import os
import posix
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable
from pathlib import Path
from types import ModuleType
from typing import Any

from nbtasks.core.context import current_call
from nbtasks.worker.log import LOGGER

#: What is changed, and what puts it back.
Change = tuple[Hashable, Callable[[], object]]
#: Given a function that changes something and its arguments: what is about to be changed; None for nothing.
Memory = Callable[..., "Change | None"]

#: Signals and timers were touched. They are put back by who knows which ones are ours.
SIGNALS = "signals"
_ZONE = "the time zone"

#: What calls have changed -> what puts it back.
changes: dict[Hashable, Callable[[], object]] = {}

# As they are before they are replaced.
_chdir, _unsetenv, _reset_warnings, _report_crashes = (
    os.chdir, os.unsetenv, warnings.resetwarnings, faulthandler.enable,
)  # fmt: skip
_collect, _do_not_collect = gc.enable, gc.disable
#: Newer Pythons warn of the public one.
_set_policy: Callable[[Any], None] = (
    getattr(asyncio.events, "_set_event_loop_policy", None) or asyncio.set_event_loop_policy
)


def undo() -> None:
    """Put everything back. No call runs."""
    # The time zone comes last: it is read from the environment.
    for key in sorted(changes, key=lambda key: key == _ZONE):
        try:
            changes[key]()
        except Exception as error:
            LOGGER.warning("what a call has changed stays (%s): %s", key, error)
    changes.clear()


def install() -> None:
    """Have what calls change noted from now on."""
    for memory, names, modules in _WATCHED:
        for name in names.split():
            _watch(memory, name, modules)


def _watch(memory: Memory, name: str, modules: tuple[ModuleType, ...]) -> None:
    """Replace a function that modules have; some of them have the same one, some one that calls it."""
    noting: dict[Any, Any] = {}
    for module in modules:
        function = getattr(module, name, None)
        if function is not None:
            if function not in noting:
                noting[function] = _noting(memory, function)
            setattr(module, name, noting[function])


def _noting(memory: Memory, function: Any) -> Any:
    @functools.wraps(function)
    def noting(*args: Any, **kwargs: Any) -> Any:
        if current_call() is not None and not _is_importing():
            # Wrong arguments are the function's own affair.
            with contextlib.suppress(Exception):
                change = memory(function, *args, **kwargs)
                if change is not None:
                    changes.setdefault(*change)
        return function(*args, **kwargs)

    return noting


def _is_importing() -> bool:
    """Whether a module is being imported here."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


# -- how each thing is put back


def _value(read: Callable[[], Any]) -> Memory:
    """Remember what is set with the one argument of a function."""

    def memory(write: Callable[[Any], object], *given: Any, **named: Any) -> Change | None:
        before = read()
        return (write.__name__, lambda: write(before)) if given or named else None

    return memory


def _folder(*_: Any, **__: Any) -> Change:
    before = Path.cwd()
    return "the working folder", lambda: _chdir(before)


def _mask(umask: Callable[[int], int], _: int) -> Change:
    before = umask(0o077)
    umask(before)
    return "umask", lambda: umask(before)


def _variable(_: Any, key: Any, *__: Any) -> Change:
    name = os.fsencode(key)
    before = os.environb.get(name)

    def put_back() -> None:
        if before is not None:
            os.environb[name] = before
        else:
            os.environb.pop(name, None)
            _unsetenv(name)

    if name == b"TZ":
        changes.setdefault(_ZONE, time.tzset)
    return ("environ", name), put_back


def _zone(tzset: Callable[[], None]) -> Change:
    return _ZONE, tzset


def _locale(setlocale: Any, *given: Any, **named: Any) -> Change | None:
    if len(given) + len(named) < 2:
        return None
    before = setlocale(locale.LC_ALL)
    return "locale", lambda: setlocale(locale.LC_ALL, before)


def _cpus(setaffinity: Any, pid: int, _: Any) -> Change | None:
    before = os.sched_getaffinity(pid)
    return None if pid not in (0, os.getpid()) else ("CPUs", lambda: setaffinity(0, before))


def _collection(_: Any) -> Change:
    return "gc", _collect if gc.isenabled() else _do_not_collect


def _thresholds(set_threshold: Any, *_: Any) -> Change:
    before = gc.get_threshold()
    return "thresholds of gc", lambda: set_threshold(*before)


def _dump(*_: Any, **__: Any) -> Change:
    return "dump_traceback_later", faulthandler.cancel_dump_traceback_later


def _reports(*_: Any, **__: Any) -> Change:
    return "faulthandler", lambda: _report_crashes(2)


def _report(_: Any, *given: Any, **named: Any) -> Change:
    number = int(given[0] if given else named["signum"])
    return ("report", number), lambda: faulthandler.unregister(number)


def _limit(setrlimit: Any, which: int, _: Any) -> Change | None:
    if which == resource.RLIMIT_NOFILE:
        # Who has asked for more of these may keep them; see surroundings.py.
        return None
    before = resource.getrlimit(which)

    def put_back() -> None:
        with contextlib.suppress(ValueError, OSError):
            setrlimit(which, before)
            return
        # Nobody can take back a hard limit.
        most = resource.getrlimit(which)[1]
        setrlimit(which, (most if is_less(most, before[0]) else before[0], most))

    return ("limit", which), put_back


def is_less(limit: int, other: int) -> bool:
    """Whether a limit of resources allows less than another one."""
    return limit != resource.RLIM_INFINITY and (other == resource.RLIM_INFINITY or limit < other)


def _filters(*_: Any, **__: Any) -> Change:
    before = list(warnings.filters)

    def put_back() -> None:
        # It says, too, that what was decided before no longer holds.
        _reset_warnings()
        warnings.filters[:] = before  # type: ignore[index]

    return "warnings", put_back


def _loop(*_: Any) -> Change:
    # As in a new process: there is no loop, and none was there.
    return "asyncio", lambda: _set_policy(None)


def _start_method(set_start_method: Any, *_: Any, **__: Any) -> Change:
    return "start method", lambda: set_start_method(None, force=True)


def _signals(*_: Any, **__: Any) -> Change:
    return SIGNALS, lambda: None


_WATCHED: tuple[tuple[Memory, str, tuple[ModuleType, ...]], ...] = (
    (_folder, "chdir fchdir", (os, posix)),
    (_mask, "umask", (os, posix)),
    (_variable, "putenv unsetenv", (os, posix)),
    (_cpus, "sched_setaffinity", (os, posix)),
    (_locale, "setlocale", (locale,)),
    (_zone, "tzset", (time,)),
    (_value(socket.getdefaulttimeout), "setdefaulttimeout", (socket, _socket)),
    (_value(sys.getrecursionlimit), "setrecursionlimit", (sys,)),
    (_value(sys.getswitchinterval), "setswitchinterval", (sys,)),
    (_value(getattr(sys, "get_int_max_str_digits", int)), "set_int_max_str_digits", (sys,)),
    (_value(threading.gettrace), "settrace", (threading,)),
    (_value(threading.getprofile), "setprofile", (threading,)),
    (_value(threading.stack_size), "stack_size", (threading,)),
    (_collection, "disable enable", (gc,)),
    (_thresholds, "set_threshold", (gc,)),
    (_dump, "dump_traceback_later", (faulthandler,)),
    (_reports, "disable enable", (faulthandler,)),
    (_report, "register", (faulthandler,)),
    (_limit, "setrlimit", (resource,)),
    (_filters, "simplefilter filterwarnings resetwarnings", (warnings,)),
    (_loop, "set_event_loop set_event_loop_policy", (asyncio.events, asyncio)),
    (_start_method, "set_start_method", (multiprocessing,)),
    (_signals, "signal setitimer alarm pthread_sigmask set_wakeup_fd siginterrupt", (signal, _signal)),
)
