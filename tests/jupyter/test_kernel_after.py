"""``%%task --after``: cells that begin when others have ended, and get their results."""

import pytest

pytestmark = pytest.mark.kernel

GATE = """
import pathlib, tempfile
folder = pathlib.Path(tempfile.mkdtemp())
def wait_at(name):
    import time
    while not (folder / name).exists():
        time.sleep(0.01)
"""


def test_a_cell_begins_when_another_one_has_ended(kernel):
    kernel.run(GATE)
    kernel.run("%%task -o pages for n in range(3)\nwait_at('a')\nn + 1")
    assert kernel.run("%%task -o total --after pages\nsum(pages) * len(pages)").status == "ok"
    assert kernel.value("total.state") == "'PENDING'"
    assert kernel.value("total.why_pending()").startswith("'waits for step 1")
    kernel.run("(folder / 'a').touch()")
    assert kernel.value("total.get(timeout=60)") == "18"
    assert kernel.value("type(pages).__name__, total.parent.id == pages.id") == "('GroupResult', True)"


def test_what_it_can_come_after(kernel):
    kernel.run("%%task -o one\n41")
    kernel.run("%%task -n earlier\n1")
    kernel.run("%%task -n 'an earlier run'\n1")
    kernel.run("one.get(timeout=60)\nrs = []\nfor n in range(3):\n    r = %task abs(-n)\n    rs.append(r)")
    assert kernel.run("%%task -b --after one\none + 1").text == "42"
    assert kernel.run("%%task -b --after one,rs\n(one, rs)").text == "(41, [0, 1, 2])"
    assert kernel.run("%%task -b --after one --after rs\n(one, rs)").text == "(41, [0, 1, 2])"
    assert kernel.run("%%task -b --after earlier\nearlier").text == "1"
    assert kernel.run("%%task -b --after 'an earlier run'\n2").text == "2"
    kernel.run("short = one.id[-6:]")
    assert kernel.run(f"%%task -b --after {kernel.value('short').strip(chr(39))}\n3").text == "3"
    assert kernel.run("%%task -b --after one for n in range(2)\none + n").text == "[41, 42]"
    assert kernel.run("%%task -b --after one for n, m in [(1, 2)]\none + n + m").text == "[44]"
    assert kernel.run("x = %task -b --after one max(1, 2)\nx").text == "2"
    kernel.run("%%task -g got --after one\ngot = one * 2")
    assert kernel.value("got") == "82"
    assert kernel.run("%%task --here --after one -b\none").text == "41"


def test_a_name_that_a_cell_reads_is_a_result_there(kernel):
    kernel.run("%%task -o parts for n in range(3)\nn")
    kernel.run("%%task -o first\n10")
    cell = "%%task -b\ndef inner():\n    return first\nsum(parts) + inner()"
    assert kernel.run(cell).text == "13"
    assert kernel.run("%%task -b for part in parts\npart + first").text == "[10, 11, 12]"
    assert kernel.run("%%task -b\nfirst = 5\nfirst").text == "5"
    assert kernel.run("%%task -b\n(lambda first: first)(1)").text == "1"
    assert kernel.run("%task -b sum(parts)").text == "3"
    assert kernel.run("%task -b sum(parts) + first").text == "13"
    assert kernel.run("%task -b part + first for part in parts").text == "[10, 11, 12]"
    assert kernel.value("type(first).__name__") == "'AsyncResult'"


def test_a_failure_before_it_is_its_own(kernel):
    kernel.run("%%task -o wrong\n1 / 0")
    ran = kernel.run("%%task -b --after wrong\nprint('runs')")
    assert ran.ename == "ZeroDivisionError"
    assert "1 later step was not run" in ran.traceback
    kernel.run("%%task -o after --after wrong\nprint('runs')")
    assert kernel.value("after.until_ready(60), after.state, after.stdout") == "(True, 'FAILURE', '')"


def test_wrong_names_and_options(kernel):
    kernel.run("%%task -o numbers\n1")
    kernel.run("plain = 3")
    for line, said in (
        ("--after nubmers", "did you mean numbers?"),
        ("--after plain", "plain is of type int, and no handle of a run"),
        ("--after ''", "name at least one"),
        ("--after numbers --eta 2030-01-01", "with --countdown S it waits S longer"),
        ("--after numbers --memo", "give one"),
        (
            "--after numbers --max-parallel 2 for n in range(3)",
            "--max-parallel does not go together with --after",
        ),
        ("--after numbers for numbers in range(3)", "call one of them something else"),
    ):
        ran = kernel.run(f"%%task {line}\n1")
        assert ran.status == "error", line
        assert said in ran.evalue + ran.stderr, (line, ran.evalue, ran.stderr)
    ran = kernel.run("%%task --after numbers\nnumbers.get() + 1")
    assert "numbers is its result there; write `numbers`" in ran.evalue


def test_it_counts_from_the_end_and_is_revoked_alone(kernel):
    kernel.run(GATE)
    kernel.run("%%task -o slow\nwait_at('b')\n5")
    kernel.run("%%task -o later --after slow --countdown 1h\nslow")
    kernel.run("%%task -o soon --after slow --countdown 0.01\nslow")
    kernel.run("later.revoke()")
    assert kernel.value("later.state, slow.ready()") == "('REVOKED', False)"
    kernel.run("(folder / 'b').touch()")
    assert kernel.value("soon.get(timeout=60)") == "5"


def test_a_cell_that_comes_after_its_own_earlier_run(kernel):
    kernel.run(GATE)
    kernel.run("%%task -o count\nwait_at('c')\n1", cell="own")
    kernel.run("%%task -o count --after count\ncount + 1", cell="own")
    kernel.run("(folder / 'c').touch()")
    assert kernel.value("count.get(timeout=60)") == "2"
