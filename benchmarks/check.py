"""The regression check: nbtasks against the standard library's pool in one run, ratios against stored bounds.

Ratios, because seconds are another machine's tomorrow; and apart from the tests, because no test asserts speed.
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import works
from benchmarks.results import Results

PEERS = ("nbtasks", "pool")
WORKS = ("one_call", "map", "loop", "arrays", "first_result", "mixed")
#: work -> the least ratio of nbtasks to the pool: 2.0 is twice as good, 0.5 half as good.
BOUNDS = Path(__file__).with_name("bounds.json")


def verdict(results: Results) -> int:
    """Print each ratio beside its bound; return an exit code."""
    bounds = json.loads(BOUNDS.read_text())
    bad = 0
    for name in WORKS:
        ratio, bound = results.ratio(works.ALL[name], "pool"), bounds[name]
        fine = ratio is not None and ratio >= bound
        bad += not fine
        said = "no figure" if ratio is None else f"{ratio:.3g} times the pool's"
        print(f"{'ok ' if fine else 'BAD'}  {works.ALL[name].title}: {said}, bound {bound:g}")
    if bad:
        print(
            f"{bad} of {len(WORKS)} are under their bound. Run it again on a quiet machine before you look for a cause."
        )
    return 1 if bad else 0
