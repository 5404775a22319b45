"""The timeline of a batch, as a handle gives it: shown in notebooks, saved as a file."""

from __future__ import annotations

import base64
import time
import uuid
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from nbtasks.client.batches.shown import which_call
from nbtasks.core import states
from nbtasks.core.appearance import WORDS
from nbtasks.core.stencils import swatch

from .drawing import BAR, Box, Drawing
from .spans import Span, Spans, spans_of

if TYPE_CHECKING:
    from nbtasks.client.batches.ledger import Ledger

#: Bars that say what they are when they are pointed at.
_MOST_POINTED_AT = 600
#: The order of the legend.
_SHOWN = (states.SUCCESS, states.FAILURE, states.REVOKED, states.STARTED, states.RETRY)


class Timeline:
    """When the calls of a batch ran, and on which child.

    At the end of a cell it is shown as it is then. A thin line before a bar is the time that its call waited.
    """

    def __init__(self, batch: Ledger) -> None:
        self._batch = batch

    def __repr__(self) -> str:
        spans = self.spans()
        return (
            f"<Timeline of {self._batch.name}: {self._batch.n:,} calls, {len(spans.lanes)} children, "
            f"{spans.ended_at - spans.began_at:.2f} s>"
        )

    def spans(self) -> Spans:
        """Return what it shows, as data."""
        return spans_of(self._batch, time.time())

    def save(self, path: str | Path) -> None:
        """Write it to a file: HTML where the name ends so, else a PNG picture."""
        path = Path(path)
        if path.suffix.lower() in {".html", ".htm"}:
            path.write_text(f"<!doctype html><meta charset=utf-8>{self._repr_html_()}\n", encoding="utf-8")
        else:
            path.write_bytes(self._repr_png_())

    def _repr_png_(self) -> bytes:
        return Drawing(self.spans()).png()

    def _repr_html_(self) -> str:
        spans = self.spans()
        drawing = Drawing(spans)
        name = f"nbt-{uuid.uuid4().hex[:12]}"
        source = base64.b64encode(drawing.png()).decode("ascii")
        areas = "".join(self._area(box, spans) for box in drawing.boxes[:_MOST_POINTED_AT])
        what = f"{self._batch.title}: {self._batch.n:,} calls"
        hidden = f", {spans.hidden:,} of them on children that are not shown" if spans.hidden else ""
        shown = sorted({state for box in drawing.boxes for state in box.span.counts()}, key=_SHOWN.index)
        # An image with a map, for a notebook of somebody else shows no SVG and no scripts.
        return (
            f'<div style="font-size:13px;line-height:1.45"><div><b style="font-weight:600">{escape(what)}</b>'
            f'<span style="opacity:.7"> in {spans.ended_at - spans.began_at:.2f} s{hidden}</span>'
            f"{''.join(map(_legend, shown))}</div>"
            f'<div style="overflow-x:auto"><img alt="timeline" usemap="#{name}" width="{drawing.width}" '
            f'height="{drawing.height}" style="max-width:none;margin-top:6px" src="data:image/png;base64,{source}">'
            f'<map name="{name}">{areas}</map></div></div>'
        )

    def _area(self, box: Box, spans: Spans) -> str:
        span = box.span
        told = [said_of_span(span, which_call(self._batch, span.first)), spans.lanes[span.lane].name]
        told.append(f"{span.began_at - spans.began_at:.3f} to {span.ended_at - spans.began_at:.3f} s")
        place = f"{box.left},{box.top},{max(box.right, box.left + 2)},{box.bottom}"
        return f'<area shape="rect" coords="{place}" title="{escape(", ".join(told), quote=True)}">'


def said_of_span(span: Span, first: str) -> str:
    """Return whose time it is, and how they have ended: ``n=17: failed``, ``62 calls: 61 done, 1 failed: n=17``.

    Args:
        first: what the call is called that it opens.
    """
    if span.count == 1:
        return f"{first}: {WORDS[span.state]}"
    counts = [f"{n:,} {WORDS[state]}" for state, n in span.counts().items()]
    if not span.others:
        return f"{span.count:,} calls: {WORDS[span.state]}, one of them {first}"
    alone = span.others[0][1] == 1
    return f"{span.count:,} calls: {', '.join(counts)}{': ' if alone else ', one of them '}{first}"


def _legend(state: str) -> str:
    source = base64.b64encode(swatch(state, BAR)).decode("ascii")
    look = "display:inline-block;margin:0 5px 0 0;vertical-align:baseline;image-rendering:pixelated"
    return (
        f'<span style="margin-left:14px;white-space:nowrap"><img alt="" width="{BAR}" height="{BAR}" style="{look}" '
        f'src="data:image/png;base64,{source}"><span style="opacity:.7">{WORDS[state]}</span></span>'
    )
