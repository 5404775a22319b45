"""The demo and the binder start-up, as commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


@pytest.mark.long
@pytest.mark.kernel
def test_the_demo_runs_to_its_end(tmp_path: Path) -> None:
    """`make demo`'s program ends with 0, has written the notebook and its page, and says so."""
    done = subprocess.run(
        [sys.executable, ROOT / "notebooks" / "demo.py", "--out", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no process is left behind" in done.stdout
    assert ": done, " in done.stdout
    assert " failed, " in done.stdout
    for name in ("00_quickstart.ipynb", "00_quickstart.html"):
        assert str(tmp_path / name) in done.stdout
        assert (tmp_path / name).stat().st_size > 10_000


def test_the_binder_start_hands_over() -> None:
    """`binder/start COMMAND` becomes the command: its output, its exit code."""
    start = ROOT / "binder" / "start"
    assert os.access(start, os.X_OK)
    assert start.read_text().splitlines()[0] == "#!/bin/bash"
    done = subprocess.run([start, "sh", "-c", "echo up; exit 3"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("up\n", 3)
    assert subprocess.run([start, "true"], check=False).returncode == 0


@pytest.mark.long
def test_the_binder_post_build_runs() -> None:
    """`binder/postBuild` imports what the quickstart needs."""
    script = ROOT / "binder" / "postBuild"
    assert os.access(script, os.X_OK)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_binder_requirements_can_be_read() -> None:
    """Every line is a requirement, and together they hold what the quickstart imports."""
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert wanted[0] == ".[jupyter]"
    names = {Requirement(line).name for line in wanted[1:]}
    assert names >= {"jupyterlab", "httpx", "matplotlib", "pandas", "vega_datasets"}


def test_a_folder_for_the_demo_can_be_named() -> None:
    """The demo explains itself."""
    done = subprocess.run(
        [sys.executable, ROOT / "notebooks" / "demo.py", "--help"], capture_output=True, text=True, check=True
    )
    assert "--out" in done.stdout


def test_the_make_targets_are_those_in_its_head() -> None:
    """What `make` says it can do is what it can do."""
    text = (ROOT / "Makefile").read_text()
    promised = set(re.findall(r"^#   make ([\w-]+)", text, re.MULTILINE))
    assert promised >= {"demo", "lab", "test", "test-all", "lint", "clean"}
    assert promised <= set(re.findall(r"^([\w-]+):", text, re.MULTILINE))
