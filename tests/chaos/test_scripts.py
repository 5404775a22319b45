"""Scripts that end while their server is away."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbtasks import App

from . import servers
from .load import Load, checksum, durations, work
from .report import Row, write
from .sites import SOON

N = 200
SALT = 7
SCRIPT = """
import sys
import nbtasks

{work}

app = nbtasks.App(broker={url!r})
items = {items!r}
task = app.task(work)
early = task.starmap(items, on_error="keep")
app.session.flush()
print(early.id, flush=True)
sys.stdin.readline()
task.starmap(items, on_error="keep")
{end}
"""
#: The script's last lines, and the exit code with which it ends without its server.
ENDS = {"": 120, "sys.exit(3)": 120, "raise ValueError('odd')": 120, "app.close()": 1}


@pytest.fixture
def server(run_folder: Path) -> Iterator[servers.Server]:
    """A server that loses nothing when it is stopped."""
    with tempfile.TemporaryDirectory(prefix="s", dir=run_folder) as folder:
        made = servers.Server(
            servers.find("bundled"), Path(folder), ("--appendonly", "yes", "--appendfsync", "always")
        )
        made.start()
        yield made
        made.stop()


def begin(end: str, url: str, ledger: str, times: list[float]) -> subprocess.Popen[str]:
    """Start a script that submits, waits for a line, submits again, and ends."""
    items = [(index, SALT, times[index], ledger) for index in range(N)]
    source = SCRIPT.format(work=inspect.getsource(work), url=url, items=items, end=end)
    return subprocess.Popen(
        [sys.executable, "-c", source],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told_by(script: subprocess.Popen[str], code: int) -> int:
    """Return how many calls a script says that it could not hand over when it ends with this exit code; else 0."""
    _, err = script.communicate(timeout=SOON)
    said = re.findall(r"(\d+) calls were accepted and could not be handed over", err)
    return int(said[0]) if script.returncode == code and len(said) == 1 else 0


@pytest.mark.long
def test_a_call_runs_or_is_told(server, home, machine, faults, seed, chance, ledger) -> None:
    times = durations(chance, N)
    scripts = [begin(end, server.url, ledger.path, times) for end in ENDS]
    early = [script.stdout.readline().strip() for script in scripts]
    faults.note("stop the server")
    server.stop()
    for script in scripts:
        script.stdin.write("go\n")
        script.stdin.flush()
    told = sum(told_by(script, code) for script, code in zip(scripts, ENDS.values(), strict=True))
    server.start()
    with App("second", broker=server.url) as app:
        machine(app)
        loads = [Load.follow(app.attach(batch)[0], ledger.path, SALT) for batch in early]
        for load in loads:
            load.wait()
        right = sum(
            seen == ("SUCCESS", checksum(index, SALT)) for load in loads for index, seen in load.seen.items()
        )
    # Of what was told nothing is executed.
    executions = [line for line in ledger.lines() if line == "S"]
    calls, doubled = 2 * N * len(ENDS), len(executions) - right
    row = "a script ends while its server is away: its calls run later, or it names them and fails"
    write(Row(row, "bundled", seed, len(faults), calls, len(executions), calls - right - told, 0, doubled))
    assert (told, right, doubled) == (N * len(ENDS), N * len(ENDS), 0)
