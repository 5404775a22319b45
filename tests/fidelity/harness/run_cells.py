"""Every cell of the corpus in a real notebook: as a task cell, and then as a plain one; and compared.

A file of cells is a notebook in the percent format. ``# %%`` begins a plain cell, ``# %% task NAME`` one that is run
both ways, perhaps ``# %% task NAME for x in xs``. All plain cells above a task cell are run again before it is run as a
plain one: what an earlier one has changed must not be seen.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat.v4
from nbclient import NotebookClient
from notebook import CORPUS
from report import Report

_HEAD = re.compile(r"# %%(?: task (\w+)(?: (for .+))?)?")


@dataclass(frozen=True)
class TaskCell:
    """A cell that is run both ways."""

    name: str
    clause: str
    file: str
    #: The plain cells above it.
    above: tuple[str, ...]
    body: str


def main(out: str, every: int = 1, only: Sequence[str] = ()) -> None:
    """Compare and write the report.

    Args:
        out: file of the report.
        every: 3 for each third task cell.
        only: names of the task cells; all when empty.
    """
    cells = [cell for cell in read_corpus() if not only or cell.name in only][::every]
    report = Report()
    with Notebook() as notebook:
        refused = run(notebook, cells, f"{out}.pickle")
    found, before, after = pickle.loads(Path(f"{out}.pickle").read_bytes())
    report.compare_notebooks(before, after)
    for cell in cells:
        here = found.get((cell.name, "here"), [])
        there = found.get((cell.name, "there"), refused.get(cell.name, []))
        report.compare(cell.name, "calls", len(here), len(there))
        for one, other in zip(here, there, strict=False):
            report.compare(cell.name, "value", one[0], other[0])
            report.compare(cell.name, "printed", one[1], other[1])
    report.write(Path(out))


def read_corpus() -> Iterator[TaskCell]:
    """Yield the task cells of all files."""
    for file in sorted((CORPUS / "cells").glob("*.py")):
        above: list[str] = []
        for part in re.split(r"(?m)^(?=# %%)", file.read_text(encoding="utf-8"))[1:]:
            head, _, body = part.partition("\n")
            match = _HEAD.fullmatch(head.strip())
            assert match, f"{file.name}: {head}"
            if match[1]:
                yield TaskCell(match[1], match[2] or "", file.name, tuple(above), body.strip() + "\n")
            else:
                above.append(body.strip() + "\n")


def run(notebook: Notebook, cells: list[TaskCell], out: str) -> dict[str, list[Any]]:
    """Run all; return name -> what is said of task cells that were refused."""
    refused: dict[str, list[Any]] = {}
    #: File -> how many of its plain cells have run.
    done: dict[str, int] = {}
    notebook.run(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport cells as _cells\n_cells.begin()"
    )
    notebook.run("%load_ext nbtasks")
    notebook.run("%workers start 2")
    for cell in cells:
        if cell.above[done.get(cell.file, 0) :]:
            notebook.run("\n".join(cell.above[done.get(cell.file, 0) :]))
            done[cell.file] = len(cell.above)
        line = f"%%task -b -o there_{cell.name} {cell.clause}".strip()
        error = notebook.run(f"{line}\n{cell.body}", may_fail=True).error
        if error:
            refused[cell.name] = [(("not sent", *error, "nothing was run"), "")]
    notebook.run(f"_cells.read_all({[cell.name for cell in cells]})")
    for cell in cells:
        _plain(notebook, cell)
    notebook.run(f"_cells.write({out!r})")
    return refused


def _plain(notebook: Notebook, cell: TaskCell) -> None:
    begin = "".join(cell.above)
    bindings = [""]
    if cell.clause:
        targets, _, iterable = cell.clause.removeprefix("for ").partition(" in ")
        count = int(notebook.run(f"{begin}\nprint(len([*({iterable})]))").printed)
        bindings = [f"{targets} = [*({iterable})][{number}]" for number in range(count)]
    for binding in bindings:
        notebook.run(f"{begin}\n{binding}")
        printed = notebook.run(cell.body, may_fail=True).printed
        notebook.run(f"_cells.look({cell.name!r}, {printed!r})")


@dataclass(frozen=True)
class Ran:
    """What a cell has shown."""

    printed: str
    error: tuple[str, str] | None


class Notebook:
    """A notebook whose cells are written while it runs."""

    def __init__(self) -> None:
        self._notebook = nbformat.v4.new_notebook()
        self._client = NotebookClient(self._notebook, timeout=200, kernel_name="python3", allow_errors=True)

    def __enter__(self) -> Notebook:  # noqa: PYI034 - Self is younger than our oldest Python
        self._kernel = self._client.setup_kernel()
        self._kernel.__enter__()
        return self

    def __exit__(self, *info: object) -> None:
        self._kernel.__exit__(*info)

    def run(self, source: str, *, may_fail: bool = False) -> Ran:
        """Run a cell."""
        cell = nbformat.v4.new_code_cell(source)
        self._notebook.cells.append(cell)
        self._client.execute_cell(cell, len(self._notebook.cells) - 1)
        errors = [(item.ename, item.evalue) for item in cell.outputs if item.output_type == "error"]
        assert may_fail or not errors, f"{source}: {errors}"
        printed = (
            item.text for item in cell.outputs if item.output_type == "stream" and item.name == "stdout"
        )
        return Ran("".join(printed), errors[0] if errors else None)
