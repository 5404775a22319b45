"""What it costs that a function takes things along: at its first call, and at each call of a map."""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from pathlib import Path

from .base import Measured, Work, check

MODULE = "SIZE = {size}\n\n\ndef grown(n):\n    return n + SIZE\n"
MODULES = 3


class Captured(Work):
    """Maps of functions that capture nothing, a small list, a large dict, a large array; first calls of new ones."""

    name = "captured"
    title = "map of a function that captures a small list"
    unit = "µs/call"
    higher_is_better = False
    arrays = True
    only = ("nbtasks",)

    def measure(self, peer, meter, quick):
        n, firsts = (1_000, 5) if quick else (20_000, 30)
        import numpy as np

        captured = {
            "nothing": None,
            "a_small_list": [1, 2, 3],
            "a_large_dict": {number: str(number) for number in range(100_000)},
            "a_large_array": np.arange(2_000_000),
        }
        tasks = {name: peer.app.task(_looking(value)) for name, value in captured.items()}
        for task in tasks.values():
            check([*range(64)], task.map(range(64)).get())
        spent: dict[str, list[float]] = {name: [] for name in tasks}
        with meter.span() as span:
            for _ in range(3):  # in turns
                for name, task in tasks.items():
                    begun = time.perf_counter()
                    check([*range(n)], task.map(range(n)).get())
                    spent[name].append((time.perf_counter() - begun) * 1e6 / n)
        figures = {f"{name}_us": statistics.median(times) for name, times in spent.items()}
        figures |= _first_calls(peer, firsts)
        return Measured(figures["a_small_list_us"], 3 * n * len(tasks), span.cpu, figures)


def _looking(value):
    if value is None:
        return lambda i: i
    return lambda i: i if value is not None and len(value) else -1


def _first_calls(peer, count):
    """Return p50 of the first call of functions that no worker has seen, with and without what they take along."""
    plain, laden = [], []
    for number in range(count):
        plain.append(_ms(peer, _looking(None if not number else (number,)), number))
        laden.append(_ms(peer, _laden(Path(peer.setting.folder), number), number))
    return {"first_call_ms": statistics.median(plain), "first_call_laden_ms": statistics.median(laden)}


def _ms(peer, function, number):
    task = peer.app.task(function)
    begun = time.perf_counter()
    check([number], [task.delay(number).get()])
    return (time.perf_counter() - begun) * 1000


def _laden(folder, number):
    """Return a function with five captured names that imports three local modules, all new."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    names = [f"bench_{number}_{i}" for i in range(MODULES)]
    for i, name in enumerate(names):
        (folder / f"{name}.py").write_text(MODULE.format(size=i))
    importlib.invalidate_caches()
    one, two, three = map(importlib.import_module, names)
    rate, table, words = number, {"a": [number]}, ["to", "be"]

    class Order:
        price = number

    def helper(n):
        return n + rate - Order.price

    def function(n):
        total = one.grown(n) + two.grown(n) + three.grown(n) - 2 * n - 3
        return helper(total) if table and words else -1

    return function
