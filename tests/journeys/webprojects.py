"""Web projects in a folder of their own, with a server and a worker, as people start them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

SOON = 60.0


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a project; packages have an ``__init__.py`` in any case."""
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        if path.parent != folder:
            (path.parent / "__init__.py").touch()


@contextlib.contextmanager
def running(folder: Path, *command: str) -> Iterator[Path]:
    """Run a program of the project, and end it; yields the file with what it writes."""
    log = folder / f"{command[1]}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class Site:
    """A web server as its users see it."""

    def __init__(self, port: int, eventually: Callable[..., Any], log: Path) -> None:
        self._port = port
        self._eventually = eventually
        self._log = log

    def get(self, path: str) -> Any:
        """Return what a page answers; the server may still be starting."""
        return self._eventually(lambda: self._answer(path), f"an answer; {self._log.read_text()[-2000:]}")

    def result(self, path: str) -> Any:
        """Return the value of a call that a page tells of."""
        told = self._eventually(
            lambda: (found := self.get(path))["state"] in {"SUCCESS", "FAILURE"} and found, "the call ends"
        )
        assert told["state"] == "SUCCESS", told
        return told["value"]

    def _answer(self, path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=SOON) as page:
                return json.load(page)
        except urllib.error.HTTPError as error:
            raise AssertionError(
                f"{path}: {error.read().decode()[-3000:]}\n{self._log.read_text()}"
            ) from error
        except (ConnectionError, urllib.error.URLError):
            return None
