"""A cell that runs again, a kernel that is restarted: what becomes of the earlier run."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.kernel

SLOW = """
%%task {options} -o h for n in range(12)
# slow
import time, pathlib
with open({marks!r}, "a") as file:
    file.write(f"{{n}}\\n")
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.02)
"""


@pytest.fixture
def slow(tmp_path):
    """A cell whose calls wait for a gate, and the items that have been started."""

    class Slow:
        gate = tmp_path / "gate"
        marks = tmp_path / "marks"

        def cell(self, options=""):
            return SLOW.format(options=options, gate=str(self.gate), marks=str(self.marks))

        def started(self):
            return self.marks.read_text().split() if self.marks.exists() else []

    yield Slow()
    Slow.gate.touch()


def test_where_nothing_was_submitted_ever_nothing_is_said(kernel):
    ran = kernel.run("%workers start 2")
    assert (ran.status, ran.stdout.count("\n")) == ("ok", 1)


def test_the_same_cell_again_replaces_what_has_not_started(kernel, slow):
    kernel.run(slow.cell(), cell="c1")
    kernel.run("first = h")
    kernel.settle(lambda: len(slow.started()) == 2)
    ran = kernel.run(slow.cell(), cell="c1")
    assert re.search(
        r"This replaces the cell's earlier run \(\w{6}\): 10 calls had not started and are revoked, "
        r"2 go on\. `--again` would keep both\.",
        ran.stdout,
    )
    slow.gate.touch()
    kernel.run("ends = first.until_ready(), h.until_ready()")
    assert kernel.value("(first.completed_count(), h.completed_count())") == "(2, 12)"
    assert len(slow.started()) == 14


def test_again_keeps_both_and_other_cells_are_left_alone(kernel, slow):
    kernel.run(slow.cell(), cell="c2")
    kernel.run("first = h")
    kernel.settle(lambda: len(slow.started()) == 2)
    assert kernel.run(slow.cell("--again"), cell="c2").stdout == ""
    assert kernel.run(slow.cell(), cell="c3").stdout == ""
    assert kernel.value("first.why_pending() is None and first.ready()") == "False"
    said = kernel.run(slow.cell(), cell="c3").stdout
    assert "12 calls had not started and are revoked. `--again`" in said
    kernel.run("%tasks cancel all")


def test_without_ids_of_cells_the_source_tells(kernel, slow):
    kernel.run(slow.cell())
    kernel.settle(lambda: len(slow.started()) == 2)
    assert "10 calls had not started and are revoked" in kernel.run(slow.cell()).stdout
    assert kernel.run(slow.cell() + "# another one").stdout == ""
    kernel.run("%tasks cancel all")


def test_a_run_of_which_everything_has_started_goes_on(kernel, slow):
    one = slow.cell().replace("for n in range(12)", "").replace("{n}", "x")
    kernel.run(one, cell="c4")
    kernel.settle(lambda: len(slow.started()) == 1)
    said = kernel.run(one, cell="c4").stdout
    assert re.fullmatch(
        r"The cell's earlier run \((\w{6})\) goes on with 1 call; `%tasks cancel \1` stops it\.\n", said
    )
    kernel.run("%tasks cancel all")


NAP = """
import pathlib, time
from nbtasks import task
@task
def nap(n):
    with open({marks!r}, "a") as file:
        file.write(f"{{n}}\\n")
    while not pathlib.Path({gate!r}).exists():
        time.sleep(0.02)
    return n
"""


@pytest.fixture
def nap(kernel, slow):
    """A task in the notebook whose calls wait for the gate; returns the Slow of it."""
    kernel.run(NAP.format(gate=str(slow.gate), marks=str(slow.marks)))
    kernel.run("%workers start 2")
    return slow


def test_a_map_again_replaces_what_has_not_started(kernel, nap):
    kernel.run("m = nap.map(range(5))", cell="c5")
    kernel.settle(lambda: len(nap.started()) == 2)
    said = kernel.run("m = nap.map(range(5))", cell="c5").stdout
    assert re.fullmatch(
        r"This replaces the cell's earlier run \(\w{6}\): 3 calls had not started and are revoked, "
        r"2 go on\. `again=True` would keep both\.\n",
        said,
    )
    # Two in one run of the cell are no repetition; the others are.
    assert kernel.run("ms = nap.map(range(2)), nap.map(range(2))", cell="c6").stdout == ""
    said = kernel.run("ms = nap.map(range(2)), nap.map(range(2))", cell="c6").stdout
    assert re.search(r"earlier runs \(\w{6} and 1 more\): 4 calls had not started and are revoked\.", said)
    assert kernel.run("ms = nap.map(range(2), again=True)", cell="c6").stdout == ""
    # Another task in the cell, or none at all, replaces nothing.
    assert kernel.run("from nbtasks import task\nx = task(str).map([1])", cell="c6").stdout == ""
    assert kernel.run("print(m.ready())", cell="c5").stdout == "False\n"
    nap.gate.touch()
    assert kernel.value("m.get(timeout=60)") == "[0, 1, 2, 3, 4]"
    assert kernel.value("ms.get(timeout=60)") == "[0, 1]"


def test_a_map_that_somebody_has_or_waits_for_goes_on(kernel, nap):
    kernel.run("m = nap.map(range(5))", cell="c5")
    kernel.run("first = m", cell="c6")
    said = kernel.run("m = nap.map(range(5))", cell="c5").stdout
    goes_on = r"The cell's earlier run \((\w+)\) goes on with 5 calls, for %s; `%%tasks cancel \1` stops it\."
    assert re.search(goes_on % "`first` has its handle", said)
    kernel.run(
        "import threading\nfound = []\nthreading.Thread(target=lambda m: found.append(m.get()), args=[m]).start()"
    )
    kernel.settle(
        lambda: (
            kernel.value("__import__('nbtasks.client.waiting').client.waiting.is_awaited(m.batch)") == "True"
        )
    )
    said = kernel.run("m = nap.map(range(5))", cell="c5").stdout
    assert re.search(goes_on % "somebody waits for it", said)
    said = kernel.run("every = [m]\nevery.append(nap.map(range(5)))", cell="c7").stdout
    assert said == ""
    said = kernel.run("every.append(nap.map(range(5)))", cell="c7").stdout
    assert re.search(goes_on % "`every` has its handle", said)
    nap.gate.touch()
    assert kernel.value("first.get(timeout=60)") == "[0, 1, 2, 3, 4]"
    kernel.settle(lambda: kernel.value("found") == "[[0, 1, 2, 3, 4]]")


def test_single_calls_again_are_replaced_where_their_handles_are_lost(kernel, nap):
    loop = "hs = [nap.delay(n) for n in range(6)]"
    kernel.run(loop, cell="c5")
    kernel.settle(lambda: len(nap.started()) == 2)
    said = kernel.run(loop, cell="c5").stdout
    assert re.search(r"earlier runs? \(.*\): 4 calls had not started and are revoked", said)
    # Whoever sends one more and keeps no handle means one more.
    assert kernel.run("nap.delay(7);", cell="c6").stdout == ""
    assert kernel.run("nap.delay(7);", cell="c6").stdout == ""
    again = "hs = [nap.apply_async((n,), again=True) for n in range(6)]"
    assert kernel.run(again, cell="c5").stdout == ""
    nap.gate.touch()
    assert kernel.value("[h.get(timeout=60) for h in hs]") == "[0, 1, 2, 3, 4, 5]"
    kernel.settle(lambda: nap.started().count("7") == 2)
    assert len(nap.started()) == 2 + 6 + 6 + 2


def test_restart_and_run_all_twice_runs_each_call_once_more_at_most(kernel, nap):
    kernel.run("m = nap.map(range(8))", cell="c5")
    kernel.settle(lambda: len(nap.started()) == 2)
    for times in (2, 3):
        kernel.restart()
        kernel.run("%load_ext nbtasks")
        kernel.run(NAP.format(gate=str(nap.gate), marks=str(nap.marks)))
        kernel.run("%workers start 2")
        # What has begun is begun anew, for its workers have gone with the kernel.
        kernel.settle(lambda times=times: len(nap.started()) >= 2 * times)
        said = kernel.run("m = nap.map(range(8))", cell="c5").stdout
        assert re.search(r"\d calls had not started and are revoked.* `again=True` would keep both", said)
    nap.gate.touch()
    assert kernel.value("m.get(timeout=60)") == "[0, 1, 2, 3, 4, 5, 6, 7]"
    assert len(nap.started()) <= 2 * 3 + 8


def test_after_a_restart_the_earlier_run_is_named_and_replaced(kernel, slow):
    kernel.run(slow.cell(), cell="c7")
    kernel.settle(lambda: len(slow.started()) == 2)
    kernel.restart()
    told = (
        "12 calls of 'slow' from an earlier session of this notebook have not ended: "
        "`%tasks attach` brings them back, `%tasks cancel earlier` stops them.\n"
    )
    assert kernel.run("%load_ext nbtasks").stdout == told
    ran = kernel.run("%workers start 2")
    assert ran.stdout.endswith(told)
    kernel.settle(lambda: len(slow.started()) == 4)
    said = kernel.run(slow.cell(), cell="c7").stdout
    assert "10 calls had not started and are revoked, 2 go on" in said
    slow.gate.touch()
    kernel.run("h.until_ready()")
    assert len(slow.started()) == 16


@pytest.mark.long
def test_what_earlier_sessions_have_left_can_be_cancelled(kernel, slow):
    kernel.run(slow.cell(), cell="c8")
    kernel.run("import time\nfrom nbtasks import task\n@task\ndef nap(n):\n    time.sleep(60)")
    kernel.run("naps = [nap.delay(1) for _ in range(3)]")
    kernel.settle(lambda: len(slow.started()) == 2)
    kernel.restart()
    told = kernel.run("%load_ext nbtasks").stdout
    assert told.startswith("12 calls of 'slow' and 3 calls of 'nap' from an earlier session")
    assert re.fullmatch(r"Revoked 15 calls of \d runs\.\n", kernel.run("%tasks cancel earlier").stdout)
    assert "earlier session" not in kernel.run("%workers start 2").stdout
    assert kernel.run("%tasks cancel earlier").stdout == "Revoked 0 calls of 0 runs.\n"
    kernel.restart()
    # Nothing is left, and nothing is started to find that out.
    assert kernel.run("%load_ext nbtasks").stdout == ""
    assert kernel.run("%workers start 2").status == "ok"
