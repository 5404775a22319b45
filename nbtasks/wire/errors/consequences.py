"""A failure that follows from another one, whose exception nobody has to rebuild for that: it may be of any class."""

from __future__ import annotations

from nbtasks.core.errors import NbtasksError
from nbtasks.wire import pickling

from . import failures
from .links import MOST, Links

_WAS_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
#: What an exception has among those that another one hangs together with.
_OF_OTHERS = ("type", "message", "pickled", "frames", "notes", "group")
#: Characters.
_MOST_TEXT = 64 * 1024
_MOST_SAID = 500


def caused_by(error: NbtasksError, cause: bytes | memoryview) -> bytes:
    """Return an error as a payload, with the failure in another payload as its cause; that may be empty."""
    if not cause:
        return failures.pack(error, with_traceback=False)
    first = pickling.load_plain(failures.pack(error, with_traceback=False))
    before = pickling.load_plain(cause)
    others = [{key: before[key] for key in _OF_OTHERS if key in before}, *before.get("others", ())]
    links = before.get("links") or [Links(None, None, False, ())]
    first["others"] = others[: MOST - 1]
    first["links"] = [(1, None, True, ()), *(_moved(Links(*link), len(first["others"])) for link in links)]
    first["text"] = (before.get("text", "") + _WAS_CAUSE + first["text"])[-_MOST_TEXT:]
    return pickling.dump_plain(first)


def is_kind_of(payload: bytes | memoryview, kind: type[NbtasksError]) -> bool:
    """Whether a payload says of a failure that it is of a class of ours."""
    return bool(payload) and failures.unpack(payload).type_name == kind.__name__


def said_of(payload: bytes | memoryview, revoked: bool) -> str:
    """Return in a few words what a payload says of how a call has failed."""
    if not payload:
        return "was revoked" if revoked else "has failed"
    failure = failures.unpack(payload)
    if revoked:
        return f"was revoked ({failure.message[:_MOST_SAID]})"
    return f"raised {failure.type_name}: {failure.message[:_MOST_SAID]}"


def _moved(link: Links, others: int) -> tuple[int | None, int | None, bool, tuple[int | None, ...]]:
    """Return a link whose places are one further on; None for what is not there any more."""

    def place(before: int | None) -> int | None:
        return before + 1 if before is not None and before < others else None

    return place(link.cause), place(link.context), link.suppress, tuple(map(place, link.members))
