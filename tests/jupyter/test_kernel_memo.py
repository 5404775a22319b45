"""``%%task --memo``: results of earlier runs in a kernel, after its restart, and what the card says of them."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.kernel

CELL = """
%%task --memo {options} -g values for n in range({n})
# square
with open({marks!r}, "a") as file:
    file.write(f"{{n}} ")
words = {{"one", "two", "three"}}
n * n + factor - len(words)
"""


@pytest.fixture
def square(tmp_path):
    """The cell, and the items that were run."""

    class Square:
        marks = tmp_path / "marks"

        def cell(self, n, options=""):
            return CELL.format(n=n, options=options, marks=str(self.marks))

        def ran(self):
            return sorted(self.marks.read_text().split())

    return Square()


@pytest.mark.long
def test_results_are_taken_again_also_after_a_restart(kernel, square):
    kernel.run("%workers start 2")
    kernel.run("factor = 3")
    kernel.run(square.cell(3), cell="c1")
    ran = kernel.run(square.cell(5), cell="c2", watched=False)
    assert ran.status == "ok"
    card = kernel.texts()[-1]
    assert re.search(r"square: done, 5 calls, .*, 3 of 5 reused from \d\d:\d\d", card)
    assert kernel.value("values") == "[0, 1, 4, 9, 16]"
    assert square.ran() == ["0", "1", "2", "3", "4"]
    kernel.restart()
    kernel.run("%load_ext nbtasks")
    kernel.run("%workers start 2")
    # As a notebook is that was opened another day: other numbers of cells, other hashes of strings.
    kernel.run("factor = 1 + 2")
    kernel.run(square.cell(5), cell="c3")
    assert kernel.value("values") == "[0, 1, 4, 9, 16]"
    assert len(square.ran()) == 5
    kernel.run("factor = 4")
    kernel.run(square.cell(2), cell="c3")
    assert (kernel.value("values"), len(square.ran())) == ("[1, 2]", 7)
    kernel.run(square.cell(2, "--rerun"), cell="c3")
    assert len(square.ran()) == 9


def test_the_live_card_and_the_saved_one_show_what_was_reused(kernel, square):
    kernel.run("%workers start 2")
    kernel.run("factor = 3")
    kernel.run(square.cell(3).replace("-g values", "-o h"), cell="c1")
    kernel.run("h.get()")
    kernel.run(square.cell(4).replace("-g values", "-o h"), cell="c1")
    kernel.run("h.get()")
    said = kernel.settle(lambda: next((view for view in kernel.views() if view["hint"]), None))
    assert re.fullmatch(
        r"3 of 4 reused from \d\d:\d\d; --rerun or rerun=True runs all of them\.", said["hint"]
    )
    counts = [(part["state"], part["number"]) for part in said["counts"]]
    assert ("REUSED", "3") in counts
    saved = kernel.settle(
        lambda: next(
            (
                data["text/html"]
                for data in kernel.screen.values()
                if "of them reused" in data.get("text/html", "")
            ),
            None,
        )
    )
    assert "3 of 4 reused from" in saved


def test_rerun_alone_is_refused(kernel):
    ran = kernel.run("%%task --rerun\n1")
    assert (ran.status, ran.ename) == ("error", "ConfigError")
    assert "without memo=True" in ran.evalue
