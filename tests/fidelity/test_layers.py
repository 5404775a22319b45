"""Installed packages go by their name wherever they lie; what lies beside a notebook never gets in Python's way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import layered
import nbtasks

with nbtasks.App() as app:
    app.start_workers(1)

    def look():
        import colorsys, csv, queue
        return layered.twice(4), layered.__file__, [m.__file__ for m in (colorsys, csv, queue)]

    assert look() == (8, {file!r}, [sys.modules[n].__file__ for n in ("colorsys", "csv", "queue")])
    assert app.task(look).delay().get(timeout=60) == look()
    assert app.task(layered.Kept().value).delay().get(timeout=60) == 3
    print("same")
"""

#: It cannot travel by value, and running it again elsewhere would find another state.
LAYERED = """
import threading
_lock = threading.Lock()
def twice(n):
    with _lock:
        return 2 * n
class Kept:
    lock = _lock
    def value(self):
        return 3
"""


def install(folder: Path, name: str, source: str) -> Path:
    """Put a module into a folder as ``pip install --target`` does."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(source)
    metadata = folder / f"{name}_of_somebody-1.0.dist-info"
    metadata.mkdir()
    (metadata / "RECORD").write_text(f"{name}.py,,\n{metadata.name}/RECORD,,\n")
    return folder / f"{name}.py"


@pytest.mark.long
def test_a_package_of_a_layer_and_a_folder_full_of_standard_names(home, tmp_path):
    file = install(tmp_path / "deps", "layered", LAYERED)
    here = tmp_path / "project"
    here.mkdir()
    # Neither the worker nor anything else that is started may import one of these.
    for name in ("secrets", "queue", "random", "types", "socket", "redis", "colorsys", "csv", "selectors"):
        (here / f"{name}.py").write_text(f"raise RuntimeError('the {name}.py of the user')")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(tmp_path), file=str(file)))
    done = subprocess.run(
        [sys.executable, script],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "deps")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr
