"""The texts and the kinds of users' objects.

To ask an object for its text runs code of the user's, and so may ``isinstance()``: it may raise anything, also
``SystemExit``, or give what is no text. Nothing here fails for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard, TypeVar

from .errors import SoftTimeLimitExceeded
from .interruption import Interrupted

T = TypeVar("T")
#: Characters of a text that are worth keeping.
_MOST = 64 * 1024

_name_of_type = type.__dict__["__name__"]


def text_of(value: Any, most: int = _MOST) -> str:
    """Return ``str(value)``, at most ``most`` characters of it."""
    return asked(str, value, most)


def repr_of(value: Any, most: int = _MOST) -> str:
    """Return ``repr(value)``, at most ``most`` characters of it."""
    return asked(repr, value, most)


def name_of(value: Any) -> str:
    """Return the name of a value's class, whatever its metaclass makes of it."""
    return str(_name_of_type.__get__(type(value)))


def is_kind(value: Any, kinds: type[T] | tuple[type[T], ...]) -> TypeGuard[T]:
    """Do as ``isinstance``, but do not ask the value: its ``__class__`` may be code of the user's."""
    return issubclass(type(value), kinds)


def exact(text: str) -> str:
    """Return a text as a plain ``str``: a class that is derived from it may behave otherwise.

    Raises:
        TypeError: it is no text.
    """
    return text if type(text) is str else str.__str__(text)


def asked(how: Callable[[Any], str], value: Any, most: int) -> str:
    """Return what ``how`` makes of a value, at most ``most`` characters of it."""
    try:
        return exact(how(value))[:most]
    except (Interrupted, SoftTimeLimitExceeded):
        # Not of the object: the call in which it is asked is to end.
        raise
    except BaseException:
        return f"<{name_of(value)} without a readable text>"
