"""The dashboard's one script and one style sheet, joined as they stand: nothing is built, or loaded from elsewhere.

What the dashboard shares with the card lies with the card, in ``nbtasks/jupyter/page/``: files, which need no Jupyter.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from nbtasks.core import states
from nbtasks.core.appearance import REUSED, SPANS, WORDS, css
from nbtasks.core.stencils import stencil

_OWN = Path(__file__).parent
_CARDS = _OWN.parent / "jupyter" / "page"
#: Scripts and styles of the card that the dashboard shares.
_SHARED_SCRIPTS = (
    "copying.js", "custody.js", "elements.js", "greeting.js", "keeper.js", "kernelline.js", "lifecycle.js", "pulse.js",
    "shapes.js", "tabs.js", "timeline.js",
)  # fmt: skip
_SHARED_STYLES = ("card.css", "drawer.css", "timeline.css")
#: By state code, and by one of those that only pictures have.
_LOOKS = (*states.NAMES, REUSED)
#: Pixels of a timeline: a row with its gap, the bar in it, which has room for a name, between lanes.
_LANES = {"row": 17, "bar": 13, "gap": 3}
#: Sides of the squares and heights of the bars that are drawn, in pixels.
_STENCILS = (8, 10, _LANES["bar"])


@functools.cache
def script() -> str:
    """Return the module: ``start(el, transport)``, and the notebook's widget as its default."""
    files = [*(_CARDS / name for name in _SHARED_SCRIPTS), *sorted((_OWN / "scripts").glob("*.js"))]
    joined = "\n".join(file.read_text("utf-8") for file in files)
    return joined.replace("__TABLES__", json.dumps(tables()))


@functools.cache
def style() -> str:
    """Return the style sheet."""
    colours = "".join(f"--nbt-{state.lower()}:{css(state)};" for state in _LOOKS)
    files = [*(_CARDS / name for name in _SHARED_STYLES), *sorted((_OWN / "styles").glob("*.css"))]
    return f".nbt-card {{{colours}}}\n" + "\n".join(file.read_text("utf-8") for file in files)


@functools.cache
def version() -> str:
    """Return what names script and style, for caches."""
    return hashlib.sha256((script() + style()).encode()).hexdigest()[:16]


def tables() -> dict[str, Any]:
    """Return what the script is told of states and times."""
    return {
        "states": [{"name": state, "word": WORDS[state], "colour": css(state)} for state in _LOOKS],
        "stencils": {side: [stencil(state, side) for state in _LOOKS] for side in _STENCILS},
        "lanes": _LANES,
        "spans": SPANS,
    }
