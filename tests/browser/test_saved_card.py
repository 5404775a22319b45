"""What the notebook's file keeps of a card, and what a page shows of it after a reload, a restart, without widgets."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
SLOW = "%%task -o h for n in range(400)\n# slow\nimport time\ntime.sleep(0.5)\nprint('line', n)"
RUNNING = ".nbt-card[data-state=STARTED]"
#: Without quotes in it: it goes into attributes of the page.
DONE = "Number(document.querySelector('.nbt-count b').textContent)"


def saved_card(notebook, cell=1):
    """Save the notebook and return the one output of the cell as it stands in the file."""
    (output,) = notebook.save().cells[cell].outputs
    return output.data


def test_what_is_saved_in_mid_run_stands_alone_while_the_page_lives(lab_page):
    notebook = lab_page([SETUP, SLOW, "h.revoke()"])
    page = notebook.page
    notebook.run(0, 1)
    page.wait_for_selector(RUNNING, timeout=60_000)
    first = saved_card(notebook)
    assert sorted(first) == ["text/html", "text/plain"]
    assert "As of 20" in first["text/html"]
    assert page.locator(RUNNING).count() == 1

    # Within ten seconds the file would have it as it is by then, without a save in between.
    page.wait_for_function(f"() => {DONE} > 4")
    page.wait_for_function(
        """(first) => { const cell = [...window.jupyterapp.shell.currentWidget.context.model.cells][1];
            return cell.sharedModel.getOutputs()[0].data['text/html'] !== first; }""",
        arg=first["text/html"],
    )
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.context.model.dirty")
    assert saved_card(notebook)["text/plain"] != first["text/plain"]

    # Reopened: at once as it was saved, then as it is.
    notebook.open()
    page.wait_for_selector(RUNNING, timeout=60_000)
    assert page.get_by_text("Error displaying widget").count() == 0
    notebook.run(2)
    page.wait_for_selector(".nbt-card[data-state=REVOKED]")
    last = saved_card(notebook)
    assert sorted(last) == ["text/html", "text/plain"]
    assert "REVOKED slow" in last["text/plain"]

    # The page keeps the widget, with its buttons; a page without the kernel has what is saved.
    page.locator(".nbt-card[data-done=true]").wait_for()
    page.evaluate("async () => await window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    notebook.open()
    page.locator(".jp-OutputArea-output", has_text="revoked").wait_for()
    assert page.locator(".nbt-card").count() == 0
    assert page.get_by_text("Error displaying widget").count() == 0
