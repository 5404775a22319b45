"""How a failed call travels: its exception, its traceback as frames and as text."""

from __future__ import annotations

import builtins
import contextlib
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from nbtasks.core.errors import CallError, TaskError
from nbtasks.core.readable import name_of, repr_of, text_of

from . import pickling, tracebacks

_MOST_TEXT = 64 * 1024
#: An exception that takes more does not travel as such.
_MOST_BYTES = 16 * _MOST_TEXT
#: An attribute that takes more is left out where attributes are looked at one by one.
_MOST_ATTRIBUTE_BYTES = 8 * _MOST_TEXT
#: Causes of an exception that are shown with it.
_MOST_CAUSES = 50
#: What printing an exception follows.
_LINKS = frozenset(
    {"__cause__", "__context__", "__suppress_context__", "__traceback__", "__notes__", "exceptions"}
)
#: What OSError keeps outside its __dict__.
_OS_ERROR_FIELDS = ("errno", "strerror", "filename", "filename2")


@dataclass(frozen=True)
class Failure:
    """A failed call as it is read.

    Attributes:
        type_name: class name of the exception.
        message: its text.
        text: the worker's traceback as Python prints it.
        pickled: the exception, or None where it could not travel.
        frames: the traceback as data, for tracebacks.py.
    """

    type_name: str
    message: str
    text: str
    pickled: bytes | None
    frames: list[tracebacks.FrameData]


def pack(error: BaseException, with_traceback: bool = True) -> bytes:
    """Return an exception as a payload. Never fails: what cannot travel is left out.

    An exception may be of a class of the user's, whose attributes and texts are code: they may raise anything too.
    """
    own = _traceback_of(error) if with_traceback else None
    try:
        frames = tracebacks.to_data(own)
    except Exception:
        frames = []
    return pickling.dump_plain(
        {
            "type": name_of(error),
            "message": text_of(error, _MOST_TEXT),
            "text": _format(error, own),
            "pickled": _pickled(error),
            "frames": frames,
        }
    )


def text_with_traceback(error: BaseException) -> str:
    """Return an exception as Python prints it, without frames of nbtasks. Never fails."""
    return _format(error, _traceback_of(error))


def unpack(payload: bytes | memoryview) -> Failure:
    """Read a verified payload of :func:`pack`."""
    data = pickling.load_plain(payload)
    return Failure(data["type"], data["message"], data["text"], data["pickled"], data["frames"])


def rebuild(failure: Failure, call_id: str) -> BaseException:
    """Return the original exception with the worker's traceback, or a TaskError in its place."""
    error = _unpickled(failure, call_id)
    if isinstance(error, CallError) and not error.call_id:
        error.call_id = call_id
    with contextlib.suppress(Exception):
        error.__traceback__ = tracebacks.from_data(failure.frames)
    return error


def _unpickled(failure: Failure, call_id: str) -> BaseException:
    if failure.pickled is not None:
        error = _loaded(failure.pickled)
        # SystemExit and the like would end whoever asks for the result.
        if isinstance(error, Exception):
            return error
    return TaskError(f"{failure.type_name}: {failure.message}", call_id, failure.type_name, failure.text)


def _loaded(data: bytes) -> Any:
    """Return what was pickled; None where it cannot be read, whatever its class raises then."""
    try:
        return pickling.loads(data)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


def _pickled(error: BaseException) -> bytes | None:
    try:
        data, text = _readable(error)
        if data is not None and text == text_of(error, _MOST_TEXT):
            return data
        # Its __init__ takes, or makes, other arguments than it hands on: it can be written, and is not read as it was.
        remains, _ = _readable(_Remains(error)) if _is_written_plainly(error) else (None, "")
        return remains if remains is not None else data
    except BaseException:
        return None


def _readable(value: Any) -> tuple[bytes | None, str]:
    """Return an exception as bytes, and the text that it has when they are read; None where it cannot be read."""
    try:
        data = b"".join(pickling.dumps(value))
        read = pickling.loads(data)
        if isinstance(read, BaseException) and len(data) <= _MOST_BYTES:
            return data, text_of(read, _MOST_TEXT)
    except BaseException:
        return None, ""
    return None, ""


def _is_written_plainly(error: BaseException) -> bool:
    """Whether its class leaves it to Python how it is pickled."""
    own = type(error).__reduce__
    return own in {BaseException.__reduce__, OSError.__reduce__} and (
        type(error).__reduce_ex__ is BaseException.__reduce_ex__
    )


class _Remains:
    """Pickles as an exception that is rebuilt without its ``__init__``, from those attributes that travel."""

    def __init__(self, error: BaseException) -> None:
        fields = {name: getattr(error, name, None) for name in _OS_ERROR_FIELDS if isinstance(error, OSError)}
        attributes = {**vars(error), **{name: value for name, value in fields.items() if value is not None}}
        kept = {name: value for name, value in attributes.items() if _travels(value)}
        args = tuple(value if _travels(value) else repr_of(value) for value in error.args)
        self._parts = (type(error), args, kept)

    def __reduce__(self) -> tuple[Any, ...]:
        return revive, self._parts


def _travels(value: Any) -> bool:
    try:
        data = b"".join(pickling.dumps(value))
        pickling.loads(data)
        return len(data) <= _MOST_ATTRIBUTE_BYTES
    except BaseException:
        return False


def revive(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    """Rebuild an exception from what it was; named in pickles, so it keeps its name and place."""
    error = kind.__new__(kind)
    error.args = args
    for name, value in attributes.items():
        # One that is a property of the class stays what the class makes of it.
        with contextlib.suppress(AttributeError):
            setattr(error, name, value)
    return error


def _traceback_of(error: BaseException) -> TracebackType | None:
    try:
        return tracebacks.without_own_frames(_own(error, "__traceback__"))
    except Exception:
        return None


def _own(error: BaseException, name: str) -> Any:
    """Return what Python itself keeps with an exception, whatever its class makes of the name."""
    return BaseException.__dict__[name].__get__(error)


def _format(error: BaseException, own: TracebackType | None) -> str:
    with contextlib.suppress(BaseException):
        if _is_plainly_linked(error):
            return "".join(traceback.format_exception(type(error), error, own))[-_MOST_TEXT:]
    frames = ""
    with contextlib.suppress(Exception):
        frames = "".join(traceback.format_tb(own, -_MOST_CAUSES))
    head = f"Traceback (most recent call last):\n{frames}" if frames else ""
    return f"{head}{name_of(error)}: {text_of(error, _MOST_TEXT)}\n"[-_MOST_TEXT:]


def _is_plainly_linked(error: BaseException) -> bool:
    """Whether an exception and its causes can be walked: no class has laid code over the links, and they end."""
    seen: set[int] = set()
    to_see = [error]
    while to_see:
        one = to_see.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if len(seen) > _MOST_CAUSES or not _is_plain(one):
            return False
        linked = [_own(one, "__cause__"), _own(one, "__context__"), *_members(one)]
        to_see += [other for other in linked if isinstance(other, BaseException)]
    return True


def _is_plain(error: BaseException) -> bool:
    notes = vars(error).get("__notes__", [])
    of_users = (kind for kind in type(error).__mro__ if kind.__module__ != "builtins")
    return (
        type(notes) is list
        and len(notes) <= _MOST_CAUSES
        and not any(_LINKS.intersection(vars(kind)) for kind in of_users)
    )


def _members(error: BaseException) -> tuple[Any, ...]:
    """Return the exceptions of an exception group."""
    group = getattr(builtins, "BaseExceptionGroup", None)
    return tuple(error.exceptions[:_MOST_CAUSES]) if group and isinstance(error, group) else ()
