"""The word that somebody has meant who has mistyped it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import SequenceMatcher

#: How much of a word must be right, from 0 to 1. With less, other words would be suggested that share some letters.
_LEAST = 0.75


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like ``word``, of several the first; None where none is really near."""
    letters = _letters(word)
    likeness = {one: _likeness(letters, _letters(one)) for one in known}
    near = max(likeness, key=lambda one: likeness[one], default=None)
    return near if near is not None and likeness[near] >= _LEAST else None


def _letters(word: str) -> str:
    # What all options begin with makes none of them more alike.
    return word.lower().replace("-", "").replace("_", "")


def _likeness(one: str, other: str) -> float:
    if not one or not other:
        return 0.0
    # In a short word two letters that have changed places are half of it.
    if len(one) > 2 and sorted(one) == sorted(other):
        return 1.0
    return SequenceMatcher(None, one, other).ratio()


def meant_or_known(word: str, known: Collection[str], more: Iterable[str] = ()) -> str:
    """Return which of the known words was meant, or all of them; ``more`` are known, too, and are not listed."""
    near = nearest(word, [*known, *more])
    return f"did you mean {near!r}?" if near else f"there are {', '.join(known)}"


def unknown(what: str, name: str, known: set[str]) -> str:
    """Say that there is no such word; ``what`` is of what."""
    near = nearest(name, sorted(known))
    hint = f"; did you mean {near!r}?" if near else f"; known are {', '.join(sorted(known))}"
    return f"unknown {what} {name!r}{hint}"
