"""What a card says of its call's bars, such as tqdm's: the same for the page and the saved form. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

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


def saved_bar(bar: BarSaid, line: str, colour: str) -> str:
    """Return a bar of the saved form.

    Args:
        line: the colour of its ground.
        colour: that of what is done.
    """
    indent = f"padding-left:{14 * bar.depth}px"
    text = f'<span style="margin-right:8px">{escape(bar.description)}</span>' if bar.description else ""
    share = f'<span style="display:block;height:4px;width:{100 * (bar.share or 0):.4g}%;background:{colour}"></span>'
    ground = (
        "display:inline-block;vertical-align:middle;width:110px;height:4px;margin-right:8px;border-radius:2px;"
        f"overflow:hidden;background:{line};font-size:0;line-height:0"
    )
    mini = f'<span style="{ground}">{share}</span>' if bar.share is not None else ""
    far = f'<span style="opacity:.7">{escape(bar.far)}</span>'
    return f'<div style="font-size:12px;line-height:20px;{indent}">{text}{mini}{far}</div>'
