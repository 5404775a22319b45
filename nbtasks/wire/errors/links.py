"""What hangs together with an exception: its cause, its context, the members of a group; as numbers, and back.

Only what Python itself keeps is followed: a class of the user's may have laid code over the names.
"""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

#: Exceptions that travel with one, itself included.
MOST = 50

_GROUP: Any = getattr(builtins, "BaseExceptionGroup", ())


class Links(NamedTuple):
    """What one exception is linked to, as places in the list of all; None for nothing, and what was too much."""

    cause: int | None
    context: int | None
    suppress: bool
    members: tuple[int | None, ...]


def walk(error: BaseException) -> tuple[list[BaseException], list[Links]]:
    """Return an exception with those it hangs together with, the nearest first, and the links of each."""
    found, places = [error], {id(error): 0}

    def place(other: Any) -> int | None:
        if not isinstance(other, BaseException):
            return None
        if id(other) not in places and len(found) < MOST:
            places[id(other)] = len(found)
            found.append(other)
        return places.get(id(other))

    links = []
    for one in found:
        cause, context = place(own(one, "__cause__")), place(own(one, "__context__"))
        suppress = bool(own(one, "__suppress_context__"))
        links.append(Links(cause, context, suppress, tuple(map(place, members(one)))))
    return found, links


def join(errors: Sequence[BaseException], links: Sequence[Links]) -> None:
    """Link exceptions as :func:`walk` has found them."""
    for error, link in zip(errors, links, strict=False):
        with contextlib.suppress(Exception):
            _link(error, "__context__", _at(errors, link.context))
            _link(error, "__cause__", _at(errors, link.cause))
            # To set a cause sets this as well.
            _link(error, "__suppress_context__", link.suppress)


def own(error: BaseException, name: str) -> Any:
    """Return what Python itself keeps with an exception, whatever its class makes of the name."""
    return BaseException.__dict__[name].__get__(error)


def members(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions of an exception group."""
    if not _GROUP or not isinstance(error, _GROUP):
        return ()
    found: tuple[BaseException, ...] = _GROUP.__dict__["exceptions"].__get__(error)
    return found[:MOST]


def _at(errors: Sequence[BaseException], place: int | None) -> BaseException | None:
    return None if place is None else errors[place]


def _link(error: BaseException, name: str, value: Any) -> None:
    BaseException.__dict__[name].__set__(error, value)
