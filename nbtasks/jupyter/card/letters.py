"""What stands in the squares of few calls: where their items begin to differ. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Calls whose squares are large enough for letters, and letters in each.
MOST_LETTERED = 40
_MOST_LETTERS = 5
_NAME = re.compile(r"(?:\A|(?<=, ))[^\W\d]\w*=")
_QUOTES = re.compile("['\"]")
_WORD = re.compile(r"\w+\Z")
_AROUND = " '\"()[]{}<>,;:=/._-"


def letters_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Return some letters of each call.

    Args:
        labels: what each call is called, such as ``n=17``; empty where that is not known.
    """
    items = [_NAME.sub("", label) for label in labels]
    same = _same_begin(items)
    return tuple(_begin(item[same:]) or _begin(item) or str(number) for number, item in enumerate(items))


def _same_begin(items: Sequence[str]) -> int:
    """Return how many characters all have in common; words and numbers are not taken apart."""
    first, last = min(items, default=""), max(items, default="")
    if first == last:
        return 0
    alike = (one == other for one, other in zip(first, last, strict=False))
    same = next((place for place, like in enumerate(alike) if not like), len(first))
    return len(_WORD.sub("", first[:same]))


def _begin(text: str) -> str:
    return _QUOTES.sub("", text.strip(_AROUND))[:_MOST_LETTERS].strip()
