"""A digest of a value that is the same in another process: of what it is made of, and not of where that was written.

It is the hash of a pickle that nobody reads. What differs from one kernel to the next and changes no result is left out
of it, or put in order: file names and lines of code, ids of classes, the order of sets. Values with one digest are the
same. The other way round, equal values may have different digests: what their own ``__reduce__`` writes may differ.
"""

from __future__ import annotations

import hashlib
import operator
import pickle
from collections.abc import Iterable
from types import CellType, CodeType, FunctionType
from typing import Any

from . import pickling
from .kinds import classes
from .pickling import FunctionPickler

_COLLECTIONS = frozenset({tuple, list, dict, set, frozenset})
#: What a class has of the place where it was written.
_OF_PLACE = frozenset({"__firstlineno__", "__static_attributes__"})
_MOST_LOOKED_AT = 1_000_000


class _Endless(Exception):
    """A collection is in itself, or is so large that nobody looks for sets in it."""


def digest(value: Any) -> bytes | None:
    """Return 32 bytes that stand for a value, or for a function with all that it captures; None where it has none."""
    left_out: frozenset[str] = frozenset()
    while True:
        sink = _Sink()
        pickler = _Digester(sink, left_out)
        try:
            pickler.dump(pickler.in_order(value))
        except Exception:
            # As where it is written to be sent: what only a string speaks of need not travel.
            stays = left_out | pickler.staying()
            if stays == left_out:
                return None
            left_out = stays
        else:
            return sink.digest()


class _Sink:
    """A file that keeps the hash of what is written to it."""

    def __init__(self) -> None:
        self._hashed = hashlib.sha256()
        self.digest = self._hashed.digest

    def write(self, data: Any) -> None:
        """Take more."""
        # Large arrays come as they are.
        self._hashed.update(data.raw() if isinstance(data, pickle.PickleBuffer) else data)


class _Unordered:
    """Stands for a set: the digests of its items, in their order."""

    def __init__(self, kind: str, items: Iterable[bytes]) -> None:
        self._items = (kind, *sorted(items))

    def __reduce__(self) -> tuple[Any, ...]:
        return _Unordered, self._items


class _Code:
    """Stands for code."""

    def __init__(self, code: CodeType) -> None:
        self._parts = _parts_of_code(code)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Code, self._parts


class _Digester(FunctionPickler):
    """Writes what :func:`digest` hashes."""

    def __init__(self, sink: _Sink, left_out: frozenset[str]) -> None:
        super().__init__(sink, protocol=5)
        self.left_out = left_out
        #: Place in memory -> a collection, and the one that stands for it; None while it is looked at.
        self._orders: dict[int, tuple[Any, Any]] = {}

    def staying(self) -> frozenset[str]:
        """Return the names that strings speak of and whose values cannot travel."""
        return frozenset(name for name, part in self.mentioned.items() if not pickling.travels(part))

    def reducer_override(self, value: Any) -> Any:
        if type(value) is CellType:
            return CellType, tuple(map(self.in_order, _contents(value)))
        found = super().reducer_override(value)
        if isinstance(found, tuple) and found[0] is classes.make_class:
            return self._without_place(found)
        return found

    def _without_place(self, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return how a class is written, without the id that it has in this process and the line where it begins."""
        make, (_, *made), (early, others, *state), *rest = reduced
        kind, attributes = early.__reduce__()[1]
        own = [
            {name: self.in_order(value) for name, value in part.items() if name not in _OF_PLACE}
            for part in (attributes, others)
        ]
        return make, tuple(made), (kind, *own, *state), *rest

    def _reduced_code(self, code: CodeType) -> tuple[Any, ...]:
        return _Code, _parts_of_code(code)

    def _dynamic_function_reduce(self, function: FunctionType) -> Any:
        rebuild, args, (attributes, state), *rest = super()._dynamic_function_reduce(function)
        state = {name: self.in_order(value) for name, value in state.items()}
        # As they were imported, one after another.
        state["_cloudpickle_submodules"] = sorted(
            state["_cloudpickle_submodules"], key=operator.attrgetter("__name__")
        )
        return rebuild, args, (attributes, state), *rest

    def in_order(self, value: Any) -> Any:
        """Return what stands for a value: sets in it, and in lists and dicts in it, are put in order."""
        if type(value) not in _COLLECTIONS:
            return value
        try:
            return self._ordered(value, [_MOST_LOOKED_AT])
        except (_Endless, RecursionError):
            return value

    def _ordered(self, value: Any, budget: list[int]) -> Any:
        known = self._orders.get(id(value))
        if known is not None:
            if known[1] is None:
                raise _Endless
            return known[1]
        budget[0] -= len(value)
        if budget[0] < 0:
            raise _Endless
        self._orders[id(value)] = (value, None)
        made = self._made(value, budget)
        self._orders[id(value)] = (value, made)
        return made

    def _made(self, value: Any, budget: list[int]) -> Any:
        kind = type(value)
        if kind in (set, frozenset):
            return _Unordered(kind.__name__, map(_digest_of_item, value))
        items = value.values() if kind is dict else value
        if not any(type(item) in _COLLECTIONS for item in items):
            return value
        ordered = [self._ordered(item, budget) if type(item) in _COLLECTIONS else item for item in items]
        if all(map(operator.is_, ordered, items)):
            return value
        return dict(zip(value, ordered, strict=True)) if kind is dict else kind(ordered)


def _digest_of_item(item: Any) -> bytes:
    if type(item) in pickling.SCALARS:
        return pickle.dumps(item, protocol=5)
    found = digest(item)
    if found is None:
        raise pickle.PicklingError("an item of a set has no digest")
    return found


def _contents(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _parts_of_code(code: CodeType) -> tuple[Any, ...]:
    return (
        code.co_name,
        getattr(code, "co_qualname", ""),
        code.co_flags,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_code,
        getattr(code, "co_exceptiontable", b""),
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        tuple(map(_constant, code.co_consts)),
    )


def _constant(value: Any) -> Any:
    kind = type(value)
    if kind is CodeType:
        return _Code(value)
    if kind is tuple:
        return tuple(map(_constant, value))
    if kind is frozenset:
        return _Unordered("frozenset", (pickle.dumps(_constant(item), protocol=5) for item in value))
    return value
