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
from .board import FailureGroup, View

#: State, what its count is called, its colour.
PARTS = (
    (states.SUCCESS, "done", "#4aa074"),
    (states.FAILURE, "failed", "#d34b42"),
    (states.REVOKED, "revoked", "#968ab0"),
    (states.STARTED, "running", "#4287cc"),
    (states.RETRY, "to retry", "#dea034"),
)
_WAITING_COLOUR = "rgba(128,134,142,.45)"
_STATE_COLOURS = {state: colour for state, _, colour in PARTS}
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
    many = is_many(view)
    parts = [
        _head(view),
        _bar(view),
        _counts(view) if many else "",
        _boxed(escape(view.reason), _STATE_COLOURS[states.RETRY]) if view.reason else "",
        _mosaic_image(codes) if many else "",
        *(_failure(group, many=many) for group in view.failures),
        _more_failures(view),
        _output(view, many=many),
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


def text_counts(view: View) -> str:
    """Return ``120/200 done, 2 failed, 8 running, 6.1 s``."""
    said = []
    if is_many(view):
        said.append(f"{view.counts.get(states.SUCCESS, 0):,}/{view.n:,} done")
        said += [f"{view.counts[state]:,} {word}" for state, word, _ in PARTS[1:] if view.counts.get(state)]
    elif view.queue != "default":
        said.append(f"queue {view.queue}")
    if view.done:
        said.append(words.duration(view.elapsed_s))
    elif view.rate:
        said.append(words.rate(view.rate))
    return ", ".join(said) or "1 call"


def is_many(view: View) -> bool:
    """Whether the view needs counts: a fan-out, even of one call."""
    return view.n != 1 or view.kind == "map"


def shown_state(view: View) -> str:
    """Return the state's word."""
    return "STOPPING" if view.stopping else view.state


def _head(view: View) -> str:
    colour = _STATE_COLOURS.get(view.state, _WAITING_COLOUR)
    dot = (
        f'<span style="display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:8px;'
        f'background:{colour}"></span>'
    )
    about = [words.calls(view.n)] if is_many(view) else []
    if view.queue != "default":
        about.append(f"queue {view.queue}")
    about.append(words.short_id(view.id))
    right = (
        f'<span style="font-size:11px;font-weight:600;letter-spacing:.05em;opacity:.75">{shown_state(view)}</span>'
        f'<span style="margin-left:10px;font-size:12px;opacity:.7">{_time(view)}</span>'
    )
    left = (
        f'{dot}<b style="font-weight:600">{escape(view.title)}</b>'
        f'<span style="margin-left:8px;font-size:12px;opacity:.7">{escape(" · ".join(about))}</span>'
    )
    # Floats, for a sanitizer may keep neither flex nor grid.
    return f'<div style="overflow:hidden"><span style="float:right">{right}</span>{left}</div>'


def _time(view: View) -> str:
    if not view.done:
        return ""
    took = words.duration(view.elapsed_s)
    return took if not _speed_up(view) else f"{took} ({_speed_up(view)})"


def _speed_up(view: View) -> str:
    """Return how much work those seconds held, when it was more than they are."""
    if not is_many(view) or view.elapsed_s <= 0 or view.run_seconds < 1.2 * view.elapsed_s:
        return ""
    return f"{words.duration(view.run_seconds)} of work, {view.run_seconds / view.elapsed_s:.1f}×"


def _bar(view: View) -> str:
    pieces = "".join(
        f'<span style="display:inline-block;height:6px;vertical-align:top;background:{colour};'
        f'width:{100 * view.counts.get(state, 0) / view.n:.4g}%"></span>'
        for state, _, colour in PARTS
        if view.counts.get(state) and (view.done or is_many(view))
    )
    style = f"height:6px;margin-top:8px;border-radius:3px;overflow:hidden;background:{_LINE};font-size:0;line-height:0"
    return f'<div style="{style}">{pieces}</div>'


def _counts(view: View) -> str:
    waiting = view.counts.get(states.PENDING, 0) + view.counts.get(states.RECEIVED, 0)
    shown = [(view.counts.get(state, 0), word, colour) for state, word, colour in PARTS]
    shown.append((waiting, "waiting", _WAITING_COLOUR))
    cells = "".join(
        f'<span style="margin-right:16px;white-space:nowrap"><span style="display:inline-block;width:8px;height:8px;'
        f'margin-right:6px;border-radius:2px;background:{colour}"></span><b style="font-weight:600">{count:,}</b> '
        f'<span style="opacity:.7">{word}</span></span>'
        for count, word, colour in shown
        if count or word == "done"
    )
    pace = ""
    if view.done and view.elapsed_s > 0 and view.n >= 5:
        pace = f'<span style="float:right;opacity:.7">{words.rate(view.n / view.elapsed_s)}</span>'
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


def _failure(group: FailureGroup, *, many: bool) -> str:
    times = f'<span style="opacity:.7">{group.count:,} × </span>' if many else ""
    which = (
        f'<span style="opacity:.7;{_MONO}"> #{group.indexes[0]} {escape(group.label)}</span>' if many else ""
    )
    message = escape(": " + group.message.partition("\n")[0]) if group.message else ""
    error = f'<b style="font-weight:600;color:#d34b42">{escape(group.type)}</b>{message}'
    attempts = f"\n(attempt {group.attempts})" if group.attempts > 1 else ""
    body = escape((group.traceback or group.message) + attempts)
    return (
        f'<details style="margin-top:8px;padding-top:6px;border-top:1px solid {_LINE}">'
        f'<summary style="cursor:pointer">{times}{error}{which}</summary>{_pre(body)}</details>'
    )


def _more_failures(view: View) -> str:
    if not view.more_failures:
        return ""
    return f'<div style="margin-top:6px;opacity:.7">and {view.more_failures:,} more failures</div>'


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
    return prefix + (f'<span style="color:#d34b42">{content}</span>' if stream == "stderr" else content)


def _pre(content: str) -> str:
    style = (
        f"margin:8px 0 0;padding:6px 10px;max-height:320px;overflow:auto;border:0;border-radius:4px;background:{_SUNK};"
        f"color:inherit;white-space:pre-wrap;{_MONO}"
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
