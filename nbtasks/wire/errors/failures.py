"""How a failed call travels: its exception with causes and members, its traceback as frames and as text."""

from __future__ import annotations

import builtins
import contextlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from nbtasks.core.errors import CallError, TaskError
from nbtasks.core.happenings import MOST_ERROR
from nbtasks.core.plaintext import on_one_line
from nbtasks.core.readable import is_kind, name_of, text_of
from nbtasks.wire import pickling

from . import tracebacks, variables
from .likeness import likeness
from .links import MOST, Links, join, members, own, walk

_MOST_TEXT = 64 * 1024
#: Bytes of exceptions that travel with one as such; of the others there is the text.
_MOST_BYTES = 32 * _MOST_TEXT
#: Frames that travel with an exception and what it hangs together with; the innermost of each are kept.
_MOST_FRAMES = 400
#: Frames of each that its text is made of.
_MOST_SHOWN = 2000
#: What printing an exception follows.
_LINKS = frozenset(
    {"__cause__", "__context__", "__suppress_context__", "__traceback__", "__notes__", "exceptions"}
)


@dataclass(frozen=True)
class FailureData:
    """A failed call as it is read.

    Attributes:
        type_name: class name of the exception.
        message: its text.
        text: the worker's traceback as Python prints it.
        pickled: the exception, or None where it could not travel.
        frames: the traceback as data, for tracebacks.py.
        notes: what was added to it.
        group: the message of an exception group, or None.
        others: the exceptions that it hangs together with, which have no text and no others themselves.
        links: how it (first) and the others are linked; empty where there are none.
        variables: of its last frames, for variables.py; empty where none have travelled.
    """

    type_name: str
    message: str
    text: str
    pickled: bytes | None
    frames: list[tracebacks.FrameData]
    notes: list[str] = field(default_factory=list)
    group: str | None = None
    others: list[FailureData] = field(default_factory=list)
    links: list[Links] = field(default_factory=list)
    variables: bytes = b""


def pack(error: BaseException, with_traceback: bool = True, told: bytes = b"") -> bytes:
    """Return an exception as a payload. Never fails: what cannot travel is left out.

    An exception may be of a class of the user's, whose attributes and texts are code: they may raise anything too.

    Args:
        told: the variables of its frames, as :func:`variables_of` returns them.
    """
    errors, links = walk(error) if with_traceback else ([error], [])
    first, *others = _facts(errors, with_traceback)
    first["text"] = _format(error, _traceback_of(error) if with_traceback else None)
    if told:
        first["variables"] = told
    if others or (links and links[0].suppress):
        first |= {"others": others, "links": [tuple(link) for link in links]}
    return pickling.dump_plain(first)


def _facts(errors: Sequence[BaseException], with_traceback: bool) -> list[dict[str, Any]]:
    facts, bytes_left, frames_left = [], _MOST_BYTES, _MOST_FRAMES
    for error in errors:
        data = likeness(error) if bytes_left > 0 else None
        pickled = data if data is not None and len(data) <= bytes_left else None
        frames = _frames(_traceback_of(error))[-frames_left:] if with_traceback and frames_left else []
        bytes_left -= len(pickled or b"")
        frames_left -= len(frames)
        fact = {
            "type": name_of(error),
            "message": text_of(error, _MOST_TEXT),
            "pickled": pickled,
            "frames": frames,
        }
        facts.append({**fact, **_additions(error)})
    return facts


def _frames(of: TracebackType | None) -> list[tracebacks.FrameData]:
    with contextlib.suppress(Exception):
        return tracebacks.to_data(of)
    return []


def variables_of(error: BaseException, most: int) -> bytes:
    """Return the variables of an error's frames in ``most`` bytes; empty where there are none, or they are too much.

    Objects are asked for their texts, which may take for ever.
    """
    with contextlib.suppress(Exception):
        packed = variables.pack(_traceback_of(error))
        return packed if len(packed) <= most else b""
    return b""


def _additions(error: BaseException) -> dict[str, Any]:
    """Return what only some exceptions have."""
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        notes = vars(error).get("__notes__")
        if type(notes) is list:
            found["notes"] = [text_of(note, _MOST_TEXT) for note in notes[:MOST]]
        if members(error):
            found["group"] = text_of(BaseException.__dict__["args"].__get__(error)[0], _MOST_TEXT)
    return found


def text_with_traceback(error: BaseException) -> str:
    """Return an exception as Python prints it, without frames of nbtasks. Never fails."""
    return _format(error, _traceback_of(error))


def in_short(payload: bytes | memoryview) -> str:
    """Return a verified payload of :func:`pack` as one short line."""
    data = pickling.load_plain(payload)
    return on_one_line(f"{data['type']}: {data['message'][:MOST_ERROR]}", MOST_ERROR)


def unpack(payload: bytes | memoryview) -> FailureData:
    """Read a verified payload of :func:`pack`."""
    data = pickling.load_plain(payload)
    others = [_failure(other) for other in data.get("others", ())]
    return _failure(data, others, [Links(*link) for link in data.get("links", ())])


def _failure(
    data: dict[str, Any], others: Sequence[FailureData] = (), links: Sequence[Links] = ()
) -> FailureData:
    return FailureData(
        data["type"], data["message"], data.get("text", ""), data["pickled"], data["frames"],
        data.get("notes", []), data.get("group"), list(others), list(links), data.get("variables", b""),
    )  # fmt: skip


def rebuild(failure: FailureData, call_id: str) -> BaseException:
    """Return the original exception with the worker's traceback and causes, or a TaskError in its place."""
    errors = _Rebuilding(failure, call_id).errors()
    for one, error in zip([failure, *failure.others], errors, strict=True):
        with contextlib.suppress(Exception):
            error.__traceback__ = tracebacks.from_data(one.frames, _seen(one))
    join(errors, failure.links)
    error = errors[0]
    if isinstance(error, CallError) and not error.call_id:
        error.call_id = call_id
    return error


def _seen(failure: FailureData) -> Sequence[tracebacks.Variables]:
    with contextlib.suppress(Exception):
        return variables.unpack(failure.variables)
    return ()


class _Rebuilding:
    """Makes exceptions of a failure and its others; members of a group are those that the group has."""

    def __init__(self, failure: FailureData, call_id: str) -> None:
        self._call_id = call_id
        self._failures = [failure, *failure.others]
        self._links = failure.links or [Links(None, None, False, ())]
        self._made: dict[int, BaseException] = {}

    def errors(self) -> list[BaseException]:
        """Return the exceptions, in their order."""
        return [self._error(place) for place in range(len(self._failures))]

    def _error(self, place: int) -> BaseException:
        if place not in self._made:
            failure = self._failures[place]
            error = None if failure.pickled is None else _loaded(failure.pickled)
            # What they have caused does not end who asks for the result.
            if not isinstance(error, BaseException) or (not place and _is_an_end(error)):
                error = self._group(place) or self._in_words(failure)
            self._made[place] = error
            for member, inside in zip(self._links[place].members, members(error), strict=False):
                if member is not None:
                    self._made.setdefault(member, inside)
        return self._made[place]

    def _group(self, place: int) -> BaseException | None:
        """Return a group of which only the members can be rebuilt."""
        failure, places = self._failures[place], self._links[place].members
        if failure.group is None or not places:
            return None
        # In a group that contains itself, which only a class of the user's can be.
        self._made[place] = self._in_words(failure)
        inside = [self._error(member) for member in places if member is not None]
        with contextlib.suppress(Exception):
            group: Any = builtins.BaseExceptionGroup(failure.group, inside)  # type: ignore[attr-defined, unused-ignore]
            return group if isinstance(group, BaseException) else None
        return None

    def _in_words(self, failure: FailureData) -> TaskError:
        said = f"{failure.type_name}: {failure.message}"
        error = TaskError(said, self._call_id, failure.type_name, failure.text)
        if failure.notes:
            error.__notes__ = failure.notes  # type: ignore[attr-defined, unused-ignore]
        return error


def _is_an_end(error: BaseException) -> bool:
    """Whether an exception would have who asks for the result end, or think that somebody has stopped it."""
    asyncio = sys.modules.get("asyncio.exceptions")
    cancelled = (asyncio.CancelledError,) if asyncio is not None else ()
    return is_kind(error, (SystemExit, KeyboardInterrupt, GeneratorExit, *cancelled))


def _loaded(data: bytes) -> Any:
    """Return what was pickled; None where it cannot be read, whatever its class raises then."""
    try:
        return pickling.loads(data)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


def _traceback_of(error: BaseException) -> TracebackType | None:
    try:
        shown = tracebacks.without_own_frames(own(error, "__traceback__"))
        kept = tracebacks.innermost(shown, _MOST_SHOWN)
        if kept is not shown:
            # For who prints the exceptions that follow from it, too.
            BaseException.__dict__["__traceback__"].__set__(error, kept)
        return kept
    except Exception:
        return None


def _format(error: BaseException, shown: TracebackType | None) -> str:
    with contextlib.suppress(BaseException):
        if _is_plainly_linked(error):
            return "".join(traceback.format_exception(type(error), error, shown))[-_MOST_TEXT:]
    frames = ""
    with contextlib.suppress(Exception):
        frames = "".join(traceback.format_tb(shown, -MOST))
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
        if len(seen) > MOST or not _is_plain(one):
            return False
        linked = [own(one, "__cause__"), own(one, "__context__"), *members(one)]
        to_see += [other for other in linked if isinstance(other, BaseException)]
    return True


def _is_plain(error: BaseException) -> bool:
    notes = vars(error).get("__notes__", [])
    of_users = (kind for kind in type(error).__mro__ if kind.__module__ != "builtins")
    return (
        type(notes) is list
        and len(notes) <= MOST
        and not any(_LINKS.intersection(vars(kind)) for kind in of_users)
    )
