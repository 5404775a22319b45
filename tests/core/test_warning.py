"""Warnings point at the user's line."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings

import pytest

from nbtasks.core.warning import warn

SCRIPT = """
from nbtasks import App, task
app = App()
large = b"x" * 2_000_000
@app.task
def first(x=0):
    return len(large)

def submit():
    {line}  # here

submit()
app.close()
"""
LINES = [
    "first.delay()",
    "first.apply_async()",
    "first.map([1, 2])",
    "first.starmap([(1,)], max_parallel=1)",
    "task(first.function).with_options(retries=1).delay(1)",
    "import threading; t = threading.Thread(target=first.delay); t.start(); t.join()",
    "from concurrent.futures import ThreadPoolExecutor as T; T().submit(first.delay).result()",
]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, marks=[pytest.mark.long] if 0 < place < 5 else [])
        for place, line in enumerate(LINES)
    ],
)
def test_a_function_that_captures_much_is_told_where_it_is_submitted(project, line):
    script = project / "script.py"
    script.write_text(SCRIPT.format(line=line))
    done = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True, timeout=60
    )
    number = script.read_text().splitlines().index(f"    {line}  # here") + 1
    assert done.stderr.startswith(f"{script}:{number}: UserWarning: first captures 1.9 MB")


def test_a_warning_is_told_once_for_each_line():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            warn("of this line")
        warn("of this line")
    assert [one.filename for one in told] == [__file__] * 2


def test_a_thread_of_its_own_points_at_the_main_thread():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        # A thread without a frame of the user's.
        thread = threading.Thread(target=warn, args=("from a thread",))
        thread.start()
        thread.join()
    assert [one.filename for one in told] == [__file__]
