"""Values in a few characters, for labels, without running any code of the user's.

``repr()`` of a user's object may raise, print, never end, or be 100 MB long. What is shown beside a cell, from a thread
or after it, must not ask for it: only values of Python's own types are spelled out, others are named by their class.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import reprlib
import sys
import uuid
from collections.abc import Callable, Iterable
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from .readable import name_of

_MOST_ITEMS = 6
_MOST_DEPTH = 3
#: Characters of one value; once there are so many, nothing more is spelled out.
_MOST_CHARS = 200
_MOST_BYTES = 40
#: Larger numbers are told by their length.
_MOST_BITS = 256
_DIGITS_PER_BIT = 0.30103
_MOST_TEXT = 60

_PLAIN: frozenset[type] = frozenset(
    {bool, float, complex, type(None), type(...), type(NotImplemented), uuid.UUID}
)
_PATHS: frozenset[type] = frozenset({pathlib.PosixPath, pathlib.WindowsPath})
_PURE_PATHS: frozenset[type] = frozenset({pathlib.PurePosixPath, pathlib.PureWindowsPath})
#: Kinds of numpy's types: truth values, whole and other numbers, moments and spans.
_OF_NUMBERS = "biufcmM"
_DATES: frozenset[type] = frozenset({dt.date, dt.timedelta})
_MOMENTS: frozenset[type] = frozenset({dt.datetime, dt.time})


def brief(value: Any, most: int = _MOST_CHARS) -> str:
    """Return a value in one line.

    Args:
        most: characters of it, about; more than usual also spells out longer texts and more items.
    """
    return _Writer(most).written(value)


class _Writer:
    """Writes one value down, however much of it there is."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._items_most = _MOST_ITEMS * most // _MOST_CHARS
        self._text_most = _MOST_TEXT * most // _MOST_CHARS

    def written(self, value: Any, depth: int = 0) -> str:
        text = "..." if self._left <= 0 or depth > _MOST_DEPTH else self._spelled(value, depth)
        self._left -= len(text)
        return text

    def _spelled(self, value: Any, depth: int) -> str:
        kind = type(value)
        if kind is str or kind in _SPELLINGS:
            return _text(value, self._text_most) if kind is str else _SPELLINGS[kind](value)
        if kind in _BRACKETS:
            begin, end = _BRACKETS[kind]
            return begin + self._items(value, depth, kind is tuple) + end if value else _EMPTY[kind]
        if kind in _DICTS:
            inside = "{" + self._pairs(value.items(), len(value), ": ", depth) + "}"
            return inside if kind is dict else f"{name_of(value)}({inside})"
        if kind is range:
            return f"range({', '.join(_int(number) for number in (value.start, value.stop, value.step))})"
        if type(kind) is enum.EnumMeta:
            return f"{name_of(value)}.{_own(value).get('_name_')}"
        return self._of_numpy(value, depth) or self._of_fields(value, depth) or _named(value)

    def _of_numpy(self, value: Any, depth: int) -> str:
        """Return a number of numpy's, or a small list of them; "" for anything else."""
        numpy, kind = sys.modules.get("numpy"), type(value)
        if numpy is None or vars(numpy).get(type.__dict__["__name__"].__get__(kind)) is not kind:
            return ""
        if issubclass(kind, numpy.generic):
            return _text(str(value), self._text_most) if kind is numpy.str_ else _scalar(value, numpy)
        small = kind is numpy.ndarray and value.size <= self._items_most and value.ndim <= 1
        if not small or value.dtype.kind not in _OF_NUMBERS:
            return ""
        return f"array({self.written(list(value) if value.ndim else value[()], depth)})"

    def _items(self, items: Iterable[Any], depth: int, is_tuple: bool = False) -> str:
        # Counted by the types themselves: of exact ones, so nothing of the user's runs.
        n = len(items)  # type: ignore[arg-type]
        parts = [self.written(item, depth + 1) for item in islice(items, self._items_most)]
        parts += ["..."] if n > self._items_most else []
        return ", ".join(parts) + ("," if is_tuple and n == 1 else "")

    def _pairs(self, pairs: Iterable[tuple[Any, Any]], n: int, between: str, depth: int) -> str:
        parts = [
            f"{name if between == '=' else self.written(name, depth + 1)}{between}{self.written(item, depth + 1)}"
            for name, item in islice(pairs, self._items_most)
        ]
        return ", ".join([*parts, "..."] if n > self._items_most else parts)

    def _of_fields(self, value: Any, depth: int) -> str:
        """Return a dataclass or a named tuple as Python's own ``repr`` of it shows it; "" for anything else."""
        kind = type(value)
        if issubclass(kind, tuple) and type(vars(kind).get("_fields")) is tuple:
            fields = dict(zip(vars(kind)["_fields"], tuple.__iter__(value), strict=False))
        elif _has_made_repr(kind):
            own = _own(value)
            described = vars(kind)["__dataclass_fields__"]
            fields = {name: own[name] for name, field in described.items() if field.repr and name in own}
        else:
            return ""
        return f"{name_of(value)}({self._pairs(fields.items(), len(fields), '=', depth)})"


def _has_made_repr(kind: type) -> bool:
    """Whether it is a dataclass whose ``__repr__`` was written by ``dataclass``, from a text."""
    shown = vars(kind).get("__repr__")
    if "__dataclass_fields__" not in vars(kind) or type(shown) is not FunctionType:
        return False
    inside = [cell.cell_contents for cell in shown.__closure__ or ()]
    return any(type(item) is FunctionType and item.__code__.co_filename == "<string>" for item in inside)


def _own(value: Any) -> dict[str, Any]:
    """Return an object's own attributes, past whatever its class makes of looking them up."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _named(value: Any) -> str:
    kind = type(value)
    if kind is FunctionType or kind is BuiltinFunctionType:
        return f"<function {value.__name__}>"
    if kind is ModuleType:
        return f"<module {vars(value).get('__name__')}>"
    if kind is type:
        return f"<class {type.__dict__['__name__'].__get__(value)}>"
    return f"<{_shape_of(value)}{name_of(value)}>"


def _shape_of(value: Any) -> str:
    """Return the shape of an array or a table of a library that is known, and " "."""
    for module, names in (
        ("numpy", ("ndarray",)),
        ("pandas", ("DataFrame", "Series")),
        ("polars", ("DataFrame",)),
    ):
        known = sys.modules.get(module)
        if known is not None and any(type(value) is vars(known).get(name) for name in names):
            return " x ".join(map(str, value.shape)) + " "
    return ""


def _scalar(value: Any, numpy: Any) -> str:
    if value.dtype.kind not in _OF_NUMBERS:
        return ""
    # Large and tiny ones as Python writes them: numpy rounds in str(), and takes what its users have set for that.
    return repr(value.item()) if type(value) is numpy.float64 else str(value)


def _int(value: int) -> str:
    bits = value.bit_length()
    return repr(value) if bits <= _MOST_BITS else f"<int of {int(bits * _DIGITS_PER_BIT) + 1:,} digits>"


def _text(value: str, most: int) -> str:
    texts = reprlib.Repr()
    texts.maxstring = most
    return texts.repr_str(value, 1)


def _bytes(value: bytes | bytearray) -> str:
    return repr(value) if len(value) <= _MOST_BYTES else f"{bytes(value[:24])!r}... ({len(value):,} bytes)"


def _decimal(value: decimal.Decimal) -> str:
    return (
        _named(value) if value.is_finite() and value.adjusted() > _MOST_CHARS else repr(value)[:_MOST_CHARS]
    )


def _moment(value: dt.datetime | dt.time) -> str:
    # A zone may be of the user's own class.
    return repr(value) if value.tzinfo is None or type(value.tzinfo) is dt.timezone else _named(value)


_SPELLINGS: dict[type, Callable[[Any], str]] = {
    **dict.fromkeys(_PLAIN, repr),
    **dict.fromkeys(_DATES, repr),
    **dict.fromkeys(_MOMENTS, _moment),
    # As it is written, and a little shorter.
    **dict.fromkeys(_PATHS, lambda path: f"Path({str(path)!r})"[:_MOST_CHARS]),
    **dict.fromkeys(_PURE_PATHS, lambda path: repr(path)[:_MOST_CHARS]),
    int: _int,
    bytes: _bytes,
    bytearray: _bytes,
    decimal.Decimal: _decimal,
    fractions.Fraction: lambda value: f"Fraction({_int(value.numerator)}, {_int(value.denominator)})",
}
_DICTS: frozenset[type] = frozenset({dict, collections.Counter, collections.OrderedDict})
_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}"), frozenset: ("frozenset({", "})")
}  # fmt: skip
_EMPTY: dict[type, str] = {list: "[]", tuple: "()", set: "set()", frozenset: "frozenset()"}
