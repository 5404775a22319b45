"""What a page shows that has not run the cell itself: after a reload in mid-run, or a second one beside the first."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(300)]

RESTART = "async () => { await window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart(); }"
SETUP = "%load_ext nbtasks\n%workers start 2"
SHOWS = """
%%task -o shown
# shows
import time
from pathlib import Path
from IPython.display import HTML, display
def wait_for(step):
    while not Path(step).exists():
        time.sleep(0.05)
display(HTML("<p id='first'>first</p>"))
handle = display(HTML("<p id='second'>two</p>"), display_id=True)
wait_for("one-more")
handle.update(HTML("<p id='second'>second</p>"))
display(HTML("<p id='third'>third</p>"))
wait_for("the-end")
display(HTML("<p id='last'>last</p>"))
"""
ONE_MORE, THE_END = "open('one-more', 'w').close()", "open('the-end', 'w').close()"


def below(page):
    """The outputs below the card, as the page shows them."""
    return page.locator(".jp-Cell").nth(1).locator(".jp-RenderedHTML p[id]").all_inner_texts()


def saved_below(notebook):
    return [output["data"]["text/html"] for output in notebook.save()["cells"][1]["outputs"][1:]]


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_what_calls_display_after_a_reload_is_shown_and_saved(lab_page, app):
    notebook = lab_page([SETUP, SHOWS, ONE_MORE, THE_END], app)
    page = notebook.page
    notebook.run(0, 1)
    page.wait_for_selector("#second", timeout=60_000)
    notebook.save()
    notebook.open()
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    notebook.run(2)
    page.wait_for_selector("#third", timeout=60_000)
    assert below(page) == ["first", "second", "third"]

    # And once more, the end with nobody there to see it.
    notebook.save()
    page.goto("about:blank")
    (notebook.folder / "the-end").touch()
    notebook.open()
    page.wait_for_selector("#last", timeout=60_000)
    assert below(page) == ["first", "second", "third", "last"]
    assert [html.count("<p") for html in saved_below(notebook)] == [1, 1, 1, 1]
    assert "last" in saved_below(notebook)[-1]


def test_what_calls_display_comes_back_with_a_run_that_is_attached(lab_page):
    notebook = lab_page([SETUP, SHOWS, "%tasks attach", ONE_MORE, THE_END])
    page = notebook.page
    notebook.run(0, 1)
    page.wait_for_selector("#second", timeout=60_000)
    page.evaluate(RESTART)
    notebook.run(0, 2)
    page.wait_for_selector(".nbt-card[data-state=STARTED][data-lost=false]", timeout=60_000)
    notebook.run(3)
    page.wait_for_selector("#third", timeout=60_000)
    notebook.run(4)
    page.wait_for_selector("#last", timeout=60_000)
    assert below(page) == ["first", "second", "third", "last"]


def test_two_pages_of_one_notebook_show_the_same(lab_page):
    notebook = lab_page([SETUP, SHOWS, ONE_MORE, THE_END])
    notebook.run(0, 1)
    notebook.page.wait_for_selector("#second", timeout=60_000)
    notebook.save()
    other = lab_page(notebook)
    other.page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    notebook.run(2)
    for one in (notebook, other):
        one.page.wait_for_selector("#third", timeout=60_000)
    other.run(3)
    for one in (notebook, other):
        one.page.wait_for_selector("#last", timeout=60_000)
        one.page.wait_for_selector(".nbt-card[data-done=true]")
        assert below(one.page) == ["first", "second", "third", "last"]


SLOW = "%%task -o h for n in range(1000)\n# slow\nimport time\ntime.sleep(0.5)\nprint('line', n)"
DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
KEPT = """() => { const cell = [...window.jupyterapp.shell.currentWidget.context.model.cells][1];
    return cell.sharedModel.getOutputs()[0].data['text/plain'].includes('cancelled'); }"""


def test_a_second_page_shows_the_card_and_leaves_the_file_to_the_first(lab_page):
    notebook = lab_page([SETUP, SLOW])
    notebook.run()
    notebook.page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    notebook.idle()
    notebook.save()
    # It sees to the file from now on.
    notebook.page.wait_for_function(DIRTY)
    notebook.save()
    other, third = lab_page(notebook), lab_page(notebook)
    for one in (other, third):
        one.page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    notebook.page.wait_for_function(DIRTY)
    assert not other.page.evaluate(DIRTY)
    assert not third.page.evaluate(DIRTY)

    # It is closed: another one sees to the file.
    third.page.goto("about:blank")
    notebook.page.goto("about:blank")
    other.page.locator(".nbt-cancel").click()
    other.page.wait_for_selector(".nbt-card[data-state=REVOKED]")
    other.page.wait_for_function(DIRTY)
    assert other.page.evaluate(KEPT)


def test_a_reload_while_a_cell_blocks_shows_the_saved_card_at_once(lab_page):
    notebook = lab_page([SETUP, SHOWS, "shown.get()"])
    page = notebook.page
    notebook.run(0, 1)
    page.wait_for_selector("#second", timeout=60_000)
    notebook.run(2)
    page.locator(".jp-Cell").nth(2).locator(".jp-InputPrompt", has_text="[*]").wait_for()
    notebook.save()
    notebook.open()
    saved = page.locator(".jp-Cell").nth(1).locator(".jp-OutputArea-output").first
    saved.get_by_text("%tasks attach").wait_for()
    assert below(page) == ["first", "two"]
    for step in ("one-more", "the-end"):
        (notebook.folder / step).touch()
    page.wait_for_selector(".nbt-card[data-done=true]", timeout=60_000)
    page.wait_for_selector("#last")
    assert below(page) == ["first", "second", "third", "last"]
