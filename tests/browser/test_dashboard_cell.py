"""The dashboard in a cell of JupyterLab: live as long as its kernel and somebody's eyes, saved as tables."""

from __future__ import annotations

import pytest

from .dashboard_page import HTML, PAGES, DashboardPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
long = pytest.mark.long

SETUP = f"""%load_ext nbtasks
%workers start 2
import nbtasks
app = nbtasks.App.current()
@nbtasks.task
def square(n):
    return n * n
@nbtasks.task
def fails(text):
    print(text)
    raise ValueError(text)
square.map(range(40)).get()
failed = fails.map([{HTML!r}])
failed.get(propagate=False);"""
RESTART = "async () => { await window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart(); }"


def opened(notebook, cell=1):
    """Run the first cells, and return the dashboard of the last one."""
    notebook.run(*range(cell + 1))
    notebook.idle(*range(cell + 1))
    return DashboardPage(notebook.page, f".jp-Cell:nth-child({cell + 1}) .nbt-dash")


def test_a_cell_shows_it_until_the_kernel_ends(lab_page, eventually):
    notebook = lab_page([SETUP, "app.dashboard()"])
    page = notebook.page
    dashboard = opened(notebook)
    dashboard.shows("square")
    dashboard.assert_sound()

    tasks = dashboard.turn("Tasks")
    tasks.get_by_role("button", name="failed").click()
    tasks.get_by_text("1 call fit").wait_for()
    link = tasks.get_by_role("button", name="fails")
    link.focus()
    place = dashboard.place()
    page.keyboard.press("Enter")
    dashboard.drawer.get_by_text("Traceback", exact=True).wait_for()
    dashboard.wait_until_it_stands_at(place)
    dashboard.assert_sound()
    # JupyterLab's own keys: `d d` deletes a cell, `b` makes one.
    for key in "ddb":
        page.keyboard.press(key)
    dashboard.drawer.get_by_role("button", name="run this call again").click()
    dashboard.drawer.locator(".nbt-answer.nbt-shown[data-ok=true]").wait_for()
    page.keyboard.press("Escape")
    dashboard.drawer.wait_for(state="hidden")
    dashboard.wait_for_focus("nbt-link", "fails")
    # The card above is another while the call runs again: the notebook is scrolled for that, and nothing moves.
    tasks.get_by_text("2 calls fit").wait_for()
    dashboard.wait_until_it_stands_at(place)

    def saved_output():
        saved = notebook.save()
        assert len(saved.cells) == 2
        (output,) = saved.cells[1].outputs
        # What is saved is renewed now and then.
        return output if set(output.data) == {"text/html", "text/plain"} else None

    output = eventually(saved_output, "no widget is saved")
    assert "square" in output.data["text/plain"]
    assert HTML not in output.data["text/html"]
    page.evaluate(RESTART)
    dashboard.root.get_by_text("The kernel has ended or was restarted: run the cell again.").wait_for()
    dashboard.assert_sound()


@long
def test_it_lives_as_a_widget_by_itself_as_marimo_has_it(lab_page):
    cell = "from nbtasks.jupyter.panel.livedashboard import widget_of\nwidget_of(app.dashboard())"
    dashboard = opened(lab_page([SETUP, cell]))
    dashboard.shows("square")
    tasks = dashboard.turn("Tasks")
    tasks.get_by_role("button", name="failed").click()
    tasks.get_by_text("1 call fit").wait_for()
    tasks.get_by_role("button", name="fails").click()
    dashboard.drawer.get_by_role("button", name="run this call again").click()
    dashboard.drawer.locator(".nbt-answer.nbt-shown[data-ok=true]").wait_for()
    dashboard.assert_sound()


@long
def test_every_page_in_light_and_dark(lab_page):
    notebook = lab_page([SETUP, "app.dashboard()"])
    dashboard = opened(notebook)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.theme(theme)
        for name in PAGES:
            dashboard.turn(name).locator(
                ".nbt-grid, .nbt-worker-block, canvas, .nbt-list, .nbt-empty"
            ).locator("visible=true").first.wait_for()
            dashboard.assert_sound()


@long
def test_nothing_is_asked_while_it_is_not_shown(lab_page):
    notebook = lab_page([SETUP, "app.dashboard()", "print('line\\n' * 200)", "square.map(range(7)).get();"])
    dashboard, page = opened(notebook), notebook.page
    done = dashboard.shown("Overview").locator(".nbt-figure", has_text="done").locator("b")
    dashboard.root.locator(".nbt-figure > b", has_text="40").wait_for()
    notebook.run(2)
    notebook.idle(2)
    # The other end of the notebook is on show now.
    page.locator(".jp-Cell").nth(3).scroll_into_view_if_needed()
    page.wait_for_function(
        "root => root.getBoundingClientRect().bottom < 0", arg=dashboard.root.element_handle()
    )
    notebook.run(3)
    notebook.idle(3)
    page.wait_for_function("document.querySelectorAll('.nbt-card[data-done=true]').length > 0")
    assert done.text_content() == "40"
    dashboard.root.scroll_into_view_if_needed()
    dashboard.root.locator(".nbt-figure > b", has_text="47").wait_for()


@long
def test_two_browsers_look_at_pages_of_their_own(lab_page):
    notebook = lab_page([SETUP, "app.dashboard()"])
    first = opened(notebook)
    first.turn("Workers").locator(".nbt-child").nth(1).wait_for()
    notebook.save()
    second = DashboardPage(lab_page(notebook).page)
    second.shows("Failures by kind", "square")
    second.turn("Broker").get_by_text("noeviction").wait_for()
    assert first.root.locator(".nbt-child").count() == 2
    first.turn("Locks").get_by_text("Nothing is locked.").wait_for()


@long
def test_read_only_and_without_anybody_who_looks(lab_page):
    notebook = lab_page(
        [SETUP, "%%capture shown\napp.dashboard()", "shown.show()", "app.dashboard(readonly=True)"]
    )
    dashboard = opened(notebook, 3)
    dashboard.shows("read only")
    dashboard.turn("Workers").locator(".nbt-child").first.wait_for()
    assert dashboard.root.locator(".nbt-act").locator("visible=true").count() == 0
    outputs = notebook.save().cells[2].outputs
    # IPython keeps an empty one beside it.
    assert [sorted(output.data) for output in outputs if output.data] == [["text/html", "text/plain"]]
