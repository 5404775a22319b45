"""An App that names no broker takes a file where there is no embedded server for this platform."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.exceptions import ConfigError


@pytest.fixture(autouse=True)
def taken(monkeypatch, project, home):
    """It is told to, for here there is a server."""
    monkeypatch.setenv("NBTASKS_EMBEDDED", "file")


def test_three_cells():
    with App() as app:
        app.start_workers(2)

        @app.task
        def half(n):
            return n / 2

        assert half.map(range(1000)).get(timeout=90) == [n / 2 for n in range(1000)]
        assert app.connection.is_embedded
        assert app.connection.is_local
        assert app.connection.url.startswith("sqlite:////")
        assert Path(app.connection.url.removeprefix("sqlite:///")).stat().st_mode & 0o777 == 0o600


#: What a notebook does whose kernel was started anew.
_AGAIN = textwrap.dedent(
    """
    import sys
    from nbtasks import App
    with App() as app:
        print(sum(app.attach(sys.argv[1])[0].get(timeout=60)))
    """
)


def test_results_are_there_when_the_kernel_is_started_anew():
    with App() as app:
        app.start_workers(1)
        run = app.task(abs).map(range(-10, 0))
        run.get(timeout=60)
    found = subprocess.run(
        [sys.executable, "-c", _AGAIN, run.id], capture_output=True, text=True, check=True, timeout=90
    )
    assert int(found.stdout) == 55


def test_other_machines_are_not_invited_to_a_file():
    with App() as app, pytest.raises(ConfigError, match="other machines cannot reach the broker at sqlite:"):
        app.invite()


def test_what_it_is_told_must_be_one_of_two(monkeypatch):
    monkeypatch.setenv("NBTASKS_EMBEDDED", "sqlite")
    with pytest.raises(ConfigError, match="neither 'server' nor 'file'"):
        App().start_workers(1)


def test_the_server_is_taken_where_that_is_said(monkeypatch):
    monkeypatch.setenv("NBTASKS_EMBEDDED", "server")
    with App() as app:
        assert app.connection.url.startswith("unix://")
