"""How a failed call travels: its exception, its traceback as frames and as text."""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass
from types import TracebackType

from nbtasks.core.errors import CallError, TaskError

from . import pickling, tracebacks

_MOST_TEXT = 64 * 1024


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
    with contextlib.suppress(Exception):
        data = b"".join(pickling.dumps(error))
        # Some exceptions can be written and not read (an __init__ with other arguments): find out here.
        if isinstance(pickling.loads(data), BaseException) and len(data) <= _MOST_TEXT * 16:
            return data
    return None


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
