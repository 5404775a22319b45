"""``python -m benchmarks.notebook``: what a person notices in a notebook, each figure beside what it may be.

Submit and cost of the card are measured in a real kernel, what the page gets and the drawer in a real JupyterLab, and
the way from ``git clone`` to the first card on a fresh clone. Medians; nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil

from benchmarks import report
from benchmarks.arrivals import Arrivals
from benchmarks.machine import describe
from benchmarks.works.card import PREPARE, Kernel
from tests.browser.jupyter_server import CHROMIUM_FLAGS, JupyterServer, OpenNotebook, find_chromium

ROOT = Path(__file__).parents[1]
HEAD = ["figure", "median", "range", "may be", ""]
CALLS = 100_000
TASKS = """
import json, time

def submit(n):
    begun = time.perf_counter()
    handle = noop.map(range(n))
    print(json.dumps(1000 * (time.perf_counter() - begun)))
    return handle
"""
CARD = "%load_ext nbtasks\n%workers start 2"
MANY = f"""
import time, nbtasks

@nbtasks.task
def short(x):
    time.sleep(0.0001)

begun = time.perf_counter()
_ = short.map(range({CALLS})).get()
print(time.perf_counter() - begun)
"""
FAN_OUT = "%%task -o squares for n in range(200)\n# squares\nprint('item', n)\nn * n"
#: Clicks on a square as a person does, and waits for what the drawer says; resolves to milliseconds.
OPENS = """() => new Promise((opened) => {
    const squares = document.querySelector('.nbt-mosaic'), box = squares.getBoundingClientRect();
    const drawer = document.querySelector('.nbt-drawer');
    const point = {bubbles: true, clientX: box.left + 4, clientY: box.top + 4};
    const begun = performance.now();
    const look = () => drawer.hidden || drawer.dataset.told !== 'true' || !drawer.querySelector('.nbt-part')
        ? requestAnimationFrame(look) : opened(performance.now() - begun);
    squares.dispatchEvent(new MouseEvent('click', point));
    look(); })"""
#: Notes the longest time between two frames; a page draws sixty a second.
PAUSES = """() => {
    window.longestPause = 0;
    let before = performance.now();
    const frame = (now) => {
        window.longestPause = Math.max(window.longestPause, now - before);
        before = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
}"""


@dataclass
class Figure:
    """One figure: what was measured, and what it may be at most."""

    title: str
    unit: str
    values: list[float]
    most: float

    def row(self) -> list[str]:
        """Return it as a line of the table."""
        middle = statistics.median(self.values)
        span = f"{min(self.values):.3g} to {max(self.values):.3g}" if len(self.values) > 1 else ""
        verdict = "ok" if middle <= self.most else "MORE"
        return [self.title, f"{middle:.3g} {self.unit}", span, f"{self.most:g} {self.unit}", verdict]


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder with a short name: sockets lie in it."""
    path = Path(tempfile.mkdtemp(prefix="nb"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def in_the_kernel(rounds: int) -> list[Figure]:
    """Measure submit, messages and the cost of the card."""
    with folder() as home:
        kernel = Kernel(home)
        try:
            kernel.run(PREPARE)
            kernel.run(TASKS)
            submits = [_submit(kernel) for _ in range(3 * rounds)]
            costs = [_cost(kernel) for _ in range(rounds)]
            kernel.run("app.close()")
        finally:
            kernel.stop()
    return [
        Figure("submit of 1,000 calls with their card", "ms", submits, 50),
        Figure("CPU of the card, of a map of 100,000", "%", [cpu for cpu, _ in costs], 2),
        Figure("time of the card, of a map of 100,000", "%", [span for _, span in costs], 2),
    ]


def _submit(kernel: Kernel) -> float:
    milliseconds = float(kernel.run("handle = submit(1000)").printed)
    # Else it would have to be replaced by the next one.
    kernel.run("_ = handle.get()")
    return milliseconds


def _cost(kernel: Kernel) -> tuple[float, float]:
    """Return what the card adds to a map: CPU time of the kernel, of that of all processes, and time; in percent."""
    alone, everybody, bare_s = _map(kernel, quiet=True)
    shown, _, shown_s = _map(kernel, quiet=False)
    return 100 * (shown - alone) / everybody, 100 * (shown_s - bare_s) / bare_s


def _map(kernel: Kernel, *, quiet: bool) -> tuple[float, float, float]:
    """Return CPU seconds of the kernel, those of the kernel with workers and server, and seconds until the results."""
    before = _spent(kernel)
    ran = kernel.timed(CALLS, quiet=True) if quiet else kernel.shown(CALLS)
    after = _spent(kernel)
    return after[0] - before[0], after[1] - before[1], ran.seconds


def _spent(kernel: Kernel) -> tuple[float, float]:
    marks = (f"NBTASKS_HOME={kernel.home}",)
    own = psutil.Process(kernel.pid)
    every = [own, *own.children(recursive=True)]
    known = {process.pid for process in every}
    every += [one for one in psutil.process_iter() if one.pid not in known and _bears(one, marks)]
    times = [process.cpu_times() for process in every]
    return sum(times[0][:2]), sum(one.user + one.system for one in times)


def _bears(process: psutil.Process, marks: tuple[str, ...]) -> bool:
    try:
        environment = process.environ()
    except psutil.Error:
        return False
    return any(environment.get(name) == value for name, _, value in (mark.partition("=") for mark in marks))


def in_the_browser(rounds: int) -> list[Figure]:
    """Measure what a page gets of 100,000 calls, and how long a click on a square takes until its call is shown."""
    with folder() as home, _browser() as browser:
        server = JupyterServer("lab", home / "lab")
        try:
            waves = [_wave(OpenNotebook(browser, server, [CARD, MANY])) for _ in range(rounds)]
            notebook = OpenNotebook(browser, server, [CARD, FAN_OUT])
            notebook.run()
            notebook.page.wait_for_selector(".nbt-card[data-done=true]", timeout=60_000)
            opened = [_open(notebook) for _ in range(3 * rounds)]
            notebook.close()
        finally:
            server.stop()
    return [
        Figure("messages to the page at 100,000 calls", "/s", [wave.messages_per_s for wave in waves], 10),
        Figure("bytes to the page at 100,000 calls", "kB/s", [wave.bytes_per_s / 1000 for wave in waves], 20),
        Figure("longest pause of the page at 100,000 calls", "ms", [wave.pause_ms for wave in waves], 200),
        Figure("click on a square until its call is shown", "ms", opened, 100),
    ]


@dataclass
class Wave:
    """What a page had of a large map."""

    messages_per_s: float
    bytes_per_s: float
    pause_ms: float


def _wave(notebook: OpenNotebook) -> Wave:
    """Run 100,000 short calls in a cell that waits for them."""
    notebook.run(0)
    notebook.idle(0)
    arrived = Arrivals(notebook.page)
    notebook.page.evaluate(PAUSES)
    notebook.run(1)
    notebook.page.wait_for_selector(".nbt-card[data-done=true]", timeout=120_000)
    notebook.idle(1, timeout=120)
    sizes = arrived.of_the_card()
    pause_ms = notebook.page.evaluate("() => window.longestPause")
    seconds = float(notebook.page.locator(".jp-OutputArea-output[data-mime-type$=stdout]").last.inner_text())
    notebook.close()
    return Wave(len(sizes) / seconds, sum(sizes) / seconds, pause_ms)


def _open(notebook: OpenNotebook) -> float:
    milliseconds = notebook.page.evaluate(OPENS)
    notebook.page.locator(".nbt-drawer").get_by_label("close", exact=True).click()
    notebook.page.locator(".nbt-drawer").wait_for(state="hidden")
    return milliseconds


@contextmanager
def _browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def from_clone(_: int) -> list[Figure]:
    """Clone, install and run the quickstart until its first card is seen, with nothing in uv's cache."""
    parts: dict[str, float] = {}

    def timed(name: str, action: Callable[[], object]) -> object:
        begun = time.perf_counter()
        result = action()
        parts[name] = time.perf_counter() - begun
        print(f"    {parts[name]:6.1f} s  {name}", flush=True)
        return result

    with folder() as home, _browser() as browser:
        clone = home / "nbtasks"
        environment = {**os.environ, "UV_CACHE_DIR": str(home / "cache"), "PIP_NO_CACHE_DIR": "1"}
        environment.pop("VIRTUAL_ENV", None)

        def make(stamp: str) -> None:
            command = ["make", f"{clone}/.venv/.stamps/{stamp}"]
            subprocess.run(command, cwd=clone, env=environment, check=True, capture_output=True)

        timed("git clone", lambda: subprocess.run(["git", "clone", "-q", ROOT, clone], check=True))
        timed("environment", lambda: make("venv"))
        timed("wheel of nbtasks", lambda: make("wheel"))
        timed("JupyterLab and what the quickstart needs", lambda: make("deps-lab"))
        timed("nbtasks itself", lambda: make("installed"))
        python = str(clone / ".venv/bin/python")
        server = timed("JupyterLab starts", lambda: JupyterServer("lab", home / "lab", python=python))
        try:
            notebook = timed("page and kernel", lambda: _quickstart(browser, server, clone / "notebooks"))
            notebook.run()
            card = ".nbt-card"
            timed(
                "cells until the first card", lambda: notebook.page.wait_for_selector(card, timeout=120_000)
            )
            notebook.close()
        finally:
            server.stop()
    return [Figure("git clone to the first live card", "s", [sum(parts.values())], 60)]


def _quickstart(browser, server: JupyterServer, notebooks: Path) -> OpenNotebook:
    source = nbformat.read(notebooks / "00_quickstart.ipynb", as_version=4)
    cells = [cell.source for cell in source.cells if cell.cell_type == "code"]
    up_to = next(place for place, text in enumerate(cells) if text.startswith("%%task"))
    notebook = OpenNotebook(browser, server, cells[: up_to + 1])
    shutil.copy(notebooks / "dataserver.py", (server.root / notebook.name).parent)
    return notebook


PARTS: dict[str, Callable[[int], list[Figure]]] = {
    "kernel": in_the_kernel,
    "browser": in_the_browser,
    "clone": from_clone,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notebook", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--into", type=Path, action="append", default=[], help="file with markers to fill")
    given = parser.parse_args()
    machine = describe()
    figures = [figure for name in given.parts.split(",") for figure in PARTS[name](given.rounds)]
    rows = [HEAD, *(figure.row() for figure in figures)]
    report.print_table(rows, "In the notebook")
    said = f"{machine['date']}: {machine['cpu']}, {machine['cores']} cores, load before the run {machine['load']}."
    for file in given.into:
        report.fill_part(file, "notebook", f"{said}\n\n{report.as_markdown(rows)}")
    sys.exit(any(row[-1] == "MORE" for row in rows))


if __name__ == "__main__":
    main()
