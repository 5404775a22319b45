"""A real JupyterLab or Notebook 7 on loopback, and notebooks in it, driven through headless Chromium.

Nothing is downloaded: the browser is the system's Chromium, and it resolves no name but 127.0.0.1. Each server has
a home of its own, for its settings, its trust database and the state folder of nbtasks.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import nbformat.v4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser, ConsoleMessage, Page

START_WITHIN_S = 60
CHROMIUM_FLAGS = [
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have 64 MB there: tabs would crash
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
]
_SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}


def find_chromium() -> str | None:
    """Return the path of a Chromium or Chrome on this machine, or None."""
    named = os.environ.get("NBTASKS_CHROMIUM")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return named or next((path for path in map(shutil.which, names) if path), None)


class JupyterServer:
    """A running server; ``app`` is ``lab`` or ``notebook``. Its kernels are of this environment, or of ``python``'s.

    Without ``widgets`` it is as where Jupyter has an environment of its own, and in that no ipywidgets.
    """

    def __init__(self, app: str, home: Path, python: str = sys.executable, *, widgets: bool = True) -> None:
        self.app = app
        self._python = python
        self.home = home
        self.root = home / "work"
        self.root.mkdir(parents=True)
        self.token = secrets.token_hex(16)
        self.log = home / "server.log"
        self._count = 0
        self._write_settings()
        if not widgets:
            config = home / "config" / "labconfig" / "page_config.json"
            config.parent.mkdir(parents=True)
            config.write_text(
                json.dumps({"disabledExtensions": {"@jupyter-widgets/jupyterlab-manager": True}})
            )
        self._start()

    def stop(self) -> None:
        """Stop the server; it shuts its kernels down."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def notebook(self, cells: Sequence[str]) -> str:
        """Write a notebook of code cells into a folder, and so with a server, of its own; returns its path."""
        self._count += 1
        name = f"n{self._count}/notebook.ipynb"
        (self.root / name).parent.mkdir()
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source.strip("\n")) for source in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.root / name)
        return name

    def read(self, name: str) -> Any:
        """Return a notebook as it is on disk."""
        return nbformat.read(self.root / name, as_version=4)

    def _write_settings(self) -> None:
        for name, values in _SETTINGS.items():
            file = self.home / "settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        expose = "LabApp" if self.app == "lab" else "JupyterNotebookApp"
        command = [
            self._python, "-m", {"lab": "jupyterlab", "notebook": "notebook"}[self.app], "--no-browser",
            "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}",
            "--ServerApp.disable_check_xsrf=True", f"--{expose}.expose_app_in_browser=True",
            *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.root, env=self.environment(), stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self._wait()

    def environment(self) -> dict[str, str]:
        home = str(self.home)
        folders = {
            "HOME": "", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "NBTASKS_HOME": "nbt",
        }  # fmt: skip
        paths = {name: f"{home}/{folder}".rstrip("/") for name, folder in folders.items()}
        return {**os.environ, **paths, "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}

    def _wait(self) -> None:
        end = time.monotonic() + START_WITHIN_S
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=2).read()
                return
            if self._process.poll() is not None or time.monotonic() > end:
                message = f"{self.app} did not start:\n{self.log.read_text()[-3000:]}"
                raise RuntimeError(message)
            time.sleep(0.1)


class OpenNotebook:
    """A notebook in a tab of the browser, its kernel started: a new one of these cells, or one open elsewhere."""

    def __init__(
        self,
        browser: Browser,
        server: JupyterServer,
        cells: Sequence[str] | OpenNotebook,
        *,
        dark: bool = False,
        width: int = 1180,
        scale: int = 1,
    ) -> None:
        self.server = server
        self.name = cells.name if isinstance(cells, OpenNotebook) else server.notebook(cells)
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": 1000}
        context = browser.new_context(viewport=size, device_scale_factor=scale, color_scheme=scheme)
        # A busy machine takes its time for a page.
        context.set_default_timeout(60_000)
        self.page: Page = context.new_page()
        self.console: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.console.append(f"pageerror: {error}"))
        self.open()
        if dark:
            self.theme("JupyterLab Dark")

    @property
    def folder(self) -> Path:
        """Where the notebook stands, and its kernel and tasks run."""
        return (self.server.root / self.name).parent

    def open(self) -> None:
        """Open the notebook, or open it again as after a reload of the page."""
        place = "doc/tree" if self.server.app == "lab" else "notebooks"
        self.page.goto(
            f"{self.server.url}/{place}/{self.name}?token={self.server.token}", wait_until="domcontentloaded"
        )
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function("() => !!window.jupyterapp", timeout=30_000)
        self.page.wait_for_function(
            f"() => {{ const k = {_KERNEL}; return k && k.connectionStatus === 'connected'; }}"
        )

    def close(self) -> None:
        """End the kernel and close the tab."""
        with contextlib.suppress(Exception):
            self.page.evaluate(f"async () => {{ await {_SESSION}.shutdown(); }}")
        self.page.context.close()

    def run(self, *cells: int) -> None:
        """Start these cells, or all; does not wait."""
        if not cells:
            self.command("notebook:run-all-cells", wait=False)
        for cell in cells:
            self.page.evaluate(f"(i) => {{ {_PANEL}.content.activeCellIndex = i; }}", cell)
            self.command("notebook:run-cell", wait=False)

    def idle(self, *cells: int, timeout: float = 60.0) -> None:
        """Wait until these cells, or all, have ended."""
        self.page.wait_for_function(
            f"""(wanted) => {{
                const cells = {_PANEL}.content.widgets.filter((c, i) => !wanted.length || wanted.includes(i));
                return cells.every(c => c.model.type !== 'code' || !c.model.sharedModel.source.trim()
                    || (c.model.executionCount !== null && c.model.executionState !== 'running'));
            }}""",
            arg=list(cells),
            timeout=timeout * 1000,
        )

    def command(self, name: str, arguments: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Run a command of the application."""
        answer = "return window.jupyterapp.commands.execute(name, given).then(() => null)"
        if not wait:
            answer = "window.jupyterapp.commands.execute(name, given); return null"
        self.page.evaluate(f"([name, given]) => {{ {answer} }}", [name, arguments or {}])

    def theme(self, name: str) -> None:
        """Show the page in ``JupyterLab Light`` or ``JupyterLab Dark``."""
        self.command("apputils:change-theme", {"theme": name})
        light = "true" if name.endswith("Light") else "false"
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")

    def save(self) -> Any:
        """Save the notebook and return what is on disk."""
        self.command("docmanager:save")
        return self.server.read(self.name)

    def problems(self) -> list[str]:
        """Return the errors that the page has logged, those of Jupyter itself that have no meaning here apart."""
        return [text for text in self.console if not any(known in text for known in _NOT_OURS)]

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console.append(message.text)


_PANEL = "window.jupyterapp.shell.currentWidget"
_SESSION = f"{_PANEL}.context.sessionContext"
_KERNEL = f"({_PANEL}?.context?.sessionContext?.session?.kernel)"
#: Parts of messages that Jupyter's own pages log without any widget of ours in them.
_NOT_OURS = (
    "Cannot read properties of undefined (reading 'schema')",  # Notebook 7.6, with any notebook
)
