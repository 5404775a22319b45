"""Fixtures of the browser tests: a Chromium for each file, a server of each kind for the run, a new notebook each."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .jupyter_server import CHROMIUM_FLAGS, JupyterServer, OpenNotebook, find_chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# Not for the whole run: as long as Playwright runs, its event loop runs in this thread, and no other test of this
# process could run one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium, headless; where there is none, Playwright's own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = find_chromium() or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.fail(f"no Chromium at {path}: install your system's, or name one in NBTASKS_CHROMIUM")
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def jupyter_servers(run_folder: Path) -> Iterator[Callable[[str], JupyterServer]]:
    """``jupyter_servers("lab")`` returns the run's server of that kind, started when it is first asked for."""
    running: dict[str, JupyterServer] = {}

    def server(app: str) -> JupyterServer:
        if app not in running:
            running[app] = JupyterServer(app, Path(tempfile.mkdtemp(prefix="j", dir=run_folder)))
        return running[app]

    yield server
    for one in running.values():
        one.stop()


@pytest.fixture
def lab_page(
    chromium: Any, jupyter_servers: Callable[[str], JupyterServer]
) -> Iterator[Callable[..., OpenNotebook]]:
    """``lab_page(cells, app="lab", dark=False)`` opens a new notebook; after the test no error may stand in the log.

    ``lab_page(notebook)`` opens one that is open already in one more browser.
    """
    opened: list[OpenNotebook] = []

    def page(cells: list[str] | OpenNotebook, app: str = "lab", *, dark: bool = False) -> OpenNotebook:
        opened.append(OpenNotebook(chromium, jupyter_servers(app), cells, dark=dark))
        return opened[-1]

    yield page
    problems = [problem for notebook in opened for problem in notebook.problems()]
    for notebook in opened:
        notebook.close()
    assert not problems
