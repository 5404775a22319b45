"""The live list of runs in a real page, and runs that come back to their cells after a restart of the kernel."""

from __future__ import annotations

import pytest

from .accessibility import assert_accessible

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
SLOW = "%%task -o h for n in range(40)\n# slow\nimport time\nprint('begins', n)\ntime.sleep(60)"
RESTART = "async () => { await window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart(); }"
#: Each button is within what is seen of the table, and nothing lies on it.
REACHED = """() => { const seen = document.querySelector('.nbt-panel .nbt-table').getBoundingClientRect();
    return [...document.querySelectorAll('.nbt-panel .nbt-actions button')].every((button) => {
        const { left, right, top, bottom } = button.getBoundingClientRect();
        return left >= seen.left && right <= seen.right + 1
            && document.elementFromPoint((left + right) / 2, (top + bottom) / 2) === button; }); }"""


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_the_list_is_live_and_runs_come_back_to_their_cells(lab_page, app):
    notebook = lab_page([SETUP, SLOW, "%tasks", "%tasks attach", "%workers"], app)
    page = notebook.page
    notebook.run(0, 1, 2)
    row = page.locator(".nbt-panel tbody tr", has_text="slow")
    row.get_by_text("running, 0 of 40").wait_for(timeout=60_000)
    assert row.get_by_role("button").all_inner_texts() == ["Card", "Output", "Cancel"]
    row.get_by_role("button", name="Output").click()
    page.locator(".nbt-said", has_text="begins").wait_for()

    assert_accessible(page, ".nbt-panel")
    # The buttons are at hand on narrow pages, too: the rest of the table scrolls.
    for width in (1180, 1000, 560):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_function(REACHED)
    page.set_viewport_size({"width": 1180, "height": 1000})

    page.evaluate(RESTART)
    notebook.run(0, 3)
    back = (
        page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".nbt-card[data-state=STARTED][data-lost=false]")
    )
    back.wait_for(timeout=60_000)
    back.locator(".nbt-cancel").click()
    listed = page.locator(".jp-Notebook .jp-Cell").nth(3).locator(".nbt-panel tbody tr")
    listed.get_by_text("cancelled").wait_for()
    data = notebook.save().cells[1].outputs[0].data
    assert "application/vnd.jupyter.widget-view+json" not in data
    assert "REVOKED" in data["text/plain"] or "cancelled" in data["text/plain"]
    notebook.run(4)
    page.locator(".nbt-panel tbody tr", has_text="prefork 2").wait_for()
    assert_accessible(page, ".nbt-panel")
    # The file has no widget, although nothing has changed since: it would be an error tomorrow.
    page.wait_for_function(
        """() => { const cell = [...window.jupyterapp.shell.currentWidget.context.model.cells][4];
            return !('application/vnd.jupyter.widget-view+json' in cell.sharedModel.getOutputs()[0].data); }"""
    )
