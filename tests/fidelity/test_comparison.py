"""What a worker gives is what the notebook gives: every item of the corpus is run here and there, and compared.

The items stand in corpus/, as a notebook's author writes them. What may differ is listed in differences.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def load(name):
    """Import a file beside this one."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


expected = load("differences")
PAGE = (FOLDER.parents[1] / "docs" / "what-travels.md").read_text(encoding="utf-8")

RUN = """
import sys
sys.path.insert(0, {harness!r})
import {runner}
{runner}.main({out!r}, **{options})
"""


def compared(project, runner, **options):
    """Run a comparison in a process of its own, whose ``__main__`` is the notebook; return item -> differences."""
    out = project / "report.json"
    code = RUN.format(harness=str(FOLDER / "harness"), runner=runner, out=str(out), options=options)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=project, env={**os.environ}, timeout=300)
    return json.loads(out.read_text())


def rows():
    """Return what does not travel as it is, as the page says it: what -> what one sees."""
    table = PAGE.partition("## What does not travel as it is")[2]
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    return {what: seen for what, seen, _ in lines[2:]}


def assert_same(report, at_least):
    """Nothing differs but what may, and all that is said to differ does, as the page says."""
    assert len(report) >= at_least
    differ = {name: "\n    ".join(found[:3]) for name, found in report.items() if found}
    wrong = {name: found for name, found in differ.items() if name not in expected.DOCUMENTED}
    assert not wrong, "\n".join(f"{name}\n    {found}" for name, found in wrong.items())
    documented = {name: row for name, row in expected.DOCUMENTED.items() if name in report}
    same = [name for name in documented if name not in differ]
    assert not same, f"these are the same by now: {', '.join(same)}"
    for row in {*documented.values()}:
        found = [differ[name] for name in documented if documented[name] == row]
        error = re.match(r"`(\w+)`", rows()[row])
        assert not error or any(error[1] in text for text in found), f"{row}: {found}"


def test_the_page_names_all_that_differs_and_no_more():
    assert {*rows()} == {*expected.DOCUMENTED.values()}


@pytest.mark.long
@pytest.mark.timeout(400)
def test_each_third_function(project):
    assert_same(compared(project, "run_functions", calls=2, every=3), at_least=40)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_functions(project):
    assert_same(compared(project, "run_functions", calls=2), at_least=120)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_functions_in_longer_maps(project):
    assert_same(compared(project, "run_functions", calls=16), at_least=120)


@pytest.mark.timeout(400)
def test_values(project):
    assert_same(compared(project, "run_values"), at_least=170)


@pytest.mark.kernel
@pytest.mark.timeout(400)
def test_each_sixteenth_cell(project):
    assert_same(compared(project, "run_cells", every=16), at_least=8)


@pytest.mark.kernel
@pytest.mark.long
@pytest.mark.timeout(600)
def test_all_cells(project):
    assert_same(compared(project, "run_cells"), at_least=130)
