"""The user guide's pages: their cells run from top to bottom in a kernel, and print what the pages say."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

import nbformat.v4
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parents[2] / "docs"
#: A fenced block, with what stands directly before it in a comment: ``<!-- not run: why -->``.
BLOCK = re.compile(r"^(?:<!-- (.*?) -->\n)?```(\w*)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def cells(page: Path) -> list[tuple[str, str | None]]:
    """Return the page's cells: source, and what it says that is printed; None where it says nothing."""
    found: list[tuple[str, str | None]] = []
    for comment, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python" and not comment.startswith("not run"):
            found.append((text, None))
        elif language == "" and found and found[-1][1] is None:
            found[-1] = (found[-1][0], text)
    return found


PAGES = {page.stem: cells(page) for page in sorted(DOCS.glob("guide/*.md"))}


def shown(cell: nbformat.NotebookNode) -> str:
    """Return a cell's outputs as text: what it printed, its value, its error; not its cards."""
    texts = []
    printed = ""
    for output, following in zip_longest(cell.outputs, cell.outputs[1:]):
        if output.output_type == "stream":
            # A print may come in parts.
            printed += output.text
            if following is None or (following.output_type, following.get("name")) != ("stream", output.name):
                texts.append(printed)
                printed = ""
        elif output.output_type == "error":
            texts.append(f"{output.ename}: {output.evalue}")
        elif output.output_type == "execute_result":
            texts.append(output.data["text/plain"])
    return "\n".join(text.rstrip("\n") for text in texts)


def comparable(text: str) -> str:
    """Return the text without what differs from run to run: times, sizes in memory, ids, spaces at line ends."""
    text = re.sub(r"\b\d[\d.,]* ?(ms|s|MB|/s)(?!\w)", r"N \1", text)
    text = re.sub(r"\b[0-9a-f]{20,}\b", "ID", text)
    text = re.sub(r"\([0-9a-f]{6}\)", "(ID)", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip()


@pytest.mark.kernel
@pytest.mark.parametrize("name", [name for name, found in PAGES.items() if found])
def test_a_page_prints_what_it_says(name: str, tmp_path: Path) -> None:
    """A block of Python is a cell; the block after it, if it has no language, is what the cell shows."""
    sources = [source for source, _ in PAGES[name]]
    allowed = {"allow_errors": True}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources, **allowed).execute()
    for cell, (source, said) in zip(notebook.cells, PAGES[name], strict=True):
        got = shown(cell)
        if said is None:
            assert not [one for one in cell.outputs if one.output_type == "error"], f"{source}\n\n{got}"
        else:
            assert comparable(got) == comparable(said), source
