"""Large containers: nothing is noted of one that all code which has it only reads."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from .notes import Note, contents_of
from .reading import only_reads
from .rebinding import stored_by
from .unchanging import NESTING, depth_of

#: A container with so many things is worth to find out that it is only read.
_LARGE = 500


@dataclass(eq=False)
class Large:
    """A large container that may turn out to be only read.

    Attributes:
        depth: how many containers lie in each other there.
        inner: places in memory of those that lie in it.
        note: makes the note of what it holds.
        parts: what it holds.
        times: how often it was met.
    """

    value: Any
    depth: int
    inner: set[int]
    note: Callable[[Any], Note]
    parts: tuple[Iterable[Any], ...]
    times: int = 1


class LargeContainers:
    """Those of one function, until it is known whether they are only read."""

    def __init__(self) -> None:
        self._all: dict[int, Large] = {}

    def take(self, value: Any, note: Callable[[Any], Note], parts: tuple[Iterable[Any], ...]) -> bool:
        """Take a container in, and return whether that was done: it is large, and may turn out to be only read."""
        if len(value) < _LARGE or type(value) not in NESTING:
            return False
        inner: set[int] = set()
        depth = depth_of(value, inner)
        if depth is None:
            return False
        self._all[id(value)] = Large(value, depth, inner, note, parts)
        return True

    def meet_again(self, value: Any) -> None:
        """Count that something was met once more."""
        if id(value) in self._all:
            self._all[id(value)].times += 1

    def give_up(self, seen: Collection[int], functions: list[types.FunctionType]) -> list[Large]:
        """Return those that may be changed, and forget them.

        Args:
            seen: places in memory of all that was looked at.
            functions: all that have some of it.
        """
        changing = [one for one in self._all.values() if not self._is_only_read(one, seen, functions)]
        for one in changing:
            del self._all[id(one.value)]
        return changing

    def _is_only_read(self, one: Large, seen: Collection[int], functions: list[types.FunctionType]) -> bool:
        """Whether a container is met under names alone, and all code that has these only reads it."""
        others = [other for other in self._all.values() if other is not one]
        if not one.inner.isdisjoint(seen) or not all(one.inner.isdisjoint(other.inner) for other in others):
            return False
        times, cells = one.times, set()
        stored = dict.fromkeys(itertools.chain.from_iterable(stored_by(each.__code__) for each in functions))
        for function in functions:
            names = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
            for name, cell in names:
                if contents_of(cell) is one.value:
                    cells.add(id(cell))
                    space = {**function.__globals__, **stored}
                    if not only_reads((function.__code__,), name, space, one.depth):
                        return False
        for namespace in {id(each.__globals__): each.__globals__ for each in functions}.values():
            codes = [each.__code__ for each in functions if each.__globals__ is namespace]
            for name in [name for name, item in namespace.items() if item is one.value]:
                times -= 1
                if not only_reads(codes, name, {**namespace, **stored}, one.depth):
                    return False
        return times == len(cells)
