"""Large arrays: they go out and come back through the machine's memory, not through the server.

Needs numpy.
"""

from __future__ import annotations

import numpy as np

from nbtasks import App

app = App("arrays")


@app.task
def centred(part: np.ndarray) -> np.ndarray:
    """Return an array with a mean of zero in each column."""
    return part - part.mean(axis=0)


def main() -> None:
    """Send a table in parts, and put what comes back together again."""
    app.start_workers(2)
    table = np.random.default_rng(7).normal(size=(4_000, 1_000))
    whole = np.hstack(centred.map(np.array_split(table, 4, axis=1)).get())
    size = whole.nbytes / 1e6
    print(f"{size:.0f} MB out and {size:.0f} MB back, largest mean {abs(whole.mean(axis=0)).max():.0e}")


if __name__ == "__main__":
    with app:
        main()
