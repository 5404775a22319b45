"""The files of docs/guide/deployment.md: systemd finds nothing wrong, and supervisord runs a worker with them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nbtasks import App

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "deployment.md"
PROGRAM = Path(sys.executable).with_name("nbtasks")
SUPERVISOR = """
[unix_http_server]
file={folder}/s.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{folder}/s.sock

[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
"""


def sample(first: str) -> str:
    """Return the file of the page that begins with a line."""
    blocks = re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return next(block for block in blocks if block.startswith(first))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = tmp_path / "nbtasks-worker.service"
    text = sample("# /etc/systemd")
    for there, here in (("/opt/nbtasks/bin/nbtasks", str(PROGRAM)), ("User=nbtasks", "User=root")):
        assert there in text
        text = text.replace(there, here)
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    about_it = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, about_it) == (0, [])
    arguments = re.search(r"^ExecStart=\S+ (.*)$", text, re.MULTILINE)[1].split()
    assert not subprocess.run(
        [str(PROGRAM), *arguments, "--help"], capture_output=True, timeout=60, check=False
    ).returncode


class Supervised:
    """A supervisord of the test's own."""

    def __init__(self, folder: Path, program: str) -> None:
        self.conf = folder / "supervisord.conf"
        self.conf.write_text(SUPERVISOR.format(folder=folder) + program)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.conf)], cwd=folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.conf), *words],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.stdout

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture
def supervised(project, home):
    """A worker as the page has it, under supervisord, and an App for it."""
    pytest.importorskip("supervisor")
    with App("supervised") as app:
        app.write_connection_file(project / "connection.json")
        text = sample("; /etc/supervisor")
        for there, here in (
            ("/opt/nbtasks/bin/nbtasks", str(PROGRAM)),
            ("/etc/nbtasks/connection.json", str(project / "connection.json")),
            ("user=nbtasks\n", ""),
            ("-c 8", "-c 1"),
        ):
            assert there in text
            text = text.replace(there, here)
        # The server's socket has a short path; that of supervisord, too.
        folder = home / "sup"
        folder.mkdir()
        ctl = Supervised(folder, text)
        yield app, ctl
        ctl.end()


@pytest.mark.long
def test_supervisord_starts_stops_and_restarts_a_worker(supervised, eventually, gate):
    app, ctl = supervised
    (first,) = eventually(app.workers, "supervisord has started the worker")
    assert app.task(_double).delay(4).get(timeout=60) == 8

    # Another one takes its place, whoever ended it.
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: [one for one in app.workers() if one.pid != first.pid], "it is started again")
    assert app.task(_double).delay(5).get(timeout=60) == 10

    # A stop is warm: what runs ends first, and what waits stays for the next one.
    held = app.task(_held)
    before = [held.delay(gate.path, n) for n in range(3)]
    eventually(lambda: before[0].state == "STARTED", "the first one runs")
    stopping = threading.Thread(target=ctl, args=("stop", "nbtasks"))
    stopping.start()
    eventually(lambda: "STOPPING" in ctl("status", "nbtasks"), "it was told to stop")
    gate.open()
    stopping.join(60)
    assert before[0].get(timeout=60) == 0
    assert [one.state for one in before[1:]] == ["PENDING", "PENDING"]
    assert "STOPPED" in ctl("status", "nbtasks")
    assert "started" in ctl("start", "nbtasks")
    assert [one.get(timeout=60) for one in before[1:]] == [1, 2]
    assert "started" in ctl("restart", "nbtasks")
    assert app.task(_double).delay(6).get(timeout=60) == 12


def _double(n):
    return 2 * n


def _held(path, n):
    import time

    while not Path(path).exists():
        time.sleep(0.02)
    return n
