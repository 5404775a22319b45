"""Who wants to know about submitted and awaited batches. The notebook skin attaches itself here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("nbtasks")
_on_submit: list[Callable[[Any, Any], None]] = []
_on_added: list[Callable[[Any], None]] = []
_on_reopened: list[Callable[[Any], None]] = []
_on_waited: list[Callable[[Any], None]] = []
_on_waiting: list[Callable[[Any], None]] = []
_on_show: list[Callable[[Any], bool]] = []


def on_submit(callback: Callable[[Any, Any], None]) -> Callable[[], None]:
    """Have ``callback(handle, batch)`` called after each map or group that is not quiet; returns its undoing."""
    _on_submit.append(callback)
    return lambda: _discard(_on_submit, callback)


def on_added(callback: Callable[[Any], None]) -> Callable[[], None]:
    """Have ``callback(batch)`` called before each batch, quiet ones too, is sent; returns its undoing."""
    _on_added.append(callback)
    return lambda: _discard(_on_added, callback)


def on_reopened(callback: Callable[[Any], None]) -> Callable[[], None]:
    """Have ``callback(batch)`` called when calls of a batch were submitted again; returns its undoing."""
    _on_reopened.append(callback)
    return lambda: _discard(_on_reopened, callback)


def on_waited(callback: Callable[[Any], None]) -> Callable[[], None]:
    """Have ``callback(batch)`` called on the thread that has waited for a batch's end; returns its undoing."""
    _on_waited.append(callback)
    return lambda: _discard(_on_waited, callback)


def on_waiting(callback: Callable[[Any], None]) -> Callable[[], None]:
    """Have ``callback(batch)`` called some times a second on a thread that waits for a batch; returns its undoing."""
    _on_waiting.append(callback)
    return lambda: _discard(_on_waiting, callback)


def on_show(callback: Callable[[Any], bool]) -> Callable[[], None]:
    """Have ``callback(handle or list)`` asked to show it here, which says whether it has; returns its undoing."""
    _on_show.append(callback)
    return lambda: _discard(_on_show, callback)


def shown(what: Any) -> bool:
    """Show a handle, or a list of them, where somebody can; returns whether that was done."""
    return any(_call(callback, what) for callback in _on_show)


def submitted(handle: Any, batch: Any) -> None:
    """Tell that a batch was submitted."""
    for callback in _on_submit:
        _call(callback, handle, batch)


def added(batch: Any) -> None:
    """Tell that a batch is about to be sent."""
    for callback in _on_added:
        _call(callback, batch)


def reopened(batch: Any) -> None:
    """Tell that calls of a batch were submitted again."""
    for callback in _on_reopened:
        _call(callback, batch)


def waited(batch: Any) -> None:
    """Tell that somebody has waited for a batch, and it is over."""
    for callback in _on_waited:
        _call(callback, batch)


def wait_is_watched() -> bool:
    """Whether anybody is to be told while a thread waits."""
    return bool(_on_waiting)


def waiting(batch: Any) -> None:
    """Tell that somebody still waits for a batch."""
    for callback in _on_waiting:
        _call(callback, batch)


def _call(callback: Callable[..., Any], *args: Any) -> Any:
    try:
        return callback(*args)
    except (Exception, SystemExit):
        # A view that breaks must not break the submit, nor print into the cell that has submitted.
        _log.debug("an observer failed", exc_info=True)
        return None


def _forget_all() -> None:
    """A process that was forked off has no page to show anything on: that is its parent's."""
    _on_submit.clear()
    _on_added.clear()
    _on_reopened.clear()
    _on_waited.clear()
    _on_waiting.clear()
    _on_show.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _discard(callbacks: list[Any], callback: Any) -> None:
    if callback in callbacks:
        callbacks.remove(callback)
