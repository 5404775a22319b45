"""What a card says of its call's bars, such as tqdm's: the same for the page and the saved form. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from nbtasks.core.progressbar import ProgressBar

from . import words


@dataclass(frozen=True)
class BarSaid:
    """One bar.

    Attributes:
        share: how much of it is done, from 0 to 1; None where that is not known.
        far: how far it is, in words.
        depth: how many others it runs within.
    """

    description: str
    share: float | None
    far: str
    depth: int


def bar_said(bar: ProgressBar) -> BarSaid:
    """Return what is said of a bar."""
    done = words.amount(bar.done) + (f" / {words.amount(bar.total)}" if bar.total else "")
    parts = [done if bar.unit in {"", "it"} else f"{done} {bar.unit}"]
    if bar.rate and not bar.closed:
        parts.append(words.rate(bar.rate))
        if bar.total and bar.total > bar.done:
            parts.append(words.remaining((bar.total - bar.done) / bar.rate))
    if bar.closed and bar.seconds:
        parts.append(words.duration(bar.seconds))
    if bar.note:
        parts.append(words.one_line(bar.note, 80))
    share = min(1.0, bar.done / bar.total) if bar.total else None
    return BarSaid(words.one_line(bar.description, 60), share, " · ".join(parts), bar.depth)
