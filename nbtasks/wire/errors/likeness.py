"""An exception as bytes that are read as the same exception: its class, its text, its arguments, its attributes.

Many classes are read as something else than was written: their ``__init__`` makes a text of its own out of other
arguments, or their ``__reduce__`` leaves out what cannot travel, and the text with it. So each is read once where it
was raised, and what is missing then is put beside it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from nbtasks.core.readable import repr_of, text_of
from nbtasks.wire import pickling

from .links import members

_MOST_TEXT = 64 * 1024
#: An exception that takes more does not travel as such.
_MOST_BYTES = 16 * _MOST_TEXT
#: An attribute that takes more is left out where attributes are looked at one by one.
_MOST_ATTRIBUTE_BYTES = 8 * _MOST_TEXT
#: Exceptions in the arguments and attributes of an exception are made whole down to this depth.
_MOST_DEPTH = 4
#: What Python's own exceptions keep outside their ``__dict__`` and beside their arguments.
_FIELDS: dict[type[BaseException], tuple[str, ...]] = {
    OSError: ("errno", "strerror", "filename", "filename2"),
    AttributeError: ("name",),
    NameError: ("name",),
    ImportError: ("name", "path"),
}
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


def likeness(error: BaseException) -> bytes | None:
    """Return an exception as bytes; None where it cannot be written, or not be read again."""
    return _closest(error, 0)[1]


def _closest(error: BaseException, depth: int) -> tuple[Any, bytes | None]:
    """Return what is to be written in an exception's place, the closest to it, and that as bytes."""
    text = _text(error)
    data, read = _there_and_back(error)
    lost = _lost(error, read, depth) if read is not None else {}
    if read is not None and not lost and _text(read) == text:
        return error, data
    for form in _others(error, lost, depth):
        data, read = _there_and_back(form)
        if read is not None and _text(read) == text:
            return form, data
    return error, None


def _others(error: BaseException, lost: dict[str, Any], depth: int) -> Iterator[Any]:
    """Yield what may be written in the place of an exception that is not read as it was, the closest one first."""
    if lost:
        yield _Amended(error, lost)
    remains = _Remains(error, depth)
    yield remains
    yield _Worded(remains, text_of(error, _MOST_TEXT))


def _whole(value: Any, depth: int) -> Any:
    """Return what is to be written in the place of a part of an exception: an exception is made whole itself."""
    return (
        _closest(value, depth + 1)[0] if isinstance(value, BaseException) and depth < _MOST_DEPTH else value
    )


def _lost(error: BaseException, read: BaseException, depth: int) -> dict[str, Any]:
    """Return name -> value of what an exception had, and has no more where it was written and read."""
    there = _attributes(read)
    lost = {
        name: whole
        for name, value in _attributes(error).items()
        if _differs(value, there.get(name)) and _travels(whole := _whole(value, depth))
    }
    if len(error.args) != len(read.args) or any(map(_differs, error.args, read.args)):
        lost["args"] = _arguments(error, depth)
    return lost


def _differs(value: Any, read: Any) -> bool:
    if isinstance(value, BaseException):
        return not isinstance(read, BaseException) or _text(value) != _text(read)
    return type(value).__name__ != type(read).__name__ or (isinstance(value, str) and value != read)


def _attributes(error: BaseException) -> dict[str, Any]:
    fields = [name for kind, names in _FIELDS.items() if isinstance(error, kind) for name in names]
    kept = {name: getattr(error, name, None) for name in fields}
    return {**vars(error), **{name: value for name, value in kept.items() if value is not None}}


def _arguments(error: BaseException, depth: int) -> tuple[Any, ...]:
    wholes = (_whole(value, depth) for value in error.args)
    return tuple(whole if _travels(whole) else Shown(repr_of(whole)) for whole in wholes)


class Shown(str):
    """What is left of an argument that cannot travel; in a text it looks as that did. Named in pickles."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _Amended:
    """Pickles as an exception that is read as its class wants it, and then gets back what that has left out."""

    def __init__(self, error: BaseException, lost: dict[str, Any]) -> None:
        self._parts = (error, lost)

    def __reduce__(self) -> tuple[Any, ...]:
        return amend, self._parts


class _Remains:
    """Pickles as an exception that is rebuilt without its ``__init__``, from those attributes that travel."""

    def __init__(self, error: BaseException, depth: int) -> None:
        wholes = {name: _whole(value, depth) for name, value in _attributes(error).items()}
        kept = {name: value for name, value in wholes.items() if _travels(value)}
        self._parts = (type(error), _arguments(error, depth), kept)

    def __reduce__(self) -> tuple[Any, ...]:
        return revive, self._parts


class _Worded:
    """Pickles as an exception that keeps its text, although that is made from what could not travel."""

    def __init__(self, remains: _Remains, text: str) -> None:
        self._parts = (remains, text)

    def __reduce__(self) -> tuple[Any, ...]:
        return word, self._parts


def amend(error: BaseException, lost: dict[str, Any]) -> BaseException:
    """Give an exception what it has lost on its way; named in pickles, so it keeps its name and place."""
    for name, value in lost.items():
        # One that is a property of the class stays what the class makes of it.
        with contextlib.suppress(AttributeError):
            setattr(error, name, value)
    return error


def revive(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    """Rebuild an exception from what it was; named in pickles, so it keeps its name and place."""
    error = kind.__new__(kind)
    error.args = args
    return amend(error, attributes)


def word(error: BaseException, text: str) -> BaseException:
    """Give an exception a text that its class could not make any more; named in pickles, as above."""
    kind: Any = type(error)
    namespace = {"__str__": lambda _: text, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    metaclass: Any = type(kind)
    error.__class__ = metaclass(kind.__name__, (kind,), namespace)
    return error


def _there_and_back(value: Any) -> tuple[bytes | None, BaseException | None]:
    """Return an exception as bytes, and as it is read from them; None where it cannot be read."""
    try:
        data = b"".join(pickling.dumps(value))
        read = pickling.loads(data)
        if isinstance(read, BaseException) and len(data) <= _MOST_BYTES:
            return data, read
    except BaseException:
        return None, None
    return None, None


def _travels(value: Any) -> bool:
    try:
        data = b"".join(pickling.dumps(value))
        pickling.loads(data)
        return len(data) <= _MOST_ATTRIBUTE_BYTES
    except BaseException:
        return False


def _text(error: BaseException) -> str:
    """Return an exception's text, without the addresses of objects: those are others in another process."""
    return "; ".join(
        _ADDRESS.sub("0x", text_of(one, _MOST_TEXT)) for one in (error, *_all_members(error, _MOST_DEPTH))
    )


def _all_members(error: BaseException, depth: int) -> Iterator[BaseException]:
    for member in members(error) if depth else ():
        yield member
        yield from _all_members(member, depth - 1)
