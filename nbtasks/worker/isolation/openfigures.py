"""Open figures of matplotlib's pyplot end with their call, as a notebook's end with their cell."""

from __future__ import annotations

import contextlib
import sys


def close_figures() -> None:
    """Have pyplot forget its open figures: the next call would draw into the last of them."""
    known = sys.modules.get("matplotlib._pylab_helpers")
    if known is not None:
        # It may be a module of the user's, or half imported.
        with contextlib.suppress(Exception):
            if known.Gcf.figs:
                known.Gcf.destroy_all()
