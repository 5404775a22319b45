"""The quickstart notebook as a newcomer runs it: unchanged, from top to bottom, in a real kernel."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
QUICKSTART = NOTEBOOKS / "00_quickstart.ipynb"
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def executed(run_folder: Path) -> NotebookNode:
    """The quickstart after a run."""
    notebook = nbformat.read(QUICKSTART, as_version=4)
    client = NotebookClient(
        notebook, timeout=90, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    client.execute()
    return notebook


def outputs(notebook: NotebookNode, cell_id: str) -> list[dict[str, Any]]:
    """The outputs of one cell, named by its id."""
    (cell,) = (cell for cell in notebook.cells if cell.get("id") == cell_id)
    return list(cell.outputs)


def texts(notebook: NotebookNode, cell_id: str) -> str:
    """All that a cell has put out, as plain text."""
    return "\n".join(
        output["text"] if output["output_type"] == "stream" else output["data"].get("text/plain", "")
        for output in outputs(notebook, cell_id)
    )


@pytest.mark.long
@pytest.mark.kernel
def test_it_ends_with_one_row_for_each_address(executed: NotebookNode) -> None:
    """The last output is a DataFrame with the 16 files, largest first."""
    last = [cell for cell in executed.cells if cell.cell_type == "code"][-1]
    data = last.outputs[-1]["data"]
    assert "<table" in data["text/html"]
    rows = data["text/plain"].splitlines()[2:]
    assert len(rows) == 16
    found = {row.split()[0]: int(row.split()[1]) for row in rows}
    assert found["seattle-weather.csv"] == 1461
    assert found["cars.json"] == 406
    assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.long
@pytest.mark.kernel
def test_the_fetch_returns_every_file(executed: NotebookNode) -> None:
    """The files arrive whole and in the order of the list."""
    assert texts(executed, "get-code").startswith("16 files, 0.8")


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("cell_id", "word"),
    [
        ("fetch-code", "done"),
        ("prepare-code", "done"),
        ("failure-code", "failed"),
        ("retry-code", "done"),
    ],
)
@pytest.mark.long
def test_each_card_is_saved_in_its_last_state(executed: NotebookNode, cell_id: str, word: str) -> None:
    """What is saved is the finished card as static HTML: no widget that a reader would have to start."""
    cards = [output for output in outputs(executed, cell_id) if "text/html" in output.get("data", {})]
    assert cards, outputs(executed, cell_id)
    assert all(WIDGET not in output["data"] for output in cards)
    assert word in cards[-1]["data"]["text/html"]
    assert word in cards[-1]["data"]["text/plain"]


@pytest.mark.long
@pytest.mark.kernel
def test_the_failure_shows_what_the_server_said(executed: NotebookNode) -> None:
    """The card of the refused fetch carries the error and the cell's own line."""
    html = "".join(output["data"].get("text/html", "") for output in outputs(executed, "failure-code"))
    assert "503" in html
    assert "raise_for_status" in html


@pytest.mark.long
@pytest.mark.kernel
def test_the_figure_is_drawn(executed: NotebookNode) -> None:
    """There is one figure, as a picture."""
    assert any("image/png" in output.get("data", {}) for output in outputs(executed, "figure-code"))


@pytest.mark.long
@pytest.mark.kernel
def test_nothing_is_said_on_stderr(executed: NotebookNode) -> None:
    """A newcomer sees no warning."""
    said = [
        output["text"]
        for cell in executed.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream" and output["name"] == "stderr"
    ]
    assert said == []


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_stored_without_outputs(path: Path) -> None:
    """At most 12 code cells, no output, no counts: a diff shows what was written."""
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert 0 < len(code) <= 12
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert not any(re.search(r"https?://(?!127\.0\.0\.1)", cell.source) for cell in code)


# --- the web server it fetches from -----------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("dataserver", NOTEBOOKS / "dataserver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    running = module.DataServer(latency_s=0, refusals=1)
    yield running
    running.close()


def test_the_data_server_gives_real_files(server: Any) -> None:
    """Every address answers with the bytes of its file."""
    httpx = pytest.importorskip("httpx")
    for url in server.urls:
        reply = httpx.get(url)
        assert reply.status_code == 200
        assert reply.content == (server.folder / url.rpartition("/")[2]).read_bytes()


def test_the_data_server_refuses_an_unsteady_address_first(server: Any) -> None:
    """An unsteady address says 503 once, then serves; one that does not exist says 404."""
    httpx = pytest.importorskip("httpx")
    address = server.unsteady("cars.json")
    assert [httpx.get(address).status_code for _ in range(3)] == [503, 200, 200]
    assert httpx.get(f"{server.url}/passwd").status_code == 404
