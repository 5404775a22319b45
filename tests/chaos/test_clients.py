"""Clients that are killed, that sleep, and that share a batch."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbtasks.local.connection import Connection

from .conftest import every_leg
from .load import durations, work

SCRIPT = """
import sys
import zlib
import nbtasks

{work}

app = nbtasks.App(connection_file={file!r})
group = app.task(work).starmap({items!r}, chunk={chunk!r}, on_error="keep")
app.session.flush()
print(group.id, flush=True)
values = group.get(timeout=1000)
wrong = [value for index, value in enumerate(values) if value != zlib.crc32(f"{salt}:{{index}}".encode())]
print("wrong", len(wrong), flush=True)
sys.stdin.read()
"""
SALT = 7
#: A session's stream is cut to 20,000 events, about.
MOST_EVENTS = 22_000


class Client:
    """A process that submits a load, waits for it, and then says how many results were wrong."""

    def __init__(self, folder: Path, connection: Connection, items: list[tuple], chunk: int | None) -> None:
        file = folder / "connection.json"
        file.touch(0o600)
        file.write_text(json.dumps(connection.to_json()))
        script = folder / "client.py"
        source = inspect.getsource(work)
        script.write_text(SCRIPT.format(work=source, file=str(file), items=items, chunk=chunk, salt=SALT))
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            start_new_session=True,
        )
        self.batch = self.process.stdout.readline().strip()

    def verdict(self) -> str:
        """Wait for what it says at the end."""
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def client(idle_app, ledger, chance, tmp_path) -> Iterator[Callable[..., Client]]:
    """``client(n)`` starts a process that submits ``n`` calls to the App's server."""
    started: list[Client] = []

    def start(n: int, chunk: int | None = None) -> Client:
        times = durations(chance, n)
        items = [(index, SALT, times[index], ledger.path) for index in range(n)]
        started.append(Client(tmp_path, idle_app.connection, items, chunk))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.mark.long
@pytest.mark.parametrize(
    "n", [1500, pytest.param(50_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_a_client_sleeps_while_its_map_runs(
    n, idle_app, machine, matrix, faults, client, inventory, eventually
):
    """What it is told meanwhile is bounded; when more is lost than it has missed, it asks for the results."""
    machine(idle_app)
    matrix.warm_up(idle_app)
    one = client(n, chunk=1)
    with faults.stopped([one.process.pid]):
        load = matrix.follow(idle_app.attach(one.batch)[0], SALT, within=60 + n / 100)
        load.wait(60 + n / 100)
        held = inventory(idle_app)
        for events in held.names("e:"):
            assert held.client.xlen(held.root + events) < MOST_EVENTS
            # As if so much had happened that most of it was dropped.
            held.client.xtrim(held.root + events, maxlen=3, approximate=False)
    assert one.verdict() == "wrong 0"
    one.end()
    matrix.close(idle_app, "SIGSTOP of a client while its map runs; its events are lost")


@pytest.mark.parametrize("n", [600, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
@every_leg
def test_a_client_is_killed_and_others_attach(n, idle_app, machine, matrix, faults, client):
    """Two clients on one batch; the one that has submitted it is killed, a third one comes."""
    machine(idle_app)
    one = client(n)
    load = matrix.follow(idle_app.attach(one.batch)[0], SALT)
    load.wait_for(0.3)
    faults.note("kill the client", [])
    os.kill(one.process.pid, signal.SIGKILL)
    load.wait()
    # Here a third client reads all results again.
    matrix.close(idle_app, "kill -9 of the client; another one has attached, a third one comes")
