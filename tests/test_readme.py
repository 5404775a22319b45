"""The README's cells, run as they stand there: they print what it says they print."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat.v4
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

# The list of addresses is the reader's; here it is the quickstart's.
URLS = "from dataserver import DataServer\nserver = DataServer(latency_s=0)\nurls = server.urls"


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    fenced = re.findall(r"^```(\w*)\n(.*?)\n```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def without_times(text: str) -> str:
    """The text with every duration replaced, for no two runs take the same time."""
    return re.sub(r"\d+(\.\d+)? s\b", "N s", text.strip())


@pytest.mark.kernel
def test_the_cells_print_what_the_readme_says(run_folder: Path) -> None:
    """Three cells, each with its output; the second one's is a card, of which there is a picture."""
    sources = [URLS, *blocks("python")]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()

    _, start, fan_out, use = (cell.outputs for cell in notebook.cells)
    said, result = blocks("")
    assert without_times(start[0]["text"]) == without_times(said)
    assert "SUCCESS fetch the files (16/16 done" in fan_out[-1]["data"]["text/plain"]
    assert use[0]["text"].strip() == result.strip()
