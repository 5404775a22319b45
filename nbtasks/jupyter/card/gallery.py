"""What the calls of a map have displayed, in one piece of HTML: each with the item of its call. Pure.

A map may display more than a page can take, and Jupyter's outputs bear no captions. So a picture is a picture here, a
table a table, and what only Jupyter can draw stands as text: the call's ``outputs`` have it all.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from html import escape

from nbtasks.core.outputs import RichOutput

from . import words
from .pieces import escaped

#: Characters of HTML; what comes after that is left out.
MOST_CHARACTERS = 3_000_000
_MOST_TEXT = 2_000
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_BOX = (
    "display:inline-block;vertical-align:top;box-sizing:border-box;max-width:100%;margin:0 10px 10px 0;"
    "padding:6px 10px;border:1px solid rgba(128,134,142,.35);border-radius:5px;overflow:auto"
)


def gallery(
    shown: Sequence[tuple[int, list[RichOutput]]], label: Callable[[int], str], left_out: int = 0
) -> str:
    """Return the HTML.

    Args:
        shown: (call, outputs) in the order of the calls; they are the user's own, for their HTML is not escaped.
        label: a call's item in short.
        left_out: how many calls have displayed something that is not in here.
    """
    boxes: list[str] = []
    size = 0
    for index, outputs in shown:
        box = _box(label(index), outputs)
        size += len(box)
        if boxes and size > MOST_CHARACTERS:
            left_out += 1
        else:
            boxes.append(box)
    more = f"and {words.calls(left_out)} more that displayed something: outputs of each call has it"
    note = f'<div style="font-size:12px;opacity:.7">{escape(more)}</div>' if left_out else ""
    return f'<div style="max-width:1200px;margin:2px 0">{"".join(boxes)}{note}</div>'


def as_text(shown: Sequence[tuple[int, list[RichOutput]]], label: Callable[[int], str]) -> str:
    """Return the same as text."""
    return "\n".join(
        f"{words.one_line(label(index), 80)}: {words.one_line(_text_of(output), 200)}"
        for index, outputs in shown
        for output in outputs
    )


def _box(label: str, outputs: list[RichOutput]) -> str:
    caption = f'<div style="font-size:12px;opacity:.7">{escape(words.one_line(label, 80))}</div>'
    return f'<div style="{_BOX}">{caption}{"".join(map(_piece, outputs))}</div>'


def _piece(output: RichOutput) -> str:
    data = output.data
    for kind in _PICTURES:
        if data.get(kind):
            return _image(kind, str(data[kind]).replace("\n", ""))
    if data.get("image/svg+xml"):
        return _image("image/svg+xml", base64.b64encode(str(data["image/svg+xml"]).encode()).decode())
    if data.get("text/html"):
        return f"<div>{data['text/html']}</div>"
    text = words.plain(_text_of(output), _MOST_TEXT)
    return f'<pre style="margin:4px 0 0;background:transparent;white-space:pre-wrap">{escaped(text)}</pre>'


def _image(kind: str, data: str) -> str:
    source = escape(data, quote=True)
    return f'<img alt="" style="display:block;max-width:420px;max-height:320px" src="data:{kind};base64,{source}">'


def _text_of(output: RichOutput) -> str:
    forms = (output.data.get(kind) for kind in ("text/markdown", "text/latex", "text/plain"))
    return next((str(form) for form in forms if form), ", ".join(output.data))
