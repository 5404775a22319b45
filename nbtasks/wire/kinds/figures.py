"""Figures of matplotlib travel as objects: pyplot's list of open figures is each process's own.

A figure that registered itself there when it arrives would be shown by a notebook under whatever cell runs next.
"""

from __future__ import annotations

import sys
from typing import Any


def reduced(value: Any) -> Any:
    """Return how a figure is pickled; NotImplemented for anything else."""
    known = sys.modules.get("matplotlib.figure")
    if known is None or not issubclass(type(value), known.Figure):
        return NotImplemented
    how = value.__reduce_ex__(5)
    if type(how) is tuple and len(how) > 2 and type(how[2]) is dict:
        how[2].pop("_restore_to_pylab", None)
    return how
