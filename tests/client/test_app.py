"""The App: what its end leaves behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nbtasks import App

SOON = 20.0
SCRIPT = """
from nbtasks import App
app = App()
{start}
handles = [app.task(len).delay("a" * number) for number in range(200)]
print(handles[-1].id)
{end}
"""


def run(script):
    """Run a script in the current folder; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.strip()


@pytest.mark.parametrize("end", ["", "app.close()"])
def test_what_was_submitted_last_is_there_after_the_end(project, end):
    # Five times, for it was lost in about every second run.
    last = [run(SCRIPT.format(start="", end=end)) for _ in range(5)]
    with App() as app:
        app.start_workers(1)
        assert [app.AsyncResult(name).get(timeout=SOON) for name in last] == [199] * 5


@pytest.mark.parametrize("end", ["", "app.close()"])
def test_workers_take_leave_at_the_end(project, end):
    run(SCRIPT.format(start="app.start_workers(1)", end=end))
    with App() as app:
        assert app.workers() == []
