"""The calls of a map: its items read, checked, and kept for those who ask for them or submit them again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from nbtasks.client.batches.parcel import Call
from nbtasks.client.definition import Definition
from nbtasks.wire.values import Shelf, value_of

from .packing import Packer

_UNCHANGING = frozenset({int, float, bool, type(None), complex, str, bytes, range})


class Positional(Sequence[Call]):
    """The calls of a map: positional arguments only, so that is all that is kept of them."""

    def __init__(self, arguments: list[tuple[Any, ...]]) -> None:
        self._arguments = arguments

    def __len__(self) -> int:
        return len(self._arguments)

    def __iter__(self) -> Iterator[Call]:
        return ((args, {}) for args in self._arguments)

    @overload
    def __getitem__(self, index: int) -> Call: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Call]: ...

    def __getitem__(self, index: int | slice) -> Call | Sequence[Call]:
        if isinstance(index, slice):
            return Positional(self._arguments[index])
        return self._arguments[index], {}


class _OneByOne(Sequence[Call], ABC):
    """Calls that are made when they are asked for."""

    @overload
    def __getitem__(self, index: int) -> Call: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Call]: ...

    def __getitem__(self, index: int | slice) -> Call | Sequence[Call]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    @abstractmethod
    def _at(self, place: int) -> Call:
        """Return the call at a place that there is."""


class Taken(_OneByOne):
    """The calls of a map whose items are made on the way. Those with an object that came again are kept as packed."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._arguments: list[tuple[Any, ...]] = []
        self._packed: dict[int, bytes] = {}
        #: Of objects that may change: where they came last, and what that call was packed as.
        self._came: dict[int, tuple[int, bytes]] = {}

    def add(self, args: tuple[Any, ...], payload: bytes) -> None:
        """Take a call, with what it was packed as."""
        here = (len(self._arguments), payload)
        self._arguments.append(args)
        for value in _may_change(args):
            before = self._came.get(id(value))
            self._came[id(value)] = here
            if before is not None:
                self._packed.update([before, here])

    def __len__(self) -> int:
        return len(self._arguments)

    def _at(self, place: int) -> Call:
        payload = self._packed.get(place)
        if payload is None:
            return self._arguments[place], {}
        call: Call = value_of(payload, self._shelf)
        return call


class AsPacked(_OneByOne):
    """The same calls with their arguments as they were packed: what was made on the way may have changed since."""

    def __init__(self, calls: Sequence[Call], packed: Sequence[bytes], shelf: Shelf) -> None:
        self._calls = calls
        self._packed = packed
        self._shelf = shelf

    def __len__(self) -> int:
        return len(self._calls)

    def _at(self, place: int) -> Call:
        call = self._calls[place]
        if any(True for _ in _may_change(call[0])):
            call = value_of(self._packed[place], self._shelf)
        return call


def _may_change(values: Iterable[Any]) -> Iterator[Any]:
    """Yield what is not made of text and numbers only, and what is in tuples of such."""
    for value in values:
        if type(value) is tuple:
            yield from _may_change(value)
        elif type(value) not in _UNCHANGING:
            yield value


def taken(
    shelf: Shelf, task: Definition, tuples: Iterable[tuple[Any, ...]], packer: Packer
) -> tuple[Taken, list[bytes]]:
    """Read all items, each packed when it comes, and check the arguments once for each number of them."""
    shapes: set[int] = set()

    def each() -> Iterator[Call]:
        for args in tuples:
            if len(args) not in shapes:
                task.check(args, {})
                shapes.add(len(args))
            yield args, {}

    calls, payloads = Taken(shelf), []
    for (args, _), payload in packer.taken(each()):
        calls.add(args, payload)
        payloads.append(payload)
    return calls, payloads


def checked(task: Definition, tuples: Iterable[tuple[Any, ...]]) -> Sequence[Call]:
    """Read all items, and check the arguments once for each number of them."""
    arguments = list(tuples)
    for shape in {len(args): args for args in arguments}.values():
        task.check(shape, {})
    return Positional(arguments)
