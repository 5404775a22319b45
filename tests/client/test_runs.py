"""Handles as one list, and bars in a terminal: ``nbtasks.progress(handles)``, ``show()``, ``get(progress=True)``."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

import nbtasks
from nbtasks import App, RunList

SOON = 120.0
SCRIPT = """
import sys, time
from nbtasks import App, progress

def work(n):
    if n == 7:
        raise ValueError("seven")
    return n

def wait(n):
    time.sleep(600)

if __name__ == "__main__":
    with App("script") as app:
        app.start_workers(1)
        task = app.task(work)
        print(task.map(range(20)).get(propagate=False, progress=True)[:3])
        task.delay(3).show()
        runs = progress([task.map(range(2), label=f"run {n}") for n in range(12)])
        print(runs)
        if "wait" in sys.argv:
            waiting = app.task(wait).map(range(3))
            print("ready to be stopped", flush=True)
            try:
                waiting.get(progress=True)
            except KeyboardInterrupt as stopped:
                print("stopped:", stopped)
            waiting.revoke(terminate=True)
"""


def double(n):
    if n == 3:
        raise ValueError("three")
    return 2 * n


def test_a_list_has_a_row_for_each_map_and_one_for_all_single_calls_of_a_task(shared_app, capsys):
    task = shared_app.task(double)
    maps = [task.map(range(4), label=f"map {n}") for n in range(3)]
    calls = [task.delay(n) for n in range(5)]
    runs = RunList([maps[0], calls[0], *maps, *calls, maps[2][1]])
    assert runs.until_ready(SOON)
    assert [(run.title, run.n) for run in runs.runs] == [
        ("map 0", 4), (f"{__name__}.double", 5), ("map 1", 4), ("map 2", 4), ("map 2", 1)
    ]  # fmt: skip
    assert repr(runs) == "<RunList: 5 runs, 18 calls: 14 SUCCESS, 4 FAILURE>"
    assert runs.ready()
    shown = nbtasks.progress(calls)
    assert [run.n for run in shown.runs] == [5]
    assert capsys.readouterr().err == f"{__name__}.double: 4 of 5 done, 1 failed\n"
    assert nbtasks.progress(3, 10) is nbtasks.progress("text") is nbtasks.progress([1, 2]) is None
    with pytest.raises(TypeError, match="takes AsyncResult and GroupResult, not 5"):
        nbtasks.progress([calls[0], 5])


def test_a_list_cancels_and_retries_all_of_it_and_takes_several_apps(shared_app, home, tmp_path, eventually):
    gate = tmp_path / "gate"

    def wait(path, n):
        import pathlib

        if not pathlib.Path(path).exists():
            raise ValueError("closed")
        return n

    with App("other", namespace="other") as other:
        late = other.task(wait)
        runs = RunList(
            [late.delay(str(gate), 1), late.delay(str(gate), 2), shared_app.task(double).map([1, 3])]
        )
        assert runs.handles[2].until_ready(SOON)
        assert not runs.until_ready(0)
        runs.revoke()
        eventually(runs.ready, "what nobody has begun is revoked")
        assert [run.counts()["REVOKED"] for run in runs.runs] == [2, 0]
        other.start_workers(1)
        gate.touch()
        again = runs.retry_failed()
        assert again.until_ready(SOON)
        with pytest.raises(nbtasks.ConfigError, match="no call of the list has failed"):
            RunList([shared_app.task(double).delay(1)]).retry_failed()


def test_single_calls_are_read_as_one_run(shared_app):
    calls = [shared_app.task(double).delay(n) for n in range(5)]
    [call.get(SOON, propagate=False) for call in calls]
    (run,) = RunList(calls).runs
    assert (run.kind, run.n, run.finished_count, run.failed_count, run.done) == ("calls", 5, 5, 1, True)
    assert [run.call_id(index) for index in range(5)] == [call.id for call in calls]
    assert run.item_label(2) == "n=2"
    assert [run.state(index) for index in (0, 3)] == ["SUCCESS", "FAILURE"]
    assert run.failures[3].message == "three"
    record, payload = run.record(4)
    assert (record.first, len(record.states), record.payloads[0]) == (4, 1, payload)
    assert run.created_at <= run.ended_at


def script(folder, *words):
    (folder / "script.py").write_text(SCRIPT)
    return [sys.executable, "script.py", *words]


def test_a_script_without_a_terminal_gets_one_line_on_stderr(project):
    done = subprocess.run(script(project), capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == ["[0, 1, 2]", "<RunList: 12 runs, 24 calls: 24 SUCCESS>"], done.stderr
    assert done.stderr.splitlines() == [
        "work: 19 of 20 done, 1 failed", "work: 1 of 1 done", "12 runs: 24 of 24 done"
    ]  # fmt: skip


def test_a_script_in_a_terminal_draws_bars_and_ctrl_c_leaves_the_terminal_clean(project):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        script(project, "wait"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    seen, stopped, end = b"", False, time.monotonic() + 100
    while time.monotonic() < end:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            seen += part
        drawn = seen.rpartition(b"ready to be stopped")[2]
        if not stopped and b"ready to be stopped" in seen and b"0/3" in drawn:
            stopped = True
            process.send_signal(signal.SIGINT)
    os.close(ours)
    assert process.wait(30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "20/20" in text
    assert "1 failed" in text
    assert "12 runs" in text
    assert "stopped: the calls of wait" in text
    # The cursor is shown again after it was hidden, and what follows stands on a line of its own.
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l")
    assert "\nstopped: the calls" in text.replace("\r", "\n")
