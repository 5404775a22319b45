"""Blocks of an xarray, each computed by a worker: xarray computes with Dask, and Dask takes an executor.

Needs xarray and dask[array].
"""

from __future__ import annotations

import dask
import numpy as np
import pandas as pd
import xarray as xr

from nbtasks import App

app = App("xarray")


def main() -> None:
    """Take the monthly means of two years of made-up temperatures."""
    app.start_workers(2)
    days = pd.date_range("2024-01-01", "2025-12-31")
    seasons = -np.cos(2 * np.pi * (days.day_of_year.to_numpy() - 20) / 365.25)
    noise = np.random.default_rng(0).normal(scale=2.0, size=(len(days), 40, 60))
    air = xr.DataArray(
        10 + 8 * seasons[:, None, None] + noise, {"time": days}, ("time", "lat", "lon"), name="air"
    ).chunk({"lat": 20})
    with app.executor() as executor, dask.config.set(scheduler=executor):
        months = air.groupby("time.month").mean().mean(("lat", "lon")).compute()
    warmest = int(months.idxmax())
    print(f"{len(months)} months, the warmest is number {warmest} with {float(months.max()):.1f} degrees")


if __name__ == "__main__":
    main()
