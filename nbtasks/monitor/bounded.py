"""Texts of others, within bounds: whoever shows them shows them as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Characters of a name, of what is said in a row, of a failure.
NAME, ROW, ERROR = 200, 200, 300
_LATEST_S = 1e11


def short(text: object, most: int = NAME) -> str:
    """Return a text, cut to so many characters; of anything else nothing."""
    if not isinstance(text, str):
        return ""
    # Halves of surrogate pairs can be written nowhere.
    text = text[: most + 1].encode(errors="replace").decode()
    return text if len(text) <= most else f"{text[: most - 1]}…"


def seconds(value: object) -> float | None:
    """Return seconds, or epoch seconds; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LATEST_S:
        return None
    return float(value)


class Filters:
    """What is asked for, as a page has it: anything may stand there."""

    def __init__(self, given: Mapping[str, Any] | None) -> None:
        self._given = given if isinstance(given, Mapping) else {}

    def text(self, name: str) -> str:
        """Return a text, empty where there is none."""
        return short(self._given.get(name))

    def moment(self, name: str) -> float | None:
        """Return seconds, or epoch seconds; None where there are none."""
        return seconds(self._given.get(name))

    def count(self, name: str, default: int, most: int) -> int:
        """Return a number from 1 on."""
        value = self._given.get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            return default
        return max(1, min(value, most))
