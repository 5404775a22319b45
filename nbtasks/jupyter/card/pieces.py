"""Pieces of saved HTML that cards and lists of runs share. Pure; what is given as content must be escaped already."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from nbtasks.core import stencils

from .inlined import style
from .looks import LOOK_OF, SWATCH
from .said import Bar, Count


def escaped(text: str) -> str:
    """Return text of several lines as HTML without line ends: in Markdown, a card would end at an empty line."""
    return escape(text).replace("\n", "&#10;")


def tag(name: str, content: str, *selectors: str, more: str = "") -> str:
    """Return an element with the styles that the style sheet has under these selectors, and some of its own.

    Args:
        name: of the element, with attributes if need be.
        more: styles.
    """
    styles = "".join(style(selector) for selector in selectors) + more
    return f'<{name} style="{escape(styles)}">{content}</{name.split(maxsplit=1)[0]}>'


def div(selector: str, content: str, *selectors: str, more: str = "") -> str:
    """Return a ``div``."""
    return tag("div", content, selector, *selectors, more=more)


def span(selector: str, content: str, more: str = "") -> str:
    """Return a ``span``."""
    return tag("span", content, selector, more=more)


def ground(state: str) -> str:
    """Return the style of what has the colour of a state."""
    return f"background:{LOOK_OF[state].css}"


def head(title: str, dot: str, state: str, about: str, took: str) -> str:
    """Return the first line. What is given is text."""
    spot = span(".nbt-dot", "", ground(dot))
    # What people write may run from right to left, and must not take along what stands beside it.
    parts = [
        span(".nbt-title", f"{spot}<bdi>{escape(title)}</bdi>"),
        span(".nbt-state", state),
        span(".nbt-meta", escape(about)),
        span(".nbt-time", took),
    ]
    return div(".nbt-head", " ".join(parts))


def bar_parts(bar: Bar) -> str:
    """Return what is within a bar."""
    return "".join(
        tag("i", "", ".nbt-bar > i", more=f"width:{100 * share:.6g}%;{ground(state)}{_stripes(state, bar)}")
        for state, share in bar.parts
    )


def swatch(state: str, selector: str = ".nbt-count > img") -> str:
    """Return the square of a state as a picture."""
    source = base64.b64encode(stencils.swatch(state, SWATCH)).decode("ascii")
    look = escape(style(selector))
    return f'<img alt="" style="{look}" src="data:image/png;base64,{source}">'


def _stripes(state: str, bar: Bar) -> str:
    return ";" + style(".nbt-bar > .nbt-busy") if state in bar.busy else ""


def counts(told: Sequence[Count], pace: str, *, done: bool, spark: str = "") -> str:
    """Return the line of counts, with what is said of the pace, and an image of that."""
    cells = [
        span(
            ".nbt-count",
            swatch(count.state) + tag("b", count.number, ".nbt-count > b") + f" {count.word}",
        )
        for count in told
    ]
    more = style(".nbt-end") if done else ""
    said = span(".nbt-pace", escape(pace), more)
    # At the end, what is said has a line of its own.
    return div(".nbt-counts", " ".join([*cells, *([spark, said] if done else [said, spark])]))
