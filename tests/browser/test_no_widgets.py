"""A JupyterLab that has no widgets: cards and lists are renewed in it, and its file has nothing but saved forms."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from .jupyter_server import JupyterServer, OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
SLOW = "%%task -o h for n in range(1000)\n# slow\nimport time\ntime.sleep(0.5)"
RUNS = """import nbtasks
@nbtasks.task
def wait(n):
    import time
    time.sleep(60)
ws = [wait.map(range(3), label=f'wait {n}') for n in range(5)]"""
STOP = "h.revoke()\nfor w in ws: w.revoke()"


@pytest.fixture
def bare_page(chromium, run_folder):
    """A notebook in such a JupyterLab."""
    server = JupyterServer("lab", Path(tempfile.mkdtemp(prefix="j", dir=run_folder)), widgets=False)
    notebook = OpenNotebook(chromium, server, [SETUP, SLOW, RUNS, "%tasks", STOP])
    yield notebook
    notebook.close()
    server.stop()


def test_all_is_renewed_and_nothing_but_saved_forms_is_in_the_file(bare_page):
    page = bare_page.page
    bare_page.run(0, 1, 2, 3)
    card, runs, panel = (
        page.locator(".jp-Cell").nth(n).locator(".jp-OutputArea-output").first for n in (1, 2, 3)
    )
    for shown in (card, runs, panel):
        shown.get_by_text("This page shows no widgets").wait_for(timeout=60_000)
    first = card.inner_text()
    page.wait_for_function(
        """(first) => document.querySelectorAll('.jp-Cell')[1].querySelector('.jp-OutputArea-output').innerText
            !== first""",
        arg=first,
    )
    bare_page.run(4)
    card.get_by_text("cancelled, ").first.wait_for()
    runs.get_by_text("15 cancelled").first.wait_for()
    outputs = [output for cell in bare_page.save().cells for output in cell.outputs]
    kinds = {kind for output in outputs if output.output_type == "display_data" for kind in output.data}
    assert kinds == {"text/html", "text/plain"}
