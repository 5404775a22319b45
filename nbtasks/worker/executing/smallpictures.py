"""Pictures of Pillow made small, where a card has no room for them as they are."""

from __future__ import annotations

import base64
import io
import sys
from typing import Any

from nbtasks.core.outputs import RichOutput

#: Pixels of the longer side, the first that fits.
_SIDES = (960, 480, 240, 120)
#: Of the room for all forms, what the picture may take.
_SHARE = 0.8
_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})


def made_small(value: Any, output: RichOutput, most: int) -> RichOutput:
    """Return an output that fits: where it is too large, and the value a picture, with a small one in its place.

    Args:
        most: characters of all forms.
    """
    module = sys.modules.get("PIL.Image")
    if output.size <= most or module is None or not isinstance(value, module.Image):
        return output
    for side in _SIDES:
        if side >= max(value.size):
            continue
        small = value if value.mode in _MODES else value.convert("RGB")
        small = small.copy()
        small.thumbnail((side, side))
        with io.BytesIO() as file:
            small.save(file, "PNG")
            encoded = base64.b64encode(file.getvalue()).decode("ascii")
        if len(encoded) <= _SHARE * most:
            return RichOutput({"text/plain": output.data.get("text/plain", ""), "image/png": encoded})
    return output
