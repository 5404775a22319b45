"""An App that names no broker takes a file where there is no embedded server for this platform."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from nbtasks import App
from nbtasks.exceptions import ConfigError
from nbtasks.local.server import embedded
from nbtasks.local.server.keeper.layout import KEEPER_LOCK, SERVER_LOCK
from tests.jupyter.conftest import Kernel


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


def test_the_keeper_of_a_server_next_door_leaves_an_old_file_alone(
    monkeypatch, tmp_path_factory, project, eventually
):
    with App() as app:
        app.task(abs).delay(-1)
        file = Path(app.connection.url.removeprefix("sqlite:///"))
        other = file.parent.parent / "0123456789abcdef"
        other.mkdir(mode=0o700)
        then = time.time() - 2 * 24 * 3600
        for folder in (file.parent, other):
            # As a keeper has left them that looked there before.
            for name in (KEEPER_LOCK, SERVER_LOCK):
                (folder / name).touch(mode=0o600)
            for path in folder.rglob("*"):
                os.utime(path, (then, then))
        lease = embedded.acquire(tmp_path_factory.mktemp("next"))
        try:
            eventually(lambda: not other.exists(), "another old folder is removed")
        finally:
            lease.close()
        assert file.exists()


def test_commands_find_the_file(project):
    def said(*words):
        return subprocess.run(
            [sys.executable, "-m", "nbtasks", *words], capture_output=True, text=True, check=False, timeout=90
        )

    assert "nobody has used nbtasks in" in said("list").stderr
    with App() as app:
        app.start_workers(1)
        assert app.task(abs).delay(-1).get(timeout=60) == 1
        listed = said("list")
        assert listed.returncode == 0, listed.stderr
        assert re.match("default: 0 not ended; [^ ]+", listed.stdout)
    assert "a SQLite file in its place" in said("doctor").stdout


#: The quick start: three cells, and the kernel that shows them.
_CELLS = (
    "%load_ext nbtasks\n%workers start 2",
    "%%task -o squares for n in range(8)\n# square slowly\nimport time\ntime.sleep(0.1)\nn * n",
    "squares.get()",
)


@pytest.mark.kernel
def test_the_quick_start_in_a_kernel(project):
    folder = project / "kernel"
    folder.mkdir()
    kernel = Kernel(folder)
    try:
        ready, card, results = [kernel.run(cell) for cell in _CELLS]
        assert ready.stdout.startswith("2 worker processes ready")
        assert len(card.shown) == 1
        assert results.text == "[0, 1, 4, 9, 16, 25, 36, 49]"
        assert list((folder / "nbt" / "embedded").glob("*/broker.db"))
        kernel.run("%%task for n in range(8)\n# slow\nimport time\ntime.sleep(3600)")
        kernel.restart()
        assert "of 'slow' from an earlier session" in kernel.run("%load_ext nbtasks").stdout
        assert "attach" not in kernel.run("%tasks cancel earlier").stderr
    finally:
        kernel.stop()
