"""Where errors leave nbtasks: users see the line of theirs that has asked, not the way through here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, TypeVar

from nbtasks.core.errors import ChordError, NbtasksError, NotPicklable
from nbtasks.core.readable import name_of, text_of
from nbtasks.core.typevars import P
from nbtasks.wire.errors.tracebacks import is_of_library, is_own, shown_as, without_own_frames

__all__ = [
    "as_own",
    "at_awaited_border",
    "at_border",
    "on_own_error",
    "shortened",
    "shown_as",
    "without_last_own",
]

T = TypeVar("T")
#: What is raised here because of what users do, and is no fault of ours.
_THEIR_DOING = (NbtasksError, TypeError, KeyboardInterrupt, asyncio.CancelledError)
#: Whether the function that raises an error once more is in its traceback in any case. Since Python 3.11, a bare
#: ``raise`` takes the traceback as it was set just before, and adds nothing to it.
LEAVES_A_FRAME = sys.version_info < (3, 11)
E = TypeVar("E", bound=BaseException)

#: Told of errors that have no frame of a user's beyond the one that has asked: what shows them may leave ours out.
on_own_error: list[Callable[[BaseException], None]] = []


def at_border(function: Callable[P, T]) -> Callable[P, T]:
    """Have a function that users call raise errors without the frames of nbtasks that they came through."""

    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        # For IPython, which does not show such frames.
        __tracebackhide__ = True
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if LEAVES_A_FRAME:
                raise shortened(error)  # noqa: B904 - the same error
            shortened(error)
            raise

    # Tracebacks name it by that.
    asked.__code__ = asked.__code__.replace(co_name=function.__name__)
    return functools.wraps(function)(asked)


def at_awaited_border(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Do the same for a coroutine function."""

    async def awaited(*args: P.args, **kwargs: P.kwargs) -> T:
        __tracebackhide__ = True
        try:
            return await function(*args, **kwargs)
        except BaseException as error:
            if LEAVES_A_FRAME:
                raise shortened(error)  # noqa: B904 - the same error
            shortened(error)
            raise

    awaited.__code__ = awaited.__code__.replace(co_name=function.__name__)
    return functools.wraps(function)(awaited)


def shortened(error: BaseException) -> BaseException:
    """Return an error with the frames that tell users something. One that is our own fault keeps all of them."""
    rest = without_own_frames(error.__traceback__)
    if rest is None and not isinstance(error, _THEIR_DOING):
        return error
    # That one's cause is an exception of the user's task, and part of what it says.
    if isinstance(error, NbtasksError) and not isinstance(error, ChordError):
        _leave_out_own_causes(error)
    if rest is None:
        as_own(error)
    return error.with_traceback(rest)


def as_own(error: E) -> E:
    """Have an error shown without our frames, which are its last ones; returns it."""
    for tell in on_own_error:
        tell(error)
    return error


def _leave_out_own_causes(error: BaseException) -> None:
    """Leave out what was raised on the way to an error whose words say all of it."""
    cause = error.__cause__
    while isinstance(cause, NbtasksError) or (cause is not None and _from_users(cause) is None):
        cause = cause.__cause__
    error.__cause__ = cause
    if cause is not None:
        cause.__traceback__ = _from_users(cause)


def _from_users(error: BaseException) -> TracebackType | None:
    """Return a traceback from the first frame on that is the user's; None where no code of theirs was running."""
    tb = error.__traceback__
    while tb is not None and (is_own(tb.tb_frame) or is_of_library(tb.tb_frame)):
        tb = tb.tb_next
    return tb


def without_last_own(tb: TracebackType | None) -> TracebackType | None:
    """Return a traceback without our frames at its end."""
    places: list[tuple[FrameType, int, int]] = []
    while tb is not None:
        places.append((tb.tb_frame, tb.tb_lasti, tb.tb_lineno))
        tb = tb.tb_next
    while places and is_own(places[-1][0]):
        places.pop()
    for frame, instruction, line in reversed(places):
        tb = TracebackType(tb, frame, instruction, line)
    return tb


def unreadable(call_id: str, name: str, error: BaseException) -> NotPicklable:
    """Return what is said of a value that has arrived and cannot be read."""
    return NotPicklable(
        f"call {call_id} of {name} has succeeded, and its result cannot be read here: {name_of(error)}: "
        f"{text_of(error, 500)}. Define or import here what it is made of and ask again, or return plain values"
    )


def note(error: BaseException, text: str) -> None:
    """Add a line to what an exception shows, where Python can."""
    # The exception may be of a class of the user's, which makes something else of its notes.
    with contextlib.suppress(Exception, SystemExit):
        error.add_note(text)  # type: ignore[attr-defined, unused-ignore]
