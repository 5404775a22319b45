"""The quickstart as a newcomer sees it: in JupyterLab, all cells run, with the cards live."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"


@pytest.mark.long
def test_all_its_cells_run_and_its_cards_are_saved(lab_page, tmp_path):
    """Run All: no cell fails, cards end as static HTML, the table is there. NBTASKS_DOC_IMAGES=1 keeps the picture."""
    source = nbformat.read(ROOT / "notebooks" / "00_quickstart.ipynb", as_version=4)
    cells = [cell for cell in source.cells if cell.cell_type == "code"]
    fetch = [cell.id for cell in cells].index("fetch-code")
    notebook = lab_page([cell.source for cell in cells])
    shutil.copy(ROOT / "notebooks" / "dataserver.py", (notebook.server.root / notebook.name).parent)
    page = notebook.page

    notebook.run()
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    notebook.idle(timeout=120)
    output = page.locator(".jp-Cell").nth(fetch).locator(".jp-OutputArea-output", has_text="16 done")
    output.wait_for()
    page.locator(".jp-Cell").nth(fetch).scroll_into_view_if_needed()
    folder = IMAGES if os.environ.get("NBTASKS_DOC_IMAGES") == "1" else tmp_path
    card = output.locator(".nbt-card, div[style*=max-width]").first
    card.screenshot(path=folder / "quickstart-fetch.png", animations="disabled")

    saved = notebook.save().cells
    outputs = [output for cell in saved for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert not any("widget-view" in kind for output in outputs for kind in output.get("data", {}))
    assert "airports.csv" in saved[-1].outputs[0].data["text/html"]
