"""What a worker gives is what the notebook gives: every item of the corpus is run here and there, and compared.

The items stand in corpus/, as a notebook's author writes them. What may differ is listed in differences.py.
"""

from __future__ import annotations

import importlib.util
import json
import os
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


def assert_same(report, at_least):
    """Nothing differs but what may, and all that is said to differ does."""
    assert len(report) >= at_least
    differ = {name: found for name, found in report.items() if found}
    wrong = {
        name: found for name, found in differ.items() if name not in {*expected.DOCUMENTED, *expected.NOT_YET}
    }
    assert not wrong, "\n".join(f"{name}\n    " + "\n    ".join(found[:3]) for name, found in wrong.items())
    same = [name for name in expected.DOCUMENTED if name in report and name not in differ]
    assert not same, f"these are the same by now: {', '.join(same)}"


@pytest.mark.timeout(400)
def test_functions(project):
    assert_same(compared(project, "run_functions", calls=2), at_least=120)


@pytest.mark.timeout(400)
def test_values(project):
    assert_same(compared(project, "run_values"), at_least=170)


@pytest.mark.kernel
@pytest.mark.timeout(400)
def test_cells(project):
    assert_same(compared(project, "run_cells"), at_least=130)
