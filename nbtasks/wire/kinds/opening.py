"""What is being opened here just now: a function of a worker, the arguments of a call, and the classes that both have.

A class that travels by value belongs to what it came with. All calls of a submit see it as it was captured, whatever
else is opened beside it in the same process.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from nbtasks.core.context import CurrentCall


@dataclass(eq=False, slots=True)
class Opening:
    """What one function, or one call of it, has opened.

    Attributes:
        batch: the call's batch; "" where a function is opened for no call in particular.
        index: the call's position in its batch; None where there is no call.
        of_function: its classes, by id.
        own: classes that came with the arguments alone, or were read by the call itself.
        streams: generators of random numbers that were made for it so far.
        caches: functions with caches, of an earlier opening of the same function and of this one, in their order.
        cached: how many of them were met so far.
        call: it; None where a function is opened for no call in particular.
        is_reading: the function or the arguments are being opened; later on, what the call itself reads.
    """

    batch: str = ""
    index: int | None = None
    of_function: dict[str, type] = field(default_factory=dict)
    own: dict[str, type] | None = None
    streams: int = 0
    caches: list[Any] = field(default_factory=list)
    cached: int = 0
    is_reading: bool = True
    call: CurrentCall | None = None

    def find(self, class_id: str) -> type | None:
        """Return a class that is known here."""
        found = self.of_function.get(class_id)
        if found is None and self.own is not None:
            found = self.own.get(class_id)
        return found

    def cache(self, make: Callable[[], Any]) -> Any:
        """Return the next function with a cache, or make it."""
        self.cached += 1
        if self.cached > len(self.caches):
            self.caches.append(make())
        return self.caches[self.cached - 1]

    def keep(self, class_id: str, kind: type) -> None:
        """Remember a class that was rebuilt."""
        if self.own is None:
            self.own = {}
        self.own[class_id] = kind


#: A call of a function without classes of its own stands there itself until somebody asks: most never do.
_now: ContextVar[Opening | CurrentCall | None] = ContextVar("nbtasks_opening", default=None)


def current_opening() -> Opening | None:
    """Return what is being opened, or was opened for the call that runs here; None outside."""
    found = _now.get()
    if isinstance(found, CurrentCall):
        if _has_begun(found):
            return None
        found = Opening(found.batch, found.index, call=found)
        _now.set(found)
    elif found is not None and found.is_reading and found.call is not None and _has_begun(found.call):
        found.is_reading = False
    return found


def _has_begun(call: CurrentCall) -> bool:
    """Whether its arguments are read: what comes now is read by the call itself."""
    return call.function is not None


#: Makes this what is being opened, in this thread or coroutine, until the next one comes.
begin_opening = _now.set


@contextlib.contextmanager
def opened_in(opening: Opening | None) -> Iterator[None]:
    """Open what is read inside as part of this; None for what belongs to no function."""
    token = _now.set(opening)
    try:
        yield
    finally:
        _now.reset(token)
