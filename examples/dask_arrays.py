"""Dask's arrays and delayed functions, computed by the workers: Dask takes an executor as its scheduler.

Needs dask[array].
"""

from __future__ import annotations

import os

import dask
import dask.array as da
import numpy as np

from nbtasks import App

app = App("dask")


@dask.delayed
def spread(values: np.ndarray) -> tuple[int, float]:
    """Return how far the largest and the smallest value are apart, and the process that has looked."""
    return os.getpid(), float(values.max() - values.min())


def main() -> None:
    """Compute an array in blocks, and delayed functions, without a cluster of Dask's."""
    app.start_workers(2)
    table = da.arange(4_000_000, chunks=1_000_000).reshape(2_000, 2_000)
    with app.executor() as executor, dask.config.set(scheduler=executor):
        print(f"mean {table.mean().compute():,.1f}")
        spreads = dask.compute(*[spread(table[start : start + 500]) for start in range(0, 2_000, 500)])
    elsewhere = os.getpid() not in {process for process, _ in spreads}
    print(f"spreads {[f'{found:,.0f}' for _, found in spreads]}, found by the workers: {elsewhere}")


if __name__ == "__main__":
    main()
