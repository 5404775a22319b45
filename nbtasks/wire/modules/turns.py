"""Whose turn it is: one world stands in ``sys.modules`` at a time, for all threads.

What is pickled needs that its world stands there meanwhile, and nothing more: so any number of threads do it at once in
the same world, for as long as they like, and those of another world wait until they are through. Everything else is
done under the lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

_lock = threading.RLock()
#: Told when somebody has left, or another world stands there.
_changed = threading.Condition(_lock)
#: Threads that pickle in the world that stands there, and how many wait for another one.
_staying: list[int] = []
_waiting = 0
#: Seconds that who could stay as well leaves to those who wait.
_YIELD_S = 0.1


class _Depth(threading.local):
    """How deep this thread is in what is done in a world."""

    value = 0


_depth = _Depth()


def held() -> threading.RLock:
    """Return the lock under which worlds change. A process that was forked off has another one, so do not keep it."""
    return _lock


@contextlib.contextmanager
def turn(stands: Callable[[], bool]) -> Iterator[None]:
    """Hold the lock, when nobody pickles in another world.

    Args:
        stands: whether the world that is needed stands there.
    """
    with held():
        # Who is in some world already may hold the lock of a module that the others wait for.
        if (_staying or _waiting) and not _depth.value:
            _await(stands)
        _depth.value += 1
        try:
            yield
        finally:
            _depth.value -= 1
            if _waiting:
                _changed.notify_all()


def _await(stands: Callable[[], bool]) -> None:
    global _waiting
    if _waiting and stands():
        _changed.wait(_YIELD_S)
    _waiting += 1
    try:
        _changed.wait_for(lambda: not _staying or stands())
    finally:
        _waiting -= 1


def stay() -> None:
    """Have the world that stands there stay until this thread says :func:`leave`. To be called under the lock."""
    _staying.append(threading.get_ident())
    _depth.value += 1


def leave() -> None:
    """Let others change the world again."""
    me = threading.get_ident()
    with held():
        _depth.value -= 1
        # A copy of the process begins without.
        if me in _staying:
            _staying.remove(me)
        _changed.notify_all()


def _after_fork() -> None:
    """A thread that is not in the copy may have held the lock, or have stayed."""
    global _lock, _changed, _waiting
    _lock = threading.RLock()
    _changed = threading.Condition(_lock)
    _staying.clear()
    _waiting = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
