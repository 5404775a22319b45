"""Run the quickstart from end to end and tell in the terminal what happens: `make demo`.

Prints cells, states and results as they come; keeps the executed notebook and its HTML.
Ends with 0 only if every cell ran and no process that the notebook started is left.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

NOTEBOOK = Path(__file__).with_name("00_quickstart.ipynb")
CELL_TIMEOUT_S = 120
OVERALL_TIMEOUT_S = 300
LEFTOVERS_TIMEOUT_S = 15
LINES_SHOWN = 24  # of one output; the notebook has it in full


class OutOfTime(Exception):
    """The whole run took longer than it may."""


class Narrator:
    """Prints one cell after the other: its title, what it puts out while it runs, the time it took.

    In a terminal, the state of a card that is not final moves on one line; in a log, each is a line of its own.
    """

    def __init__(self, console: Console, notebook: NotebookNode) -> None:
        self.console = console
        self.titles = list(titles(notebook))
        self.total = sum(cell.cell_type == "code" for cell in notebook.cells)
        self.number = 0
        self.started = 0.0
        self.updates: dict[str, str] = {}
        self.line: Progress | None = None

    def begin(self, cell: NotebookNode, cell_index: int) -> None:
        """Print the title and the source of a cell, and start its line of progress."""
        if cell.cell_type != "code":
            return
        self.number += 1
        self.started = time.monotonic()
        title = f"[bold]{self.number}/{self.total}[/] {self.titles[cell_index]}"
        self.console.print(Rule(title, align="left", style="cyan"))
        for line in cell.source.splitlines():
            self.console.print(Text("  " + line, style="dim"), soft_wrap=True)
        if not self.console.is_terminal:
            return
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        self.line = Progress(*columns, console=self.console, transient=True)
        self.line.add_task("running")
        self.line.start()

    def hear(self, message: dict[str, Any]) -> None:
        """Show an output message in words, at once when it comes."""
        text = in_words(message)
        if text is None:
            return
        display_id = message["content"].get("transient", {}).get("display_id", "")
        if message["msg_type"] != "update_display_data":
            self.print(text)
        elif self.updates.get(display_id) != text:
            self.updates[display_id] = text
            if self.line is not None:
                self.line.update(self.line.task_ids[0], description=text.partition("\n")[0])
            else:
                self.print(text)

    def print(self, text: str) -> None:
        """Print an output, indented, and cut if it is long."""
        lines = text.rstrip().splitlines()
        if len(lines) > LINES_SHOWN:
            lines[LINES_SHOWN:] = [f"... {len(lines) - LINES_SHOWN} more lines"]
        for line in lines:
            self.console.print(Text("    ").append_text(Text.from_ansi(line)), soft_wrap=True)

    def end(self, cell: NotebookNode, **_: Any) -> None:
        """Print the last state of the cell's cards, and the time it took."""
        if cell.cell_type != "code":
            return
        self.stop()
        self.console.print(Text(f"  took {time.monotonic() - self.started:.2f} s", style="green"))

    def stop(self) -> None:
        """Leave the terminal tidy, wherever the run ended."""
        if self.line is not None:
            self.line.stop()
            self.line = None
            for text in self.updates.values():
                self.print(text)
        self.updates.clear()


class LoudClient(NotebookClient):  # type: ignore[misc]
    """A notebook client that hands every message of the running cell on, before it is stored."""

    narrator: Narrator

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        self.narrator.hear(msg)
        return super().process_message(msg, cell, cell_index)


def titles(notebook: NotebookNode) -> Iterator[str]:
    """For each cell, the last heading above it."""
    title = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            headings = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("#")]
            title = headings[-1] if headings else title
        yield title


def in_words(message: dict[str, Any]) -> str | None:
    """What a person in a terminal would see of an output message; None for what has no words."""
    content, kind = message["content"], message["msg_type"]
    if kind == "stream":
        return str(content["text"])
    if kind in {"display_data", "update_display_data", "execute_result"}:
        return str(content["data"].get("text/plain", ""))
    return None


def run(notebook: NotebookNode, narrator: Narrator) -> None:
    """Run all cells in a kernel of their own; the outputs are put into ``notebook``.

    Raises:
        CellExecutionError: a cell failed; its text is the cell's traceback.
        OutOfTime: the run took longer than OVERALL_TIMEOUT_S.
    """
    client = LoudClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOK.parent)}},
        # Its start-up says, on the terminal, that it listens on a port of this machine.
        extra_arguments=["--log-level=ERROR"],
        on_cell_execute=narrator.begin,
        on_cell_executed=narrator.end,
    )
    client.narrator = narrator
    try:
        asyncio.run(_in_time(client))
    finally:
        narrator.stop()


async def _in_time(client: NotebookClient) -> None:
    try:
        await asyncio.wait_for(client.async_execute(), OVERALL_TIMEOUT_S)
    except CellTimeoutError:
        raise
    except asyncio.TimeoutError:
        raise OutOfTime(f"the quickstart did not end within {OVERALL_TIMEOUT_S} s") from None


def save(notebook: NotebookNode, folder: Path) -> tuple[Path, Path]:
    """Write the executed notebook and its HTML, and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    executed = folder / NOTEBOOK.name
    nbformat.write(notebook, executed)
    page, _ = HTMLExporter(template_name="lab").from_notebook_node(notebook)
    html = executed.with_suffix(".html")
    html.write_text(page, encoding="utf-8")
    return executed, html


# --- what must not be left behind -------------------------------------------------------------------------


def processes_with(mark: str) -> dict[int, str]:
    """Return pid -> command of the other processes that have ``mark`` in their environment."""
    if Path("/proc/self/environ").exists():
        return dict(_from_proc(mark.encode()))
    return dict(_from_ps(mark))


def _from_proc(mark: bytes) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes():
                yield int(entry.name), (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # ended in between, or another user's


def _from_ps(mark: str) -> Iterator[tuple[int, str]]:
    listing = subprocess.run(
        ["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=True
    )
    for line in listing.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        if mark in command and int(pid) != os.getpid():
            yield int(pid), command[:120]


def wait_until_gone(mark: str) -> dict[int, str]:
    """Give the processes time to end, and return those that do not."""
    end = time.monotonic() + LEFTOVERS_TIMEOUT_S
    while (left := processes_with(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


# --- the command ------------------------------------------------------------------------------------------


def main() -> int:
    """Run the demo; the exit code is 0 when all went well."""
    options = argparse.ArgumentParser(description="Run the quickstart notebook in the terminal.")
    options.add_argument(
        "--out", type=Path, default=Path("build/demo"), help="folder for the notebook and its HTML"
    )
    folder: Path = options.parse_args().out
    console = Console(highlight=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)

    # A state folder of its own: nobody's key, server or settings are used, and what it starts can be told.
    home = Path(tempfile.mkdtemp(prefix="nbt-demo-", dir="/tmp"))
    for name in [name for name in os.environ if name.startswith("NBTASKS_")]:
        del os.environ[name]
    os.environ["NBTASKS_HOME"] = str(home)
    os.environ["IPYTHONDIR"] = str(home / "ipython")
    started = time.monotonic()
    try:
        ok = attempt(notebook, console)
        took = time.monotonic() - started
        executed, html = save(notebook, folder)
        left = wait_until_gone(f"NBTASKS_HOME={home}")
    finally:
        shutil.rmtree(home, ignore_errors=True)

    console.print(Rule(style="cyan"))
    console.print(f"notebook  {executed}\nhtml      {html}", soft_wrap=True)
    for pid, command in left.items():
        console.print(f"[red]left behind[/] {pid} {command}", soft_wrap=True)
    if ok and not left:
        console.print(f"[green]all cells ran in {took:.1f} s; no process is left behind[/]")
    return 0 if ok and not left else 1


def attempt(notebook: NotebookNode, console: Console) -> bool:
    """Run the notebook and say what went wrong, if something did."""
    try:
        run(notebook, Narrator(console, notebook))
    except CellExecutionError as error:
        console.print(Text.from_ansi(str(error)))
        console.print(Text("the quickstart failed: the traceback above is the cell's", style="bold red"))
        return False
    except (CellTimeoutError, DeadKernelError, OutOfTime) as error:
        console.print(Text(f"the quickstart failed: {error}", style="bold red"))
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
