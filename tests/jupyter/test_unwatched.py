"""Notebooks that nobody watches: nbclient, nbconvert and papermill wait inside the cells and save final cards."""

from __future__ import annotations

import os
import subprocess
import sys

import nbformat
import nbformat.v4
import pytest

pytestmark = pytest.mark.kernel

CELLS = [
    "%load_ext nbtasks\n%workers start 2",
    "%%task -o squares for n in range(30)\n# squares\nimport time\ntime.sleep(0.02)\nprint('item', n)\nn * n",
    """
from nbtasks import task

@task
def double(n):
    import time
    time.sleep(0.05)
    return 2 * n

doubles = double.map(range(20))
""",
    "sum(squares.get()), sum(doubles.get())",
    "%%task -b\n# a table\n{'rows': 3}",
]


def write(path, cells=CELLS):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


def run_tool(folder, *command):
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def check(notebook):
    squares = notebook.cells[1].outputs
    assert len(squares) == 1
    assert sorted(squares[0].data) == ["text/html", "text/plain"]
    assert "squares: done, " in squares[0].data["text/plain"]
    assert "item 29" in squares[0].data["text/html"]
    (doubles,) = notebook.cells[2].outputs
    assert "double: done, " in doubles.data["text/plain"]
    assert notebook.cells[3].outputs[0].data["text/plain"] == "(8555, 380)"
    card, value = notebook.cells[4].outputs
    assert "a table: done, " in card.data["text/plain"]
    assert value.data["text/plain"] == "{'rows': 3}"
    assert "widgets" not in notebook.metadata


def test_nbconvert(project):
    write(project / "in.ipynb")
    run_tool(project, "nbconvert", "--to", "html", "--execute", "in.ipynb", "--output", "out.html")
    page = (project / "out.html").read_text()
    assert "squares" in page
    assert "item 29" in page
    assert "(8555, 380)" in page
    assert "data:image/png;base64," in page


@pytest.mark.long
def test_papermill(project):
    write(project / "in.ipynb")
    run_tool(project, "papermill", "in.ipynb", "out.ipynb", "--no-progress-bar")
    check(nbformat.read(project / "out.ipynb", as_version=4))


def test_nbclient_stops_at_a_failure_and_keeps_its_card(project, jupyter_loop):
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    path = write(
        project / "in.ipynb", [CELLS[0], "%%task for n in [2, 1, 0]\n# fractions\n1 / n", "'not reached'"]
    )
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(project)}})
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        client.execute()
    assert "fractions: done, 1 of 3 failed, " in notebook.cells[1].outputs[0].data["text/plain"]
    assert notebook.cells[2].outputs == []
