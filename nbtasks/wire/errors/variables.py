"""The variables of frames, for a debugger in another process: small values of Python's own types, of others a text.

They are looked at when a call has failed, and only then. To ask a value for its text runs code of the user's, so there
is a limit to how long all of that may take.
"""

from __future__ import annotations

import contextlib
import os
import re
import reprlib
import time
from collections.abc import Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType, TracebackType
from typing import Any

from nbtasks.core.readable import asked, is_kind
from nbtasks.wire import pickling

from .tracebacks import is_of_library

#: ``0``: no variables travel.
SWITCH = "NBTASKS_VARIABLES"
#: Bytes of one failure's variables.
MOST_BYTES = 48 * 1024
_MOST_FRAMES, _MOST_NAMES, _MOST_ATTRIBUTES = 20, 40, 20
#: Characters of a text and of all texts, bytes of a value, seconds for all of them.
_MOST_TEXT, _MOST_TEXTS, _MOST_VALUE, _MOST_SECONDS = 1000, 24_000, 2000, 0.25
_MOST_DEPTH = 8
_SECRET = re.compile(
    r"(^|_)(passw(or)?d|pwd|passphrase|secrets?|credentials?|token|(api|access|auth|private|secret)_?(key|token)s?)$",
    re.IGNORECASE,
)
_HIDDEN = "<hidden: its name is that of a secret>"
#: Of globals these tell nothing.
_NO_DATA = (ModuleType, FunctionType, BuiltinFunctionType, type)

#: What is said of one value: ("v", value), ("t", text) or ("o", text, {attribute: what is said of it}).
_Told = tuple[Any, ...]
#: Names -> what is said of their values, local ones and globals.
_ToldFrame = tuple[dict[str, _Told], dict[str, _Told]]


def are_wanted() -> bool:
    """Whether variables may leave this process."""
    return os.environ.get(SWITCH, "") != "0"


def pack(tb: TracebackType | None) -> bytes:
    """Return the variables of a traceback's last frames; empty where there are none, or they are too much."""
    frames: list[FrameType] = []
    while tb is not None:
        frames.append(tb.tb_frame)
        tb = tb.tb_next
    frames = frames[-_MOST_FRAMES:]
    teller = _Teller()
    told: dict[int, _ToldFrame] = {}
    # As long as there is time and room: the user's own frames first, the innermost of them before the others.
    for frame in sorted(frames, key=is_of_library, reverse=True)[::-1]:
        told[id(frame)] = teller.frame(frame)
    data = pickling.dump_plain([told[id(frame)] for frame in frames])
    return data if len(data) <= MOST_BYTES and teller.has_told else b""


def unpack(data: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return of each of the last frames its local variables, and the globals that it has read; no code runs.

    Raises:
        ValueError: it was not written by :func:`pack`.
    """
    if not data:
        return []
    frames = pickling.load_own(data, MOST_BYTES)
    if type(frames) is not list or len(frames) > _MOST_FRAMES:
        raise ValueError("no list of frames")
    return [(_read(own), _read(others)) for own, others in frames]


class LeftThere:
    """Stands for a value that has stayed on the worker: its text, and the attributes that were looked at there."""

    __slots__ = ("_attributes", "_text")

    def __init__(self, text: str, attributes: Mapping[str, Any]) -> None:
        self._text = text
        self._attributes = attributes

    def __repr__(self) -> str:
        return self._text

    def __getattr__(self, name: str) -> Any:
        if name in self._attributes:
            return self._attributes[name]
        raise AttributeError(
            f"{name!r} has stayed on the worker: of this value there is only what it looked like. "
            "`%tasks debug ID` runs the call again here, with all values"
        )

    def __dir__(self) -> list[str]:
        return sorted(self._attributes)


class _Teller:
    """Says of values what may travel of them, as long as there is time and room."""

    def __init__(self) -> None:
        self.has_told = False
        self._left = _MOST_TEXTS
        self._until = time.monotonic() + _MOST_SECONDS
        self._texts = reprlib.Repr()
        for name in ("maxlist", "maxtuple", "maxset", "maxfrozenset", "maxdict", "maxdeque", "maxarray"):
            setattr(self._texts, name, 30)
        self._texts.maxstring = self._texts.maxlong = self._texts.maxother = _MOST_TEXT

    def frame(self, frame: FrameType) -> _ToldFrame:
        """Return what is said of the variables of a frame."""
        there, own = frame.f_globals, frame.f_locals
        if own is there:
            # A module, or a cell: all of it would be the whole notebook.
            return self._of(_read_globals(frame)), {}
        return self._of(own.items()), self._of(_read_globals(frame))

    def _of(self, variables: Iterable[tuple[str, Any]]) -> dict[str, _Told]:
        told: dict[str, _Told] = {}
        with contextlib.suppress(RuntimeError):
            # Another thread may change them meanwhile.
            for name, value in variables:
                if len(told) >= _MOST_NAMES or self._is_over():
                    break
                if type(name) is str and name.isidentifier() and not name.startswith("__"):
                    told[name] = self._value(name, value)
                    self.has_told = True
        return told

    def _is_over(self) -> bool:
        return self._left <= 0 or time.monotonic() > self._until

    def _value(self, name: str, value: Any, is_attribute: bool = False) -> _Told:
        if _SECRET.search(name):
            return "t", _HIDDEN
        weight = _weight(value, _MOST_VALUE, _MOST_DEPTH)
        if weight <= _MOST_VALUE:
            self._left -= weight
            return "v", value
        text = asked(self._texts.repr, value, _MOST_TEXT)
        self._left -= len(text)
        own = {} if is_attribute or is_kind(value, _NO_DATA) else _attributes(value)
        if not own:
            return "t", text
        attributes = {}
        for attribute, inside in list(own.items())[:_MOST_ATTRIBUTES]:
            if self._is_over():
                break
            if type(attribute) is str:
                attributes[attribute] = self._value(attribute, inside, is_attribute=True)
        return "o", text, attributes


def _read_globals(frame: FrameType) -> Iterator[tuple[str, Any]]:
    there = frame.f_globals
    for name in frame.f_code.co_names:
        if name in there and not is_kind(there[name], _NO_DATA):
            yield name, there[name]


def _attributes(value: Any) -> dict[str, Any]:
    """Return an object's own attributes, past whatever its class makes of looking them up."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:
        return {}
    return found if type(found) is dict else {}


def _weight(value: Any, left: int, depth: int) -> int:
    """Return how many bytes a value takes, roughly; more than ``left`` where it shall not travel."""
    kind = type(value)
    if kind is int:
        return 8 + int(value.bit_length()) // 8
    if kind in (float, bool) or value is None:
        return 8
    if kind in (str, bytes, bytearray):
        return 8 + len(value)
    if kind not in (list, tuple, set, frozenset, dict) or depth <= 0 or 8 * len(value) > left:
        return left + 1
    weight = 8
    items: Iterable[Any] = (part for pair in value.items() for part in pair) if kind is dict else value
    for item in items:
        weight += _weight(item, left - weight, depth - 1)
        if weight > left:
            break
    return weight


def _read(told: Any) -> dict[str, Any]:
    if type(told) is not dict or len(told) > max(_MOST_NAMES, _MOST_ATTRIBUTES):
        raise ValueError("no names")
    return {str(name): _value(said) for name, said in told.items()}


def _value(said: Any) -> Any:
    what, value, *attributes = said
    return (
        value
        if what == "v"
        else LeftThere(str(value)[:_MOST_TEXT], _read(attributes[0]) if attributes else {})
    )
