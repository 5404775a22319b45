"""An App with an executor in a real kernel: cells, cards and magics, and no server."""

from pathlib import Path

import pytest

from nbtasks.local.keyfile import KEY_FILE

from .conftest import WIDGET

pytestmark = pytest.mark.kernel

SETUP = """
%load_ext nbtasks
from concurrent.futures import ThreadPoolExecutor
from nbtasks import App, task
app = App(engine=ThreadPoolExecutor(2))
"""


@pytest.fixture(scope="module")
def executing(bare_kernel):
    bare_kernel.run(SETUP)
    return bare_kernel


def heads(kernel):
    return [text.partition("\n")[0] for text in kernel.texts()]


def test_a_cell_has_its_card_and_its_value(executing, tmp_path):
    go = tmp_path / "go"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.01)"
    ran = executing.run(f"%%task -o handle\n# once\n{wait}\nprint('hello')\n6 * 7")
    assert sorted(ran.data[0]) == [WIDGET, "text/html", "text/plain"]
    executing.settle(lambda: executing.value("handle.state") == "'STARTED'")
    go.touch()
    executing.settle(lambda: any("once: done" in text for text in heads(executing)))
    assert "hello" in next(iter(executing.screen.values()))["text/html"]
    assert executing.value("handle.get()") == "42"
    assert executing.run("%%task -b for n in range(4)\nn * n").text == "[0, 1, 4, 9]"


def test_a_failure_shows_the_cells_own_lines(executing):
    ran = executing.run("%%task -b\n1 / 0")
    assert ran.ename == "ZeroDivisionError"
    assert "1 / 0" in ran.traceback


def test_what_the_lines_say(executing):
    assert "ThreadPoolExecutor" in executing.run("%workers").data[0]["text/plain"]
    for line in ("%workers start 2", "%workers stop", "%workers logs", "%workers invite"):
        ran = executing.run(line)
        assert "this App runs its calls on a ThreadPoolExecutor" in ran.evalue, line
    assert "once" in executing.run("%tasks").data[0]["text/plain"]
    dry_run = executing.run("%%task --dry-run\n1").data[0]["text/plain"]
    assert "Could be taken by ThreadPoolExecutor (2 slots)" in dry_run


def test_a_run_is_cancelled(executing, tmp_path):
    go = tmp_path / "go"
    wait = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.01)"
    executing.run(f"%%task -o waits for n in range(20)\n# waits\n{wait}")
    executing.settle(lambda: executing.value("len(waits.batch.running)") == "2")
    executing.run("%tasks cancel waits")
    executing.settle(lambda: executing.value("waits.batch.revoked_count") == "18")
    go.touch()
    executing.settle(lambda: executing.value("waits.ready()") == "True")
    assert executing.value("waits.completed_count()") == "2"


def test_there_is_no_server(executing):
    home = executing.value("__import__('os').environ['NBTASKS_HOME']").strip("'")
    assert not [path for path in Path(home).rglob("*") if path.is_socket() or path.name == KEY_FILE]
