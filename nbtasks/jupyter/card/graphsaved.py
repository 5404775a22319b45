"""The graph of a workflow in the saved card. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from .graph import GraphRow
from .graphlanes import svg
from .inlined import style
from .pieces import div, ground, span, swatch, tag


def saved_graph(rows: Sequence[GraphRow]) -> str:
    """Return the rows as HTML; empty where there are none."""
    return div(".nbt-graph", "".join(map(_row, rows))) if rows else ""


def _row(row: GraphRow) -> str:
    parts = [
        _lines(row) if row.width else "",
        swatch(row.state, ".nbt-step > img") if row.width else "",
        span(".nbt-step > .nbt-step-name", f"<bdi>{escape(row.name)}</bdi>"),
        span(".nbt-squares-of", "".join(swatch(state, ".nbt-squares-of > img") for state in row.squares))
        if row.squares
        else "",
        span(".nbt-step > .nbt-mini", "".join(_part(*part) for part in row.parts)) if row.parts else "",
        span(".nbt-step > .nbt-far", escape(row.said)),
    ]
    return div(".nbt-step", "".join(parts))


def _lines(row: GraphRow) -> str:
    source = base64.b64encode(svg(row.path, row.at, row.width).encode()).decode("ascii")
    look = escape(style(".nbt-step > .nbt-lanes"))
    return f'<img alt="" style="{look}" src="data:image/svg+xml;base64,{source}">'


def _part(state: str, share: float) -> str:
    return tag("i", "", ".nbt-step > .nbt-mini > i", more=f"width:{100 * share:.6g}%;{ground(state)}")
