"""A list of runs as it is saved: HTML that stands alone, as a card's saved form does, with a text twin. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from nbtasks.jupyter.card import pieces

from .listsaid import ListSaid, RowOfRun

_MOST_TITLE = 60


def html(told: ListSaid, rows: Sequence[RowOfRun], hint: str = "") -> str:
    """Return the list as HTML.

    Args:
        hint: one sentence under it.
    """
    parts = [
        pieces.head(told.title, told.dot, told.state, "", told.took),
        pieces.div(".nbt-bar", pieces.bar_parts(told.bar)),
        pieces.counts(told.counts, "", done=False),
        pieces.div(".nbt-runs", "".join(map(_row, rows))),
        *(pieces.div(".nbt-note", escape(note)) for note in (told.more, hint) if note),
    ]
    return pieces.div(".nbt-card", "".join(parts), ".nbt-card *")


def text(told: ListSaid, rows: Sequence[RowOfRun]) -> str:
    """Return the list as lines of text."""
    lines = [f"{told.title}: {told.state}" + (f", {told.took}" if told.took else "")]
    titles = [row.title[:_MOST_TITLE] for row in rows]
    width = max(map(len, titles), default=0)
    for title, row in zip(titles, rows, strict=True):
        cells = (f"{row.ended} ended", row.bad, row.took or row.state)
        lines.append(f"  {title.ljust(width)}  {', '.join(filter(None, cells))}")
    return "\n".join([*lines, *([told.more] if told.more else [])])


def _row(row: RowOfRun) -> str:
    dot = pieces.span(".nbt-dot", "", pieces.ground(row.dot))
    parts = [
        pieces.span(".nbt-run > .nbt-what", f"{dot}<bdi>{escape(row.title)}</bdi>"),
        pieces.tag("span", pieces.bar_parts(row.bar), ".nbt-bar", ".nbt-run > .nbt-bar"),
        pieces.span(".nbt-run > .nbt-ended", row.ended),
        pieces.span(".nbt-run > .nbt-bad", row.bad),
        pieces.span(".nbt-run > .nbt-took", row.took),
    ]
    return pieces.div(".nbt-run", " ".join(parts))
