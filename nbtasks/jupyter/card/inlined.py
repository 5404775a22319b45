"""The card's style sheet as inline styles, for the saved form: one source of how the card looks. Pure.

A page that trusts the notebook shows a saved card as it shows a live one. Sanitizers drop ``var()``, so a plain value
stands before each that is the theme's.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from .looks import LOOKS

_PAGE = Path(__file__).parent.parent / "page"
_SHEETS = (_PAGE / "card.css", _PAGE / "graph.css", _PAGE / "runs" / "runs.css")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VARIABLE = re.compile(r"var\((--nbt-[a-z-]+)\)")
#: What the theme's values are replaced by where there is no theme; None: by nothing, the element has its parent's.
_PLAIN = {
    "--nbt-ink": None,
    "--nbt-dim": None,
    "--nbt-line": "rgba(128,134,142,.35)",
    "--nbt-ground": "rgba(128,134,142,.27)",
    "--nbt-sunk": "rgba(128,134,142,.09)",
    "--nbt-font": "system-ui,sans-serif",
    "--nbt-mono": "ui-monospace,monospace",
    "--nbt-failure-ink": "#d34b42",
}
#: They mean nothing in a picture that stands still.
_MOVING = ("animation", "transition")


@functools.cache
def style(selector: str) -> str:
    """Return what the style sheets have under exactly this selector, as the content of a ``style`` attribute.

    Raises:
        KeyError: they have no such rule.
    """
    return "".join(_inline(name, value) for name, value in _rules()[selector] if name not in _MOVING)


@functools.cache
def _rules() -> dict[str, list[tuple[str, str]]]:
    rules: dict[str, list[tuple[str, str]]] = {}
    for selectors, body in _RULE.findall(
        _COMMENT.sub("", "".join(sheet.read_text("utf-8") for sheet in _SHEETS))
    ):
        pairs = [part.partition(":") for part in body.split(";") if part.strip()]
        declarations = [(name.strip(), value.strip()) for name, _, value in pairs]
        for selector in selectors.split(","):
            rules.setdefault(selector.strip(), []).extend(declarations)
    return rules


@functools.cache
def _theme() -> dict[str, str]:
    """Return the values of the card's own variables: in the terms of the page's themes, or plain."""
    own = {name: value for name, value in _rules()[".nbt-card"] if name.startswith("--")}
    # Where no theme says anything, text is the page's own.
    themed = {name: re.sub("CanvasText|GrayText", "inherit", value) for name, value in own.items()}
    return themed | {look.variable: look.css for look in LOOKS}


def _inline(name: str, value: str) -> str:
    if name.startswith("--"):
        return ""
    value = re.sub(r"\s*,\s*", ",", value)
    used = [variable for variable in _VARIABLE.findall(value) if variable in _PLAIN]
    themed = f"{name}:{_VARIABLE.sub(lambda found: _theme()[found[1]], value)};"
    if not used:
        return themed
    if any(_PLAIN[variable] is None for variable in used):
        return themed
    return f"{name}:{_VARIABLE.sub(lambda found: _PLAIN[found[1]] or '', value)};{themed}"
