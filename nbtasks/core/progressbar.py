"""A bar of a library for progress, such as tqdm, that a call has on show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .wirefields import WireField, WireFields, flag, items, number, number_or_none, text, whole

#: Bars of one call that are told, and characters of what stands beside one.
MOST_BARS = 12
MOST_SAID = 120


@dataclass(frozen=True)
class ProgressBar:
    """One bar.

    Attributes:
        done: in the bar's own unit.
        total: the whole in that unit; None where it is not known.
        description: what stands before it.
        note: what stands behind it, besides numbers and times.
        unit: what is counted, such as ``it`` or ``B``.
        seconds: since it began, until it was closed.
        rate: units a second; None where it is not known.
        depth: 0 for an outer one, 1 for one that runs within it, and so on.
        closed: nothing more comes.
    """

    done: float
    total: float | None = None
    description: str = ""
    note: str = ""
    unit: str = ""
    seconds: float = 0.0
    rate: float | None = None
    depth: int = 0
    closed: bool = False


def all_to_wire(bars: Iterable[ProgressBar]) -> list[dict[str, Any]]:
    """Return bars as JSON types."""
    return [_FIELDS.written(bar) for bar in bars]


def all_from_wire(wire: Any) -> list[ProgressBar]:
    """Read what :func:`all_to_wire` has made.

    Raises:
        ValueError: it makes no sense.
    """
    return [_from_wire(item) for item in items(wire)[:MOST_BARS]]


def _from_wire(wire: Any) -> ProgressBar:
    if type(wire) is not dict:
        raise ValueError(f"{wire!r:.40} is no bar")
    return ProgressBar(**{"done": 0.0, **_FIELDS.read(wire)})


def _line(value: Any) -> str:
    return text(value)[:MOST_SAID]


_FIELDS = WireFields(
    ProgressBar,
    {
        "d": WireField("done", number),
        "n": WireField("total", number_or_none),
        "m": WireField("description", _line),
        "p": WireField("note", _line),
        "u": WireField("unit", _line),
        "s": WireField("seconds", number),
        "r": WireField("rate", number_or_none),
        "l": WireField("depth", whole),
        "c": WireField("closed", flag, int),
    },
)
