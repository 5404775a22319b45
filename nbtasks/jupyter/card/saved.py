"""The card as it is saved: HTML that stands alone, with a text twin. Pure.

Sanitizers (an untrusted notebook, GitHub) keep inline styles, tables, ``<details>`` and PNG images, and drop style
sheets, SVG, ``data-*`` and ``var()``: so nothing else is used. Colours are readable on light and dark; text takes
the page's own.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from nbtasks.core import states

from . import mosaic, words
from .barsaid import saved_bar
from .board import FailureGroup, View
from .looks import LOOK_OF
from .said import Bar, FailureSaid, Said, failures_said, is_many, said, shown_state, text_counts

_LINE = "rgba(128,134,142,.35)"
_SUNK = "rgba(128,134,142,.1)"
_MONO = "font:11.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
_SHOWN_LINES = 5


@dataclass(frozen=True)
class Preview:
    """The result, as the notebook would show it. Each form is None where the value has none, or it is too big."""

    html: str | None = None
    png: str | None = None  # base64
    text: str | None = None


def html(view: View, codes: bytes | bytearray, preview: Preview | None = None, hint: str = "") -> str:
    """Return the card as HTML.

    Args:
        view: what to show.
        codes: one state code per call.
        preview: the result; it must be the user's own, for its HTML is not escaped.
        hint: one sentence under the card, such as how to go on.
    """
    told = said(view)
    parts = [
        _head(told),
        _bar(told.bar),
        _counts(told) if told.many else "",
        _boxed(escape(told.reason), LOOK_OF[states.RETRY].saved) if told.reason else "",
        _mosaic_image(codes) if told.many else "",
        *(saved_bar(bar, _LINE, LOOK_OF[states.STARTED].saved) for bar in told.bars),
        *(_failure(failure) for failure in failures_said(view)),
        f'<div style="margin-top:6px;opacity:.7">{told.more_failures}</div>' if told.more_failures else "",
        _output(view, many=told.many),
        _preview(preview) if preview else "",
        f'<div style="margin-top:6px;font-size:12px;opacity:.7">{escape(hint)}</div>' if hint else "",
    ]
    style = (
        f"box-sizing:border-box;max-width:780px;margin:2px 0 4px;padding:11px 14px 12px;border:1px solid {_LINE};"
        "border-radius:7px;font-size:13px;line-height:1.45"
    )
    return f'<div style="{style}">{"".join(parts)}</div>'


def text(view: View) -> str:
    """Return the card as one line, and one more for each kind of failure."""
    lines = [f"{words.short_id(view.id)} {shown_state(view)} {view.title} ({text_counts(view)})"]
    if view.reason:
        lines.append(f"  {view.reason}")
    for group in view.failures[:5]:
        times = f"{group.count} x " if is_many(view) else ""
        lines.append(f"  {times}{_error_line(group)}")
    return "\n".join(lines)


def _head(told: Said) -> str:
    dot = (
        f'<span style="display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:8px;'
        f'background:{LOOK_OF[told.state].saved}"></span>'
    )
    right = (
        '<span style="font-size:11px;font-weight:600;letter-spacing:.05em;opacity:.75">'
        f'{told.shown_state}</span><span style="margin-left:10px;font-size:12px;opacity:.7">{told.took}</span>'
    )
    left = (
        f'{dot}<b style="font-weight:600">{escape(told.title)}</b>'
        f'<span style="margin-left:8px;font-size:12px;opacity:.7">{escape(told.about)}</span>'
    )
    # Floats, for a sanitizer may keep neither flex nor grid.
    return f'<div style="overflow:hidden"><span style="float:right">{right}</span>{left}</div>'


def _bar(bar: Bar) -> str:
    pieces = "".join(
        f'<span style="display:inline-block;height:6px;vertical-align:top;background:{LOOK_OF[state].saved};'
        f'width:{100 * share:.4g}%"></span>'
        for state, share in bar.parts
        if share
    )
    style = f"height:6px;margin-top:8px;border-radius:3px;overflow:hidden;background:{_LINE};font-size:0;line-height:0"
    return f'<div style="{style}">{pieces}</div>'


def _counts(told: Said) -> str:
    cells = "".join(
        f'<span style="margin-right:16px;white-space:nowrap"><span style="display:inline-block;width:8px;height:8px;'
        f'margin-right:6px;border-radius:2px;background:{LOOK_OF[count.state].saved}"></span>'
        f'<b style="font-weight:600">{count.number}</b> <span style="opacity:.7">{count.word}</span></span>'
        for count in told.counts
    )
    pace = f'<span style="float:right;opacity:.7">{told.pace}</span>' if told.pace else ""
    return f'<div style="margin-top:8px">{pace}{cells}</div>'


def _mosaic_image(codes: bytes | bytearray) -> str:
    if not codes:
        return ""
    png, width, height = mosaic.picture(codes)
    source = base64.b64encode(png).decode("ascii")
    style = f"display:block;margin:9px 0 0;width:{width}px;height:{height}px;max-width:100%;image-rendering:pixelated"
    return f'<img alt="one cell per call" style="{style}" src="data:image/png;base64,{source}">'


def _boxed(content: str, colour: str) -> str:
    style = f"margin-top:8px;padding:6px 10px;border-left:3px solid {colour};background:{_SUNK}"
    return f'<div style="{style}">{content}</div>'


def _failure(failure: FailureSaid) -> str:
    times = f'<span style="opacity:.7">{failure.times} </span>' if failure.times else ""
    which = f'<span style="opacity:.7;{_MONO}"> {escape(failure.which)}</span>' if failure.which else ""
    message = escape(f": {failure.message}") if failure.message else ""
    colour = LOOK_OF[states.FAILURE].saved
    error = f'<b style="font-weight:600;color:{colour}">{escape(failure.type)}</b>{message}'
    details = _pre(escape(failure.details), "pre")
    is_open = " open" if failure.open else ""
    return (
        f'<details{is_open} style="margin-top:8px;padding-top:6px;border-top:1px solid {_LINE}">'
        f'<summary style="cursor:pointer">{times}{error}{which}</summary>{details}</details>'
    )


def _output(view: View, *, many: bool) -> str:
    if not view.output:
        return ""
    lines = [_output_line(*line, many=many) for line in view.output]
    shown = _pre("\n".join(lines[-_SHOWN_LINES:]))
    if len(lines) <= _SHOWN_LINES:
        return shown
    summary = (
        f'<summary style="cursor:pointer;font-size:12px;opacity:.7">the last {len(lines)} lines</summary>'
    )
    return f'{shown}<details style="margin-top:4px">{summary}{_pre(chr(10).join(lines))}</details>'


def _output_line(index: int, stream: str, line: str, *, many: bool) -> str:
    prefix = f'<span style="opacity:.6">#{index:<5}</span> ' if many else ""
    content = escape(line)
    return prefix + (_red(content) if stream == "stderr" else content)


def _red(content: str) -> str:
    return f'<span style="color:{LOOK_OF[states.FAILURE].saved}">{content}</span>'


def _pre(content: str, wrap: str = "pre-wrap") -> str:
    style = (
        f"margin:8px 0 0;padding:6px 10px;max-height:320px;overflow:auto;border:0;border-radius:4px;background:{_SUNK};"
        f"color:inherit;white-space:{wrap};{_MONO}"
    )
    return f'<pre style="{style}">{content}</pre>'


def _preview(preview: Preview) -> str:
    if preview.html is not None:
        return f'<div style="margin-top:10px;overflow:auto">{preview.html}</div>'
    if preview.png is not None:
        source = escape(preview.png.replace("\n", ""), quote=True)
        style = "display:block;margin-top:10px;max-width:100%"
        return f'<img alt="result" style="{style}" src="data:image/png;base64,{source}">'
    return _pre(escape(preview.text)) if preview.text is not None else ""


def _error_line(group: FailureGroup) -> str:
    first = group.message.partition("\n")[0]
    return f"{group.type}: {first}" if first else group.type


def table(
    title: str, columns: Iterable[str], rows: Sequence[Iterable[str]], notes: Iterable[str] = ()
) -> str:
    """Return a plain HTML table with sentences below it; everything is escaped."""
    line = (
        f"padding:3px 16px 3px 0;text-align:left;border:0;border-bottom:1px solid {_LINE};vertical-align:top"
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
    below = "".join(f'<div style="margin-top:4px;opacity:.75">{escape(note)}</div>' for note in notes)
    return f'<div style="margin:2px 0 4px;font-size:13px;line-height:1.45">{head}{grid}{below}</div>'
