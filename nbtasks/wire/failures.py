"""How a failed call travels: its exception, its traceback as frames and as text."""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from nbtasks.core.errors import CallError, TaskError

from . import pickling, tracebacks

_MOST_TEXT = 64 * 1024
#: An exception that takes more does not travel as such.
_MOST_BYTES = 16 * _MOST_TEXT
#: An attribute that takes more is left out where attributes are looked at one by one.
_MOST_ATTRIBUTE_BYTES = 8 * _MOST_TEXT
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
    """Return an exception as a payload. Never fails: what cannot travel is left out."""
    own = tracebacks.without_own_frames(error.__traceback__) if with_traceback else None
    return pickling.dump_plain(
        {
            "type": type(error).__name__,
            "message": _text_of(error),
            "text": _format(error, own),
            "pickled": _pickled(error),
            "frames": tracebacks.to_data(own),
        }
    )


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
        with contextlib.suppress(Exception):
            error = pickling.loads(failure.pickled)
            # SystemExit and the like would end whoever asks for the result.
            if isinstance(error, Exception):
                return error
    return TaskError(f"{failure.type_name}: {failure.message}", call_id, failure.type_name, failure.text)


def _pickled(error: BaseException) -> bytes | None:
    data, text = _readable(error)
    if data is not None and text == _text_of(error):
        return data
    # Its __init__ takes, or makes, other arguments than it hands on: it can be written, and is not read as it was.
    remains, _ = _readable(_Remains(error)) if _is_written_plainly(error) else (None, "")
    return remains if remains is not None else data


def _readable(value: Any) -> tuple[bytes | None, str]:
    """Return an exception as bytes, and the text that it has when they are read; None where it cannot be read."""
    with contextlib.suppress(Exception):
        data = b"".join(pickling.dumps(value))
        read = pickling.loads(data)
        if isinstance(read, BaseException) and len(data) <= _MOST_BYTES:
            return data, _text_of(read)
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
        args = tuple(value if _travels(value) else repr(value) for value in error.args)
        self._parts = (type(error), args, kept)

    def __reduce__(self) -> tuple[Any, ...]:
        return revive, self._parts


def _travels(value: Any) -> bool:
    with contextlib.suppress(Exception):
        data = b"".join(pickling.dumps(value))
        pickling.loads(data)
        return len(data) <= _MOST_ATTRIBUTE_BYTES
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


def _text_of(error: BaseException) -> str:
    try:
        return str(error)[:_MOST_TEXT]
    except Exception:
        return f"<{type(error).__name__} without a readable text>"


def _format(error: BaseException, own: TracebackType | None) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, own))[-_MOST_TEXT:]
    except Exception:
        return f"{type(error).__name__}: {_text_of(error)}"
