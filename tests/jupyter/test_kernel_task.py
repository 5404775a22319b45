"""``%%task`` and ``%task`` in a real kernel, with a real server and real workers."""

import re
import sys

import pytest

pytestmark = pytest.mark.kernel


def test_the_handle_is_out_n_and_the_value_comes_by_get(kernel):
    kernel.run("x = 3")
    ran = kernel.run("%%task -o handle\n# add\ny = x + 4\ny")
    assert ran.status == "ok"
    assert kernel.value("handle is _") == "True"
    assert kernel.value("handle.get()") == "7"
    assert kernel.value("'y' in globals()") == "False"
    assert kernel.value("handle.name") == "'add'"


def test_block_returns_the_value(kernel):
    assert kernel.run("%%task -b\n6 * 7").text == "42"
    assert kernel.run("%%task -b\n6 * 7;").text == ""


def test_a_for_clause_makes_one_call_for_each_item(kernel):
    ran = kernel.run("%%task -b for a, b in zip('xy', range(2)) if b < 5\na * (b + 1)")
    assert ran.text == "['x', 'yy']"


def test_values_are_written_back_with_get(kernel):
    ran = kernel.run("%%task -g total,parts\nparts = [1, 2]\ntotal = sum(parts)\n'shown'")
    assert ran.text == "'shown'"
    assert kernel.value("(total, parts)") == "(3, [1, 2])"
    kernel.run("%%task -g squares for n in range(4)\nn * n")
    assert kernel.value("squares") == "[0, 1, 4, 9]"
    kernel.run("%%task -g odd,even for n in range(3)\nodd = 2 * n + 1\neven = 2 * n")
    assert kernel.value("(odd, even)") == "([1, 3, 5], [0, 2, 4])"


def test_names_stay_untouched_when_the_task_fails(kernel):
    kernel.run("kept = 'old'")
    ran = kernel.run("%%task -g kept\nkept = 1 / 0")
    assert ran.ename == "ZeroDivisionError"
    assert kernel.value("kept") == "'old'"


def test_a_failure_raises_the_original_with_the_cells_lines(kernel):
    ran = kernel.run("%%task -b\n# broken\ndef divide(n):\n    return 1 / n\ndivide(0)")
    traceback = re.sub(r"\x1b\[[\d;]*m", "", ran.traceback)
    assert (ran.status, ran.ename) == ("error", "ZeroDivisionError")
    assert re.search(r"Cell In\[\d+\], line 5.*in cell", traceback)
    assert "----> 4     return 1 / n" in traceback
    assert "/nbtasks/" not in traceback


def test_a_cause_is_shown_with_its_own_lines(kernel):
    cell = "%%task -b\n# chained\ntry:\n    {}['key']\nexcept KeyError as error:\n    raise OSError('outer') from error"
    ran = kernel.run(cell)
    traceback = re.sub(r"\x1b\[[\d;]*m", "", ran.traceback)
    assert ran.ename == "OSError"
    assert "KeyError: 'key'" in traceback
    assert "direct cause of the following exception" in traceback
    assert re.search(r"-+> \d+ +\{\}\['key'\]", traceback)


def test_a_seed_makes_a_run_reproducible(kernel):
    cell = "%%task -b --seed 3 for i in range(3)\nimport random\nrandom.random()"
    first = kernel.run(cell).text
    assert first.count("0.") == 3
    assert kernel.run(cell).text == first
    assert "seed: 'x' is not a whole number" in kernel.run("%%task --seed x\n1").stderr


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%task for x in nosuch\nx", "NameError: name 'nosuch' is not defined"),
        ("%%task for x in 5\nx", "TypeError: 'int' object is not iterable"),
        ("%task nosuch(1)", "NameError: name 'nosuch' is not defined"),
    ],
)
def test_what_the_line_itself_raises_is_one_line(kernel, cell, said):
    assert kernel.run(cell).traceback == said


def test_a_semicolon_silences_a_line(kernel):
    ran = kernel.run("%task -b len('abc');")
    assert (ran.status, ran.result) == ("ok", None)


def test_on_error_keep_and_raise(kernel):
    body = "\nif n == 1: raise KeyError(n)\nn"
    ran = kernel.run(f"%%task -b --on-error keep for n in range(3){body}")
    assert ran.text == "[0, KeyError(1), 2]"
    ran = kernel.run(f"%%task -b for n in range(3){body}")
    assert ran.ename == "KeyError"
    if sys.version_info >= (3, 11):  # notes of exceptions
        assert "n=1 (index 1)" in ran.traceback


def test_await_and_return(kernel):
    ran = kernel.run(
        "%%task -b\nimport asyncio\nawait asyncio.sleep(0.01)\nif True:\n    return 'early'\n'late'"
    )
    assert ran.text == "'early'"


def test_a_line_runs_a_call_with_arguments_from_here(kernel):
    kernel.run("def scale(n, by=2):\n    return n * by\nten = 10")
    kernel.run("call = %task scale(ten, by=3)")
    assert kernel.value("call.get()") == "30"
    assert kernel.run("%task -b sum(range(5))").text == "10"
    assert kernel.run("%task -b scale for n in [1, 2]").text == "[2, 4]"
    assert kernel.run("%task -b scale for n, by in [(1, 5), (2, 6)]").text == "[5, 12]"
    assert kernel.run("%task -b scale(n, by=ten) + 1 for n in [1, 2]").text == "[11, 21]"
    assert kernel.run("%task -b -- -ten").text == "-10"


def test_a_task_keeps_its_own_options_in_a_line(kernel):
    kernel.run(
        "from nbtasks import task\n@task(name='named', max_retries=7)\ndef double(n):\n    return 2 * n"
    )
    kernel.run("call = %task double(4)\ncalls = %task double(n) for n in [1]")
    assert kernel.value("(call.get(), call.name, calls.get())") == "(8, 'named', [2])"


def test_a_rate_limit_goes_by_the_task_that_a_line_calls(kernel):
    kernel.run("@task(rate_limit='5/h')\ndef tight(x):\n    return x")
    assert kernel.run("%task -b tight(1)").text == "1"
    kernel.run("%task -o more tight(x + 1) for x in range(2)")
    kernel.settle(lambda: "True" in kernel.value("'(task tight)' in (more.why_pending() or '')"))
    assert kernel.value("more.batch.finished_count") == "0"
    kernel.run("more.revoke()")


def test_retries(kernel):
    kernel.run("import pathlib; tries = str(pathlib.Path('tries').resolve())")
    ran = kernel.run(
        "%%task -b --retries 3 --retry-delay 0.05 --retry-on OSError,json.JSONDecodeError\n"
        "import pathlib\nfile = pathlib.Path(tries)\n"
        "count = len(file.read_text()) if file.exists() else 0\nfile.write_text('x' * (count + 1))\n"
        "if count < 2: raise OSError('again')\ncount"
    )
    assert ran.stderr.startswith("UsageError: --retry-on: json.JSONDecodeError is not an exception class")
    ran = kernel.run(
        "%%task -b --retries 3 --retry-delay 0.05 --retry-on OSError\n"
        "import pathlib\nfile = pathlib.Path(tries)\n"
        "count = len(file.read_text()) if file.exists() else 0\nfile.write_text('x' * (count + 1))\n"
        "if count < 2: raise OSError('again')\ncount"
    )
    assert ran.text == "2"


def test_a_time_limit_ends_the_call(kernel):
    ran = kernel.run("%%task -b --timeout 0.5\nimport time\ntime.sleep(60)")
    assert ran.ename == "TimeLimitExceeded"


def test_giving_up_to_wait_leaves_the_call_alone(kernel):
    ran = kernel.run("%%task -b --wait 0.2 -q nobody -o lonely\n1")
    assert ran.ename == "TimeoutError"
    assert "no worker listens on queue 'nobody': %workers start -q nobody" in ran.evalue
    assert kernel.value("lonely.state") == "'PENDING'"
    kernel.run("lonely.revoke()")


def test_here_runs_in_this_kernel(kernel):
    kernel.run("import os; me = os.getpid()")
    assert kernel.run("%%task --here -b\nimport os\nos.getpid() == me").text == "True"
    assert kernel.run("%%task -b\nimport os\nos.getpid() == me").text == "False"
    assert kernel.run("%%task --here -b for n in range(3)\nn + 1").text == "[1, 2, 3]"
    assert kernel.run("%%task --here\n1").text.startswith("<EagerResult")


def test_dry_run_tells_and_sends_nothing(kernel):
    kernel.run("table = list(range(1000)); before = len(get_ipython().user_ns['Out'])")
    ran = kernel.run("%%task --dry-run -q default\n# plan\nimport json\nsum(table)")
    shown = ran.data[0]["text/plain"]
    assert "plan, queue default" in shown
    assert re.search(r"table +list +[\d.]+ kB", shown)
    assert "(2 slots)" in shown
    assert "Nothing was submitted" in shown
    assert "plan" not in kernel.run("%tasks").data[0]["text/plain"]
    ran = kernel.run("%%task --dry-run -q nobody\n1")
    assert "none listens on queue 'nobody'" in ran.data[0]["text/plain"]


@pytest.mark.parametrize(
    ("cell", "name", "message"),
    [
        ("%%task\n!ls", "CellError", "line 2: `!ls` is a shell command"),
        ("%%task\nx = 1\n%time x", "CellError", "line 3: `%time x` is a magic"),
        ("%%task\n# nothing", "CellError", "only comments"),
        ("%%task for u of us\n1", "CellError", "cannot read 'for u of us' as a for clause"),
        ("%%task\n%%bash\nls", "CellError", "another cell magic"),
        ("%%task for n in missing_name\nn", "NameError", "missing_name"),
        ("%%task for n in 5\nn", "TypeError", "not iterable"),
        ("%%task\nx = (", "SyntaxError", "never closed"),
        ("import threading; lock = threading.Lock()\n%task lock.acquire()", "NotPicklable", "lock"),
        ("%task 5(3)", "CellError", "`5` is of type int and cannot be called"),
    ],
)
def test_what_cannot_run_is_refused_and_nothing_is_left(kernel, cell, name, message):
    before = kernel.run("%tasks").data[0]["text/plain"].count("\n")
    ran = kernel.run(cell)
    assert (ran.status, ran.ename) == ("error", name)
    assert message in ran.evalue
    assert not ran.shown
    assert kernel.run("%tasks").data[0]["text/plain"].count("\n") == before


def test_a_syntax_error_shows_the_cell_and_no_way_to_it(kernel):
    shown = re.sub(r"\x1b\[[0-9;]*m", "", kernel.run("%%task\nn +* 2", watched=True).traceback)
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    assert re.fullmatch(r"(Cell In\[\d+\]|File .*), line 2.*", lines[0])
    assert lines[1:] == ["n +* 2", "^", "SyntaxError: invalid syntax"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("%%task --retrys 3\n1", "unknown option --retrys: did you mean --retries?"),
        ("%%task f(x)\n1", "to run one expression, write `%task f(x) ...`"),
        ("%%task --chunk 3\n1", "--chunk is for a fan-out"),
        ("%task", "%task needs an expression"),
    ],
)
def test_misuse_is_one_line(kernel, cell, message):
    ran = kernel.run(cell)
    assert ran.status == "error"
    assert ran.stderr.startswith("UsageError: ")
    assert message in ran.stderr


def test_an_iterable_that_raises_half_way_sends_nothing(kernel):
    kernel.run("def items():\n    yield 1\n    raise RuntimeError('half-way')")
    before = kernel.run("%tasks").data[0]["text/plain"].count("\n")
    ran = kernel.run("%%task for n in items()\nn")
    assert (ran.ename, ran.evalue) == ("RuntimeError", "half-way")
    assert kernel.run("%tasks").data[0]["text/plain"].count("\n") == before


def running(kernel):
    """Whether a card has told that calls run."""
    return lambda: any(view["state"] == "STARTED" for view in kernel.views())


def test_stop_revokes_the_calls_of_a_blocking_cell_and_the_next_submit_works(kernel):
    ran = kernel.run(
        "%%task -b -o stopped for n in range(6)\nimport time\ntime.sleep(60)", stop_when=running(kernel)
    )
    assert ran.ename == "KeyboardInterrupt"
    assert "revoked 6 calls" in ran.evalue
    assert kernel.value("stopped.state") == "'REVOKED'"
    assert kernel.run("%%task -b\n'after'").text == "'after'"


def test_stop_during_get_only_stops_waiting(kernel):
    ran = kernel.run("%%task -o slow\nimport time\ntime.sleep(3)\n'done'")
    kernel.settle(running(kernel))
    ran = kernel.run("print('waits', flush=True)\nslow.get()", stop_when=lambda: "waits" in kernel.printed)
    assert ran.ename == "KeyboardInterrupt"
    assert kernel.run("slow.get()").text == "'done'"


def test_time_above_task(kernel):
    ran = kernel.run("%%time\n%%task -b\n'timed'")
    assert ran.text == "'timed'"
    assert "Wall time" in ran.stdout


def test_names_in_braces_are_left_alone(kernel):
    kernel.run("urls = ['a']\ndef show(value):\n    return value")
    assert kernel.run("%task -b show({'urls': urls, 'x': '{urls}'})").text == "{'urls': ['a'], 'x': '{urls}'}"


def test_names_resolve_as_in_a_cell(kernel):
    kernel.run(
        """
import asyncio
from dataclasses import dataclass
from typing import Optional
data, level = [1], 2
def total(): return sum(data)
def rise():
    global level
    level += 3
def later(): return mine
async def nap(x):
    await asyncio.sleep(0.01)
    return x
"""
    )
    assert kernel.run("%%task -b\ndata = [10, 20]\ntotal()").text == "30"
    assert kernel.run("%%task -b\nrise()\nlevel").text == "5"
    assert kernel.value("(data, level)") == "([1], 2)"
    ran = kernel.run("%%task -b\n@dataclass\nclass Q:\n    v: int\n    w: Optional[int] = level\nQ(1).w")
    assert ran.text == "2"
    # Calls side by side, in one loop and one after the other: each has names of its own.
    ran = kernel.run("%%task -b for i in range(8)\nmine = i\nawait asyncio.sleep(0.02)\nmine, later()")
    assert ran.text == str([(i, i) for i in range(8)])
    ran = kernel.run(
        "%%task -b for i in range(8)\ntry:\n    first\nexcept NameError:\n    first = i\nrise()\nfirst, level"
    )
    assert ran.text == str([(i, 5) for i in range(8)])
    assert kernel.run("%%task -b for data in [[1, 2], [3]]\ntotal()").text == "[3, 3]"
    assert kernel.run("%task -b nap(x) for x in range(3)").text == "[0, 1, 2]"
    assert kernel.run("%%task -b\nasync def main():\n    return await nap(7)\nmain()").text == "7"
    assert kernel.run("%%task -b --here\ndata = [5]\ntotal()").text == "5"
    ran = kernel.run("%%task --dry-run\ndata = [10]\ntotal()")
    assert ran.status == "ok"
    assert kernel.value("'mine' in globals() or 'first' in globals()") == "False"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%task\nexit()", "NotPicklable: cell: exit (ZMQExitAutocall) ends this notebook"),
        ("%%task\nquit", "NotPicklable: cell: quit (ZMQExitAutocall) ends this notebook"),
        ("%%task\nget_ipython().user", "NotPicklable: cell: get_ipython (method) is this notebook's shell"),
        ("%%task\nlists()", "NotPicklable: cell: lists: get_ipython (method) is this notebook's shell"),
        ("%%task\nbar.value", "NotPicklable: cell: bar (IntProgress) is a widget"),
        (
            "%%task\nimport sys\nlists(dato)",
            "NameError: name 'dato' is not defined, in this notebook or in the task (line 3)",
        ),
        (
            "%task [dato] + [x] for x in [1]",
            "NameError: name 'dato' is not defined, in this notebook or in the task",
        ),
        ("%%task for x in range(3):\nx", "CellError: 'for x in range(3):': leave out the colon"),
    ],
)
def test_what_belongs_to_the_notebook_is_said_in_a_sentence(kernel, cell, said):
    kernel.run("def lists():\n    !ls\nimport ipywidgets; bar = ipywidgets.IntProgress();")
    ran = kernel.run(cell)
    assert ran.traceback.startswith(said)
    assert "\n" not in ran.traceback
