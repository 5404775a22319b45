"""Handles among the arguments of a call: each keeps a place for the value, and the call gets that in the place of it.

Where arguments are packed, the handles that are met are noted, in their order; where they are unpacked, the values that
have come of these stand there. A handle that is met elsewhere stays in its process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from .unsendable import refuse_to_travel


class Places:
    """Handles that were met, in the order of their places.

    Attributes:
        handles: each once.
        touched: the places that were met since somebody has cleared this.
    """

    def __init__(self) -> None:
        self.handles: list[Any] = []
        self.touched: set[int] = set()
        self._known: dict[tuple[type, str], int] = {}

    def of(self, handle: Any) -> int:
        """Return the place of a handle."""
        place = self._known.setdefault((type(handle), handle.id), len(self.handles))
        if place == len(self.handles):
            self.handles.append(handle)
        self.touched.add(place)
        return place


class _Here(threading.local):
    places: Places | None = None
    values: Sequence[Any] = ()


_here = _Here()


@contextlib.contextmanager
def noted(places: Places) -> Iterator[None]:
    """Let handles have places in what is packed meanwhile on this thread."""
    before, _here.places = _here.places, places
    try:
        yield
    finally:
        _here.places = before


@contextlib.contextmanager
def filled(values: Sequence[Any]) -> Iterator[None]:
    """Fill the places with values in what is unpacked meanwhile on this thread."""
    before, _here.values = _here.values, values
    try:
        yield
    finally:
        _here.values = before


def keep_place(handle: Any, _protocol: Any = None) -> tuple[Any, ...]:
    """Stand as ``__reduce_ex__`` in a class of handles.

    Raises:
        NotPicklable: nobody notes it; its ``__stays_here__`` says what to do instead.
    """
    if _here.places is None:
        refuse_to_travel(handle)
    return value_at, (_here.places.of(handle),)


def value_at(place: int) -> Any:
    """Return the value that stands at a place; named in pickles, so it keeps its name and its module."""
    return _here.values[place]
