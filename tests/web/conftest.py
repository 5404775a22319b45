"""A dashboard as users start it: a process of its own, asked over HTTP."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

TOKEN = "a-token-of-these-tests-0123456789"


@dataclass
class Served:
    """A server that listens.

    Attributes:
        printed: the URL that it has printed.
    """

    process: subprocess.Popen[str]
    printed: str

    @property
    def base(self) -> str:
        """Without the token, with a slash at its end."""
        return self.printed.partition("?")[0]

    @property
    def token(self) -> str:
        """The token in the URL."""
        return parse_qs(urlsplit(self.printed).query)["token"][0]

    def stop(self) -> int:
        """End it as systemd does; returns how it has ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def started(
    broker: str, namespace: str, *words: str, command: str = "dashboard", **env: str
) -> Iterator[Served]:
    """Start ``nbtasks dashboard``, or another command that prints a URL."""
    line = [
        sys.executable,
        "-m",
        "nbtasks",
        command,
        "-b",
        broker,
        "--namespace",
        namespace,
        "--port",
        "0",
        *words,
    ]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
    )
    try:
        printed = process.stdout.readline().strip()
        assert re.match(r"https?://", printed), process.stderr.read()
        yield Served(process, printed)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="module")
def dashboard(shared_app) -> Iterator[Served]:
    """One for a module, with the token of these tests."""
    home = shared_app.connection
    with started(home.url, home.namespace, NBTASKS_DASHBOARD_TOKEN=TOKEN) as served:
        yield served


@pytest.fixture
def stranger(dashboard) -> Iterator[httpx.Client]:
    """A client that knows nothing but the address."""
    with httpx.Client(base_url=dashboard.base, timeout=30) as client:
        yield client


@pytest.fixture
def program(dashboard) -> Iterator[httpx.Client]:
    """A program with the token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=dashboard.base, timeout=30, headers=headers) as client:
        yield client


@pytest.fixture
def browser(dashboard) -> Iterator[httpx.Client]:
    """A browser that has opened the printed URL: it has the cookie, and what the page knows."""
    with httpx.Client(base_url=dashboard.base, timeout=30) as client:
        assert client.get(f"?token={TOKEN}").status_code == 200
        yield client
