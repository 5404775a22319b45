"""The card as it is saved: HTML that stands alone, with a text twin. Pure.

Sanitizers (an untrusted notebook, GitHub) keep inline styles, tables, ``<details>`` and PNG images, and drop style
sheets, SVG, ``data-*`` and ``var()``: so nothing else is needed to read it. What a page shows live has the same
elements in the same order (page/view.js), and the same styles.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from . import mosaic, words
from .barsaid import BarSaid
from .board import FailureGroup, View
from .graphsaved import saved_graph
from .inlined import style
from .looks import LOOKS
from .newest import NewResult
from .paceline import svg
from .paint import Paint
from .pieces import bar_parts, counts, div, escaped, head, span, tag
from .said import FailureSaid, Said, failures_said, said, text_said

_LINE = "rgba(128,134,142,.35)"
#: Lines of output that are seen without unfolding.
_FEW_LINES = 5


@dataclass(frozen=True)
class Preview:
    """The result, as the notebook would show it. Each form is None where the value has none, or it is too big."""

    html: str | None = None
    png: str | None = None  # base64
    text: str | None = None


def html(
    view: View,
    codes: bytes | bytearray,
    preview: Preview | None = None,
    hint: str = "",
    width: int = mosaic.WIDTH,
) -> str:
    """Return the card as HTML.

    Args:
        view: what to show.
        codes: one state code per call.
        preview: the result; it must be the user's own, for its HTML is not escaped.
        hint: one sentence under the card, such as how to go on.
        width: of the mosaic, in CSS pixels.
    """
    told = said(view)
    parts = [
        head(told.title, told.dot, told.shown_state, told.about, told.took),
        div(".nbt-bar", bar_parts(told.bar)),
        counts(told.counts, told.pace, done=told.done, spark=_spark(view)) if told.many else "",
        div(".nbt-reason", escape(told.reason)) if told.reason else "",
        saved_graph(told.graph),
        _squares(told, codes, width),
        div(".nbt-bars", "".join(map(_bar_row, told.bars))) if told.bars else "",
        _failures(failures_said(view), told.more_failures),
        _output(view),
        _newest(told.newest, view.newest),
        _preview(preview) if preview else "",
        div(".nbt-foot", escape(told.hint)) if told.hint else "",
        div(".nbt-note", escape(hint)) if hint else "",
    ]
    return div(".nbt-card", "".join(parts), ".nbt-card *")


def text(view: View) -> str:
    """Return the card as one line, and one more for each kind of failure."""
    lines = [f"{words.short_id(view.id)} {view.title}: {text_said(view)}"]
    if view.reason:
        lines.append(f"  {view.reason}")
    for group in view.failures[:5]:
        times = f"{group.count} x " if view.is_many else ""
        lines.append(f"  {times}{_error_line(group)}")
    return "\n".join(lines)


def _spark(view: View) -> str:
    if view.spark is None:
        return ""
    source = base64.b64encode(svg(view.spark).encode()).decode("ascii")
    label = escape(view.spark.label)
    look = escape(style(".nbt-spark"))
    return f'<img alt="{label}" title="{label}" style="{look}" src="data:image/svg+xml;base64,{source}">'


def _squares(told: Said, codes: bytes | bytearray, width: int) -> str:
    if not told.letters:
        return _mosaic_image(codes, width) if told.many and not told.in_graph else ""
    return div(".nbt-tiles", "".join(map(_tile, told.letters, codes)))


def _tile(letters: str, code: int) -> str:
    look = LOOKS[code]
    own = style(f'.nbt-tile[data-state="{look.state}"]')
    return tag(f'span title="{look.word}"', escape(letters), ".nbt-tile", more=own)


def _mosaic_image(codes: bytes | bytearray, width: int) -> str:
    if not codes:
        return ""
    png, shown_width, height = mosaic.picture(codes, width)
    source = base64.b64encode(png).decode("ascii")
    styles = f"{style('.nbt-mosaic')}width:{shown_width}px;height:{height}px"
    return f'<img alt="one cell per call" style="{escape(styles)}" src="data:image/png;base64,{source}">'


def _bar_row(bar: BarSaid) -> str:
    done = f"width:{100 * (bar.share or 0):.6g}%"
    parts = [
        span(".nbt-row > .nbt-what", escape(bar.description)) if bar.description else "",
        span(".nbt-row > .nbt-mini", tag("i", "", ".nbt-row > .nbt-mini > i", more=done))
        if bar.share is not None
        else "",
        span(".nbt-row > .nbt-far", escape(bar.far)),
    ]
    return div(".nbt-row", " ".join(parts), more=f"padding-left:{14 * bar.depth}px")


def _failures(failures: Sequence[FailureSaid], more: str) -> str:
    if not failures:
        return ""
    note = div(".nbt-note", more) if more else ""
    return div(".nbt-failures", "".join(map(_failure, failures)) + note)


def _failure(failure: FailureSaid) -> str:
    times = span(".nbt-times", failure.times) if failure.times else ""
    kind = tag("b", escape(failure.type), ".nbt-error > b")
    message = escaped(f": {failure.message}") if failure.message else ""
    which = tag("bdi", escape(failure.which), ".nbt-which") if failure.which else ""
    summary = tag("summary", f"{times}<bdi>{kind}{message}</bdi>{which}", ".nbt-failure > summary")
    return tag(
        "details open" if failure.open else "details", summary + _traceback(failure.details), ".nbt-failure"
    )


def _traceback(content: str) -> str:
    return tag("pre", escaped(content), ".nbt-card pre.nbt-traceback")


def _output(view: View) -> str:
    if not view.output:
        return ""
    lines = [_output_line(*line) for line in view.output]
    shown = tag("pre", "".join(lines[-_FEW_LINES:]), ".nbt-card pre.nbt-lines")
    if len(lines) > _FEW_LINES:
        summary = tag("summary", f"show {len(lines)} lines", ".nbt-more")
        every = tag(
            "pre",
            "".join(lines),
            ".nbt-card pre.nbt-lines",
            more="display:block;max-height:360px;overflow:auto",
        )
        shown += f"<details>{summary}{every}</details>"
    return div(".nbt-output", shown)


def _output_line(_index: int, stream: str, line: str, paint: Paint, name: str) -> str:
    prefix = tag("i", f"<bdi>{escape(name)}</bdi>", ".nbt-line > i") if name else ""
    content = f"<span>{_painted(line, paint)}</span>"
    colour = style('.nbt-line[data-stream="stderr"]') if stream == "stderr" else ""
    return div(".nbt-line", prefix + content, more=colour)


def _painted(line: str, paint: Paint) -> str:
    parts, at = [], 0
    for length, css in paint:
        part = escape(line[at : at + length])
        parts.append(f'<span style="{css}">{part}</span>' if css else part)
        at += length
    return "".join(parts) + escape(line[at:])


def _newest(title: str, results: Sequence[NewResult]) -> str:
    if not results:
        return ""
    return div(".nbt-newest", span(".nbt-newest-title", title) + "".join(map(_result, results)))


def _result(result: NewResult) -> str:
    what = span(".nbt-result-what", f"<bdi>{escape(result.what)}</bdi>")
    if result.png is None:
        return div(".nbt-result", what + tag("pre", escaped(result.text), ".nbt-card pre.nbt-short"))
    label, source = escape(f"result of {result.what}"), escape(result.png)
    look = escape(style(".nbt-result > img"))
    image = f'<img alt="{label}" style="{look}" src="data:image/png;base64,{source}">'
    return div(".nbt-result", what + image)


def _preview(preview: Preview) -> str:
    if preview.html is not None:
        return div(".nbt-preview", preview.html)
    if preview.png is not None:
        source = escape(preview.png.replace("\n", ""), quote=True)
        image = (
            f'<img alt="result" style="{style(".nbt-preview > img")}" src="data:image/png;base64,{source}">'
        )
        return div(".nbt-preview", image)
    return (
        div(".nbt-preview", tag("pre", escaped(preview.text), ".nbt-card pre.nbt-value"))
        if preview.text is not None
        else ""
    )


def _error_line(group: FailureGroup) -> str:
    first = group.message.partition("\n")[0]
    return f"{group.type}: {first}" if first else group.type


def table(
    title: str, columns: Iterable[str], rows: Sequence[Iterable[str]], notes: Iterable[str] = ()
) -> str:
    """Return a plain HTML table with sentences below it; everything is escaped."""
    line = (
        f"padding:3px 16px 3px 0;text-align:left;border:0;border-bottom:1px solid {_LINE};vertical-align:top;"
        "white-space:nowrap"
    )
    plain = "background:transparent"
    head = (
        f'<div style="margin-bottom:4px"><b style="font-weight:600">{escape(title)}</b></div>'
        if title
        else ""
    )
    names = "".join(f'<th style="{line};font-weight:600;opacity:.7">{escape(name)}</th>' for name in columns)
    lines = [
        "".join(f'<td style="{line}">{escape(value)}</td>' for value in row)
        for row in rows
    ]  # fmt: skip
    body = "".join(f'<tr style="{plain}">{cells}</tr>' for cells in [names, *lines]) if rows else ""
    grid = f'<table style="border-collapse:collapse;margin:0">{body}</table>' if rows else ""
    # On a narrow page it scrolls, and no cell breaks where it may not.
    grid = f'<div style="overflow-x:auto;max-width:100%">{grid}</div>' if rows else ""
    below = "".join(f'<div style="margin-top:4px;opacity:.75">{escape(note)}</div>' for note in notes)
    return f'<div style="margin:2px 0 4px;font-size:13px;line-height:1.45">{head}{grid}{below}</div>'
