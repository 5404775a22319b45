"""ANSI colours of printed lines, as Jupyter shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from . import words

#: So many characters have this inline style; empty: none.
Paint = tuple[tuple[int, str], ...]

_SELECT = re.compile(r"\x1b\[([\d;]{0,80})m")
#: Black, red, green, yellow, blue, magenta, cyan, white, and the same when bright: Jupyter's.
_COLOURS = (
    "#3e424d", "#e75c58", "#00a250", "#ddb62b", "#208ffb", "#d160c4", "#60c6c8", "#c5c1b4",
    "#282c36", "#b22b31", "#007427", "#b27d12", "#0065ca", "#a03196", "#258f8f", "#a1a6b2",
)  # fmt: skip
_BRIGHT = 8
#: Steps of the six levels of a colour in the table of 256, and where its greys begin.
_CUBE, _GREYS = (0, 95, 135, 175, 215, 255), 232


def painted(text: str, limit: int) -> tuple[str, Paint]:
    """Return what :func:`~nbtasks.jupyter.card.words.plain` does, and the colours of its parts, if it has any."""
    if "\x1b[" not in text:
        return words.plain(text, limit), ()
    shown, paint, left = "", [], limit
    for piece, css in _pieces(text):
        part = words.plain(piece, left) if left > 0 else ""
        left -= len(part)
        shown += part
        if part:
            paint.append((len(part), css))
    return shown, tuple(paint) if any(css for _, css in paint) else ()


@dataclass(frozen=True)
class _Pen:
    ink: str = ""
    #: Of the first eight colours: bold makes them bright.
    number: int | None = None
    ground: str = ""
    bold: bool = False
    italic: bool = False
    underline: bool = False

    @property
    def css(self) -> str:
        bright = _BRIGHT if self.bold else 0
        ink = self.ink if self.number is None else _COLOURS[self.number + bright]
        parts = {
            "color": ink,
            "background-color": self.ground,
            "font-weight": "bold" if self.bold else "",
            "font-style": "italic" if self.italic else "",
            "text-decoration": "underline" if self.underline else "",
        }
        return "".join(f"{name}:{value};" for name, value in parts.items() if value)


_SWITCHES = {
    1: {"bold": True}, 3: {"italic": True}, 4: {"underline": True}, 22: {"bold": False}, 23: {"italic": False},
    24: {"underline": False}, 39: {"ink": "", "number": None}, 49: {"ground": ""},
}  # fmt: skip


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    pen, at = _Pen(), 0
    for found in _SELECT.finditer(text):
        yield text[at : found.start()], pen.css
        pen, at = _select(pen, [int(code or 0) for code in found[1].split(";")]), found.end()
    yield text[at:], pen.css


def _select(pen: _Pen, codes: list[int]) -> _Pen:
    while codes:
        code = codes.pop(0)
        family, colour = code // 10 * 10, code % 10
        if code == 0:
            pen = _Pen()
        elif code in _SWITCHES:
            pen = replace(pen, **_SWITCHES[code])  # type: ignore[arg-type]  # the table has each under its own name
        elif code in {38, 48}:
            mixed = _mixed(codes)
            pen = replace(pen, ink=mixed, number=None) if code == 38 else replace(pen, ground=mixed)
        elif colour < _BRIGHT and family == 30:
            pen = replace(pen, ink="", number=colour)
        elif colour < _BRIGHT and family == 90:
            pen = replace(pen, ink=_COLOURS[colour + _BRIGHT], number=None)
        elif colour < _BRIGHT and family in {40, 100}:
            pen = replace(pen, ground=_COLOURS[colour + (_BRIGHT if family == 100 else 0)])
    return pen


def _mixed(codes: list[int]) -> str:
    """Take a colour of the table of 256, or one of red, green and blue, from the front of ``codes``."""
    kind = codes.pop(0) if codes else 0
    if kind == 5 and codes:
        return _of_table(min(255, codes.pop(0)))
    if kind == 2 and len(codes) >= 3:
        red, green, blue = (min(255, codes.pop(0)) for _ in range(3))
        return f"rgb({red},{green},{blue})"
    codes.clear()
    return ""


def _of_table(number: int) -> str:
    if number < len(_COLOURS):
        return _COLOURS[number]
    if number >= _GREYS:
        level = 8 + 10 * (number - _GREYS)
        return f"rgb({level},{level},{level})"
    number -= len(_COLOURS)
    return f"rgb({_CUBE[number // 36]},{_CUBE[number // 6 % 6]},{_CUBE[number % 6]})"
