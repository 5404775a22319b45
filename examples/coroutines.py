"""A thousand requests that wait: coroutines run side by side in a few processes."""

from __future__ import annotations

import asyncio
import time

from nbtasks import App

app = App("coroutines")


@app.task
async def request(number: int) -> int:
    """Wait as for a slow server, and answer."""
    await asyncio.sleep(0.1)
    return number * number


def main() -> None:
    """Print how long the calls took together."""
    app.start_workers(2)
    began = time.perf_counter()
    values = request.map(range(1000)).get()
    took = time.perf_counter() - began
    print(f"{len(values)} calls of 0.1 s in {took:.1f} s; the last answer is {values[-1]:,}")


if __name__ == "__main__":
    with app:
        main()
