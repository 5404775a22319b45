"""Errors as a notebook shows them, and the debugger after them, in a real kernel."""

from __future__ import annotations

import re
import threading
from queue import Empty

import pytest

pytestmark = pytest.mark.kernel

TASKS = """
from nbtasks import task
import threading

class Model:
    def __init__(self): self.weights = [1, 2]

def share(row, model):
    total = {"of": row}
    return total["of"] + 1 + total["all"] * len(model.weights)

@task
def report(row):
    return share(row, Model()) + 1
"""


def shown(ran):
    """A traceback without its colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", ran.traceback)


def ask(kernel, code, *answers):
    """Run a cell that asks at the keyboard; returns what it brought."""
    left = list(answers)
    over = threading.Event()

    def answer():
        while not over.is_set():
            try:
                kernel.client.get_stdin_msg(timeout=0.1)
            except Empty:
                continue
            kernel.client.input(left.pop(0) if left else "q")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return kernel.run(code)
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def failed(kernel):
    """A kernel in which `report` is defined, and a call of it has failed as `r`."""
    kernel.run(TASKS)
    kernel.run("r = report.delay(3)\nr.until_ready()")
    return kernel


def test_only_the_notebooks_lines_are_shown(failed):
    for code in ("r.get()", "await r", "report.map([1, 2]).get()"):
        text = shown(failed.run(code))
        assert "/nbtasks/" not in text, text
        assert re.search(r"Cell In\[\d+\], line 9, in share\(\)", text)
        assert text.splitlines()[2].startswith("Cell In[")


def test_the_failing_expression_is_marked(failed):
    lines = failed.run("r.get()").traceback.splitlines()
    (line,) = (line for line in lines if "len(model" in line or "weights" in line)
    assert "".join(re.findall(r"\x1b\[[\d;]*43m([^\x1b]*)", line)) == 'total["all"]'


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("report.delay(1, 2, 3)", "TypeError: report(row): too many positional arguments"),
        ("report.map([1], chunk=0)", "ConfigError: chunk: 0 is not a whole number"),
        ("report.delay(threading.Lock())", "NotPicklable: report, call 0: argument 0 (lock)"),
        ("report.map([1], queue='nowhere').get(timeout=0.1)", "TimeoutError: 1 of 1 calls"),
        ("list(report.map([1], queue='nowhere').as_completed(0.1))", "TimeoutError: 1 of 1 calls"),
    ],
)
def test_a_refusal_shows_the_cells_line_and_nothing_below_it(failed, code, said):
    text = shown(failed.run(code))
    assert said in text
    assert "/nbtasks/" not in text
    assert f"----> 1 {code}" in text


def test_debug_after_get_has_the_variables(failed):
    failed.run("r.get()")
    ran = ask(failed, "%debug", "p row, total", "p model.weights", "up", "p row")
    printed = re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)
    for said in ("(3, {'of': 3})", "[1, 2]", "\n3\n"):
        assert said in printed, printed


def test_debug_runs_the_call_again_with_what_was_sent(failed):
    failed.run("def share(row, model):\n    return 'mended'")
    ident = failed.value("r.id")[1:-1]
    ran = ask(failed, f"%tasks debug {ident}", "p model.weights + [row]", "up", "p type(row)")
    printed = re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)
    assert "report(3), once more and here" in printed
    assert "as they were sent" in printed
    assert "[1, 2, 3]" in printed
    assert "<class 'int'>" in printed
    assert 'total["all"]' in shown(ran)
    failed.run(TASKS)


def test_debug_of_a_call_of_a_map(failed):
    failed.run("g = (task(lambda n: 12 // n)).map([3, 0, 4], quiet=True); g.until_ready()")
    ident = failed.value("g.id")[1:-1]
    ran = ask(failed, f"%tasks debug {ident}", "p n")
    assert "\n0\n" in re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)
    assert failed.run(f"%tasks debug {ident}:2").text == "3"
    assert "there is no :7" in failed.run(f"%tasks debug {ident}:7").stderr


def test_debug_after_a_failed_retry_runs_what_was_sent_last(failed):
    failed.run("@task\ndef twice(n):\n    return n / (n - n)")
    failed.run("t = twice.map([7, 8], quiet=True); t.until_ready()")
    failed.run("@task\ndef twice(n):\n    return {'edited': n}['no']")
    failed.run("t.retry_failed(); t.until_ready()")
    ran = ask(failed, f"%tasks debug {failed.value('t.id')[1:-1]}:1", "p n")
    assert "KeyError: 'no'" in shown(ran)
    assert "\n8\n" in re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)


def test_debug_has_the_modules_that_were_sent_and_leaves_the_notebooks_own(failed):
    failed.run(
        "open('rates.py', 'w').write('RATE = 0\\ndef convert(x):\\n    return x / RATE\\n'); import rates"
    )
    failed.run("c = task(lambda x: rates.convert(x)).delay(8); c.until_ready()")
    failed.run("open('rates.py', 'w').write('RATE = 2\\n\\n\\ndef convert(x):\\n    return x / RATE\\n')")
    failed.run("import importlib; own = importlib.reload(rates); import sys; path = sys.path[:]")
    ran = ask(failed, f"%tasks debug {failed.value('c.id')[1:-1]}", "p x + RATE")
    assert "\n8\n" in re.sub(r"\x1b\[[\d;]*m", "", ran.stdout)
    assert "return x / RATE" in shown(ran)
    assert (
        failed.value("(own is rates is sys.modules['rates'], rates.RATE, sys.path == path)")
        == "(True, 2, True)"
    )


def test_where_nobody_watches_it_is_said_what_to_do(failed):
    ran = failed.run("%tasks debug report", watched=False)
    assert "needs somebody at a keyboard" in ran.stdout
    assert "KeyError" in shown(ran)


def test_stop_in_an_await_says_what_goes_on(failed):
    failed.run("import time\nheld = task(time.sleep).delay(30)")
    code = "print('waits')\nawait held"
    ran = failed.run(code, stop_when=lambda: "waits" in failed.printed)
    text = shown(ran)
    assert "goes on; stop it with revoke(terminate=True)" in text
    assert "/nbtasks/" not in text
    failed.run("held.revoke(terminate=True)")


def test_a_warning_names_the_cell(failed):
    ran = failed.run("data = bytearray(2_000_000)\ntask(lambda: len(data)).delay();")
    assert re.search(r"^Cell In\[\d+\]:2: UserWarning: .*captures", ran.stderr, re.MULTILINE)
    assert "ipykernel_" not in ran.stderr


def test_cancel_says_what_was_cancelled(failed):
    failed.run("import time\nheld = task(time.sleep).map([30] * 6, quiet=True)")
    failed.run(f"%tasks cancel {failed.value('held.id')[1:-1]}")
    ran = failed.run("held.get()")
    assert "6 of 6 calls of time.sleep" in ran.evalue
    assert "were cancelled by %tasks cancel; none had ended" in ran.evalue


def test_a_name_that_nobody_defines_is_said_before_anything_is_sent(failed):
    ran = failed.run("%%task -b\nif not print:\n    shar()\n'right'")
    assert ran.text == "'right'"
    assert "The name 'shar' (line 3; did you mean 'share'?) is not defined" in ran.stdout
