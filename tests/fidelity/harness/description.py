"""A value as plain data, so that two of them can be compared: type, content, and which parts are the same object.

It runs in the notebook and on workers alike, and knows what ``==`` forgets: ``-0.0``, ``nan``, ``True`` and ``1``, the
dtypes and flags of arrays, the names of indexes, the cause of an exception.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import re
import struct
import sys
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any

#: (module, qualified name) -> the notebook's own class.
Classes = Mapping[tuple[str, str], type]

_LONG = 2000
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_SINGLE = (type(None), type(...), type(NotImplemented), bool)


def described(value: Any, own: Classes | None = None) -> Any:
    """Return nested tuples of texts and numbers.

    Args:
        value: anything; it is not changed.
        own: the notebook's classes; those met are then said to be it, or a copy of it.
    """
    return _Describer(own or {}).of(value)


def difference(here: Any, there: Any) -> str | None:
    """Return where two descriptions differ first, None where they are equal."""
    if here == there:
        return None
    if isinstance(here, tuple) and isinstance(there, tuple) and len(here) == len(there):
        return next(filter(None, map(difference, here, there)))
    return f"here={_short(here)} there={_short(there)}"


def _short(part: Any) -> str:
    text = repr(part)
    return text if len(text) < 400 else f"{text[:300]} ... {text[-60:]}"


class _Describer:
    """Describes one value; what it has met before is only named again."""

    def __init__(self, own: Classes) -> None:
        self._own = own
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is given twice

    def of(self, value: Any) -> Any:
        kind = type(value)
        if kind in _SINGLE:
            return repr(value)
        if kind in _ATOMS:
            return kind.__name__, _ATOMS[kind](value)
        if id(value) in self._met:
            return "the same as", self._met[id(value)]
        self._met[id(value)] = len(self._met)
        self._kept.append(value)
        for wanted, describe in _KINDS:
            if isinstance(value, wanted):
                return describe(self, value)
        if str(kind.__module__).partition(".")[0] in {"numpy", "pandas"}:
            return self._scientific(value)
        return self._by_its_parts(value)

    def kind(self, kind: type) -> Any:
        """Name a class, and say whether it is the notebook's."""
        name = (kind.__module__, kind.__qualname__)
        if name in self._own:
            return (*name, "the notebook's" if self._own[name] is kind else "a copy of the notebook's")
        return name

    def a_class(self, value: type) -> Any:
        named = self.kind(value)
        if "<locals>" in value.__qualname__ or value.__module__ == "__main__":
            return "class", named, tuple(map(self.kind, value.__bases__)), tuple(sorted(_own_names(value)))
        return "class", named

    def a_function(self, value: types.FunctionType) -> Any:
        closure = []
        for cell in value.__closure__ or ():
            try:
                closure.append(self.of(cell.cell_contents))
            except ValueError:
                closure.append("empty")
        signature = _ADDRESS.sub("", str(inspect.signature(value)))
        return (
            "function", value.__module__, value.__qualname__, value.__doc__, self.of(value.__defaults__),
            self.of(value.__kwdefaults__), self.of(vars(value)), tuple(closure), signature,
        )  # fmt: skip

    def a_builtin(self, value: Any) -> Any:
        owner = getattr(value, "__self__", None)
        owner = None if isinstance(owner, types.ModuleType) else self.of(owner)
        return type(value).__name__, value.__qualname__, owner

    def a_method(self, value: types.MethodType) -> Any:
        return "method", self.of(value.__func__), self.of(value.__self__)

    def a_module(self, value: types.ModuleType) -> Any:
        return "module", value.__name__

    def an_error(self, value: BaseException) -> Any:
        """Its traceback and context are no part of it: they say where it was raised, as does the note of nbtasks."""
        inner = getattr(value, "exceptions", ())
        facts = {name: fact for name, fact in vars(value).items() if name != "__notes__"}
        notes = [note for note in getattr(value, "__notes__", ()) if not note.startswith("nbtasks: ")]
        return (
            self.kind(type(value)), _text(str, value), self.of(value.args), self.of(facts), ("notes", *notes),
            ("cause", self.of(value.__cause__)), ("suppressed", value.__suppress_context__),
            tuple(self.of(error) for error in inner) if isinstance(inner, tuple) else (),
        )  # fmt: skip

    def a_member(self, value: Enum) -> Any:
        return self.kind(type(value)), str(value.name), self.of(value.value)

    def a_list(self, value: Any) -> Any:
        return self.kind(type(value)), tuple(map(self.of, value)), self._attributes(value)

    def a_dict(self, value: dict[Any, Any]) -> Any:
        items = tuple((self.of(key), self.of(item)) for key, item in dict.items(value))
        return (
            self.kind(type(value)),
            items,
            self.of(getattr(value, "default_factory", None)),
            self._attributes(value),
        )

    def a_set(self, value: Any) -> Any:
        return self.kind(type(value)), tuple(sorted(map(self.of, value), key=repr)), self._attributes(value)

    def a_wrapper(self, value: Any) -> Any:
        return type(value).__name__, self.of(value.__func__)

    def a_property(self, value: property) -> Any:
        return "property", self.of(value.fget), self.of(value.fset), self.of(value.fdel), value.__doc__

    def a_cached_function(self, value: Any) -> Any:
        return "lru_cache", self.of(value.__wrapped__), self.of(value.cache_parameters())

    def a_partial(self, value: functools.partial[Any]) -> Any:
        return self.kind(type(value)), self.of(value.func), self.of(value.args), self.of(value.keywords)

    def a_pattern(self, value: re.Pattern[Any]) -> Any:
        return "pattern", value.pattern, value.flags

    def a_view(self, value: memoryview) -> Any:
        return "memoryview", value.format, value.shape, value.readonly, value.tobytes()

    def an_iterator(self, value: Any) -> Any:
        """What is left in it stays there."""
        return type(value).__name__, self.of(value.__reduce__()[1:])

    def _scientific(self, value: Any) -> Any:
        numpy, pandas = sys.modules["numpy"], sys.modules.get("pandas")
        if isinstance(value, numpy.ndarray):
            return self._array(value)
        if isinstance(value, numpy.generic):
            return "scalar", value.dtype.str, value.tobytes() if value.dtype != object else repr(value)
        return self._of_pandas(value, pandas) if pandas is not None else self._by_its_parts(value)

    def _of_pandas(self, value: Any, pandas: Any) -> Any:
        if isinstance(value, pandas.DataFrame):
            columns = tuple(self.of(value.iloc[:, i].array) for i in range(value.shape[1]))
            head = self.kind(type(value)), self.of(value.index), self.of(value.columns)
            return "frame", *head, columns, self.of(value.attrs)
        if isinstance(value, pandas.Series):
            return (
                "series",
                self.of(value.name),
                self.of(value.index),
                self.of(value.array),
                self.of(value.attrs),
            )
        if isinstance(value, pandas.MultiIndex):
            return (
                "multiindex",
                self.of(list(value.names)),
                self.of(value.tolist()),
                str(value.dtypes.to_dict()),
            )
        if isinstance(value, pandas.Index):
            frequency = str(getattr(value, "freq", None))
            return (
                type(value).__name__,
                str(value.dtype),
                self.of(value.name),
                frequency,
                self.of(value.tolist()),
            )
        if isinstance(value, pandas.api.extensions.ExtensionArray):
            return type(value).__name__, str(value.dtype), self.of(value.astype(object).tolist())
        return self._by_its_parts(value)

    def _array(self, value: Any) -> Any:
        content = self.of(value.tolist()) if value.dtype.hasobject else _digest(value.tobytes())
        flags = (value.flags.c_contiguous, value.flags.f_contiguous, value.flags.writeable)
        masked = (self.of(value.fill_value), self.of(value.mask)) if hasattr(value, "mask") else ()
        return "array", self.kind(type(value)), str(value.dtype.descr), value.shape, flags, content, masked

    def _attributes(self, value: Any) -> Any:
        return tuple((name, self.of(item)) for name, item in getattr(value, "__dict__", {}).items())

    def _by_its_parts(self, value: Any) -> Any:
        """Describe what pickling would write."""
        kind = self.kind(type(value))
        try:
            reduced = value.__reduce_ex__(2)
        except Exception:
            return kind, _ADDRESS.sub("", _text(repr, value))
        if isinstance(reduced, str):
            return kind, reduced
        made, args, state, items, pairs = (*reduced, None, None, None)[:5]
        return (
            kind, self.of(made), tuple(map(self.of, args)), self.of(state),
            tuple(map(self.of, items or ())), tuple((self.of(key), self.of(item)) for key, item in pairs or ()),
        )  # fmt: skip


def _own_names(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("__")}


def _digest(data: bytes) -> Any:
    return data if len(data) <= _LONG else (len(data), hashlib.sha256(data).hexdigest())


def _long(text: str) -> Any:
    return (
        text
        if len(text) <= _LONG
        else (len(text), hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())
    )


def _text(make: Any, value: Any) -> str:
    try:
        return str(make(value))
    except Exception as error:
        return f"({make.__name__}() raises {type(error).__name__})"


_ATOMS: dict[type, Any] = {
    int: hex,  # the text of a very long one is refused
    str: _long,
    bytes: _digest,
    float: lambda value: struct.pack("<d", value).hex() + f" {value!r}",
    complex: lambda value: struct.pack("<dd", value.real, value.imag).hex() + f" {value!r}",
}

_KINDS: tuple[tuple[Any, Any], ...] = (
    (Enum, _Describer.a_member),
    (type, _Describer.a_class),
    (types.FunctionType, _Describer.a_function),
    (
        (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType),
        _Describer.a_builtin,
    ),
    (types.MethodType, _Describer.a_method),
    (types.ModuleType, _Describer.a_module),
    (BaseException, _Describer.an_error),
    ((list, tuple), _Describer.a_list),
    (dict, _Describer.a_dict),
    ((set, frozenset), _Describer.a_set),
    ((staticmethod, classmethod), _Describer.a_wrapper),
    (property, _Describer.a_property),
    (functools._lru_cache_wrapper, _Describer.a_cached_function),
    (functools.partial, _Describer.a_partial),
    (re.Pattern, _Describer.a_pattern),
    (memoryview, _Describer.a_view),
)
