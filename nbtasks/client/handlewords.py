"""What handles take and answer for those who come from Celery: words of ``get()``, ``revoke()``, and looks around."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from nbtasks.core import errors
from nbtasks.core import states as st
from nbtasks.core.stopsignal import Terminate, stop_signal

#: Words of ``get()`` that change nothing here.
_IDLE = frozenset(
    {"interval", "no_ack", "follow_parents", "disable_sync_subtasks", "EXCEPTION_STATES", "PROPAGATE_STATES"}
)
#: Words of ``get()`` that are called.
_CALLED = frozenset({"callback", "on_message", "on_interval"})
_LONGEST_LOOK_S, _SHORTEST_LOOK_S = 0.5, 0.01


def told_meanwhile(handle: Any, timeout: float | None, words: Mapping[str, Any]) -> float | None:
    """Wait for the end of a call or a group and tell those who want to hear of it; returns the seconds that are left.

    Args:
        words: what ``get()`` was given besides its own words.

    Raises:
        TypeError: a word that nobody knows.
    """
    for name in words:
        if name not in _IDLE | _CALLED:
            raise TypeError(f"get() has no argument {name!r}")
    on_message, on_interval = words.get("on_message"), words.get("on_interval")
    if on_message is None and on_interval is None:
        return timeout
    look_s = min(_LONGEST_LOOK_S, max(_SHORTEST_LOOK_S, float(words.get("interval") or 0.1)))
    end = None if timeout is None else time.monotonic() + timeout
    told: dict[str, Any] = {}
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        ended = handle.until_ready(look_s if left is None else min(look_s, left))
        if on_message is not None:
            _tell_news(handle, told, on_message)
        if on_interval is not None:
            on_interval()
        if ended or left == 0.0:
            return left


def _tell_news(handle: Any, told: dict[str, Any], on_message: Any) -> None:
    """Tell what is new of each call, as Celery's stores say it."""
    for one in handle.children if hasattr(handle, "completed_count") else [handle]:
        state = one.state
        news = (state, None if state in st.NAMES and not one.ready() else one.info)
        if state == st.PENDING or _same(told.get(one.id), news):
            continue
        told[one.id] = news
        on_message(
            {
                "task_id": one.id,
                "status": state,
                "result": news[1],
                "traceback": one.traceback,
                "children": [],
            }
        )


def _same(one: Any, other: Any) -> bool:
    if one is None or one[0] != other[0]:
        return False
    # A value of the user's may compare as it likes, arrays for instance.
    return one[0] in st.READY_STATES or repr(one[1]) == repr(other[1])


def tell_value(words: Mapping[str, Any], id: str, value: Any) -> None:
    """Tell a ``callback`` that came with ``get()`` a value."""
    callback = words.get("callback")
    if callback is not None:
        callback(id, value)


def stopping(terminate: bool, words: Mapping[str, Any]) -> Terminate:
    """Return whether ``revoke()`` stops running calls, and how.

    Args:
        words: what it was given besides.

    Raises:
        TypeError: a word that nobody knows.
        ConfigError: ``signal`` is none that ends a call.
    """
    unknown = words.keys() - {"signal", "wait", "timeout", "connection", "reply"}
    if unknown:
        raise TypeError(f"revoke() has no argument {min(unknown)!r}")
    found = stop_signal(words["signal"]) if words.get("signal") is not None else True
    return found if terminate else False


def revoked(handle: Any, words: Mapping[str, Any]) -> None:
    """Do what else ``revoke()`` was asked for: wait for the end."""
    if words.get("wait"):
        handle.until_ready(words.get("timeout"))


class CeleryWords:
    """What Celery's handles answer, in terms of what all handles have."""

    TimeoutError = errors.TimeoutError

    @property
    def ignored(self) -> bool:
        """False: a handle never stands for a call of which nothing is known."""
        return False

    def exists(self) -> bool:
        """Whether the call is known: a handle is only made of one that is."""
        return True

    def maybe_throw(self, propagate: bool = True, callback: Any = None) -> Any:
        """Raise what the call has raised, if it has ended so; else return its value, or None before its end."""
        one: Any = self
        if not one.ready():
            return None
        value = one.get(timeout=0, propagate=propagate)
        if callback is not None:
            callback(one.id, value)
        return value

    maybe_reraise = maybe_throw

    def iterdeps(self, intermediate: bool = False) -> Iterator[tuple[Any, Any]]:
        """Yield (parent, handle) of this call and all that came of it.

        Raises:
            IncompleteStream: one of them has not ended, and ``intermediate`` is False.
        """
        waiting: list[tuple[Any, Any]] = [(None, self)]
        while waiting:
            parent, one = waiting.pop(0)
            yield parent, one
            if not (intermediate or one.ready()):
                raise errors.IncompleteStream(f"call {one.id} has not ended")
            waiting += [(one, child) for child in getattr(one, "children", None) or ()]

    def collect(self, intermediate: bool = False, **words: Any) -> Iterator[tuple[Any, Any]]:
        """Yield (handle, value) of this call and all that came of it; waits for each."""
        for _, one in self.iterdeps(intermediate=True):
            yield one, one.get(**words)

    def get_leaf(self) -> Any:
        """Return the value of what came last."""
        value = None
        for _, value in self.collect():  # noqa: B007 - the last one counts
            pass
        return value

    def as_tuple(self) -> tuple[Any, Any]:
        """Return ((id, that of its parent), those of its members) as Celery stores handles; None for no members."""
        one: Any = self
        parent = getattr(one, "parent", None)
        members = [each.as_tuple() for each in one.children] if hasattr(one, "completed_count") else None
        return (one.id, parent and parent.as_tuple()), members

    def as_list(self) -> list[str]:
        """Return the ids of the call and of those before it."""
        one: Any = self
        parent = getattr(one, "parent", None)
        return [one.id, *([] if parent is None else parent.as_list())]
