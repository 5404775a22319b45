"""The pictures of docs/gallery.md, each made by the cells beside it. ``make gallery`` puts them into docs/."""

from __future__ import annotations

import pytest

from .gallery_page import IMAGES, MOST_BYTES, Album, cells_of, sections
from .jupyter_server import OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
long = pytest.mark.long

SETUP = cells_of("")
#: Pictures of one notebook with the cells of these sections; that of a restart has a notebook of its own.
SHARED = ["running", "tiles", "memo", "list", "bars", "figure", "failure", "blocked"]
#: The last cell of each section is on the picture.
CELLS = {}
for _name in SHARED:
    CELLS[_name] = max(CELLS.values(), default=len(SETUP) - 1) + len(cells_of(_name))
LIVE = ".nbt-card"
RESTART = "async () => { await window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart(); }"
#: What the file has, in the place of what is live.
SHOW_SAVED = """(place) => { const cell = [...window.jupyterapp.shell.currentWidget.context.model.cells][place];
    cell.outputs.set(0, cell.sharedModel.getOutputs()[0]); }"""


class Studio:
    """A notebook, its cells by the name of their picture, and an album."""

    def __init__(self, notebook, album):
        self.notebook = notebook
        self.page = notebook.page
        self.album = album
        self.page.add_style_tag(content=".jp-cell-toolbar { display: none; }")

    def cell(self, name):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(CELLS[name])

    def start(self, name):
        last = CELLS[name]
        self.notebook.run(*range(last - len(cells_of(name)) + 1, last + 1))

    def shoot(self, name, *parts):
        """Keep a picture of these parts of the page, and return their texts."""
        self.page.evaluate("document.activeElement.blur()")
        self.page.mouse.move(0, 0)
        shots = [part.screenshot(animations="disabled") for part in parts]
        self.album.keep(name, *shots)

    def shows(self, part, *texts):
        """Wait until a part of the page has these texts."""
        for text in texts:
            part.get_by_text(text).locator("visible=true").first.wait_for(timeout=60_000)


@pytest.fixture(scope="module")
def album(run_folder):
    return Album(run_folder / "gallery")


@pytest.fixture(scope="module")
def studio(chromium, jupyter_servers, album):
    cells = [*SETUP, *(cell for name in SHARED for cell in cells_of(name))]
    notebook = OpenNotebook(chromium, jupyter_servers("lab"), cells, width=900, scale=2)
    notebook.run(0)
    notebook.idle(0)
    yield Studio(notebook, album)
    problems = notebook.problems()
    notebook.close()
    assert not problems


@pytest.fixture(scope="module")
def fan_out(studio):
    """The studio with the run of 120 calls, in the middle of it or at its end."""
    studio.start("running")
    studio.page.wait_for_function(
        """() => Number(document.querySelector('.nbt-count b')?.textContent) > 45
            && document.querySelector('.nbt-failure') && document.querySelectorAll('.nbt-line').length > 4""",
        timeout=60_000,
    )
    return studio


@pytest.fixture
def ended(fan_out):
    fan_out.page.wait_for_selector(f"{LIVE}[data-done=true]", timeout=60_000)
    return fan_out


@long
def test_a_running_fan_out(fan_out):
    cell = fan_out.cell("running")
    fan_out.shows(cell, "fetch pages", "TimeoutError", "no answer from page 17")
    fan_out.shoot("running", cell)


@long
def test_dark(fan_out):
    cell = fan_out.cell("running")
    fan_out.notebook.theme("JupyterLab Dark")
    fan_out.shows(cell, "fetch pages")
    fan_out.shoot("dark", cell.locator(".jp-Cell-outputArea"))
    fan_out.notebook.theme("JupyterLab Light")


@long
def test_the_timeline(ended):
    card = ended.cell("running").locator(LIVE)
    card.get_by_role("tab", name="Timeline").click()
    ended.page.wait_for_function("() => document.querySelector('.nbt-lanes')?.clientHeight > 30")
    ended.shoot("timeline", card)
    card.get_by_role("tab", name="Squares").click()


@long
def test_the_drawer_of_a_call(ended):
    card = ended.cell("running").locator(LIVE)
    card.locator(".nbt-mosaic").focus()
    for _ in range(18):
        ended.page.keyboard.press("ArrowRight")
    ended.page.keyboard.press("Enter")
    drawer = card.locator(".nbt-drawer[data-index='17'][data-told=true]")
    ended.shows(drawer, "n=17", "failed", "TimeoutError: no answer from page 17", "Retry this", "Debug here")
    ended.shoot("drawer", card)
    drawer.get_by_label("close").click()


@long
def test_600_pixels_wide(ended):
    ended.page.set_viewport_size({"width": 600, "height": 1000})
    ended.shows(ended.cell("running"), "118", "2 of 120 failed")
    ended.shoot("narrow", ended.cell("running").locator(".jp-Cell-outputArea"))
    ended.page.set_viewport_size({"width": 900, "height": 1000})


@long
def test_the_end_live_and_saved_beside_each_other(ended):
    output = ended.cell("running").locator(".jp-OutputArea-output")
    ended.shows(output, "2 of 120 failed")
    live = output.screenshot(animations="disabled")
    ended.notebook.save()
    ended.page.evaluate(SHOW_SAVED, CELLS["running"])
    ended.page.wait_for_selector(LIVE, state="detached")
    ended.shows(output, "2 of 120 failed")
    ended.album.keep("finished", live, output.screenshot(animations="disabled"))


@long
def test_a_retry_repairs_in_place(studio):
    studio.start("tiles")
    cell = studio.cell("tiles")
    studio.shows(cell, "done, 2 of 10 failed")
    cell.locator(f"{LIVE}[data-done=true]").wait_for()
    studio.shoot("tiles", cell)
    cell.locator(".nbt-retry").click()
    cell.locator(f"{LIVE}[data-done=true]", has_text="10 done").wait_for(timeout=60_000)
    studio.shoot("repaired", cell.locator(LIVE))


@long
def test_results_that_are_there(studio):
    studio.start("memo")
    cell = studio.cell("memo")
    cell.locator(f"{LIVE}[data-done=true]").wait_for(timeout=60_000)
    studio.shows(cell, "100 of 120 reused")
    studio.shoot("memo", cell)


@long
def test_many_runs_of_one_cell(studio):
    studio.start("list")
    cell = studio.cell("list")
    rows = cell.locator(".nbt-list .nbt-run")
    rows.nth(5).wait_for(timeout=60_000)
    studio.shows(cell.locator(".nbt-list"), "simulate")
    studio.shoot("list", cell)


@long
def test_bars_of_tqdm(studio):
    studio.start("bars")
    cell = studio.cell("bars")
    rows = cell.locator(".nbt-bars .nbt-row")
    rows.nth(1).wait_for(timeout=60_000)
    studio.shows(cell, "epoch 1: loss 0.500")
    rows.nth(1).wait_for()
    assert [row.locator(".nbt-what").inner_text() for row in rows.all()] == ["epoch", "batch"]
    studio.shoot("bars", cell)


@long
def test_a_figure_from_a_worker(studio):
    studio.start("figure")
    cell = studio.cell("figure")
    cell.locator(".jp-RenderedImage img").wait_for(timeout=60_000)
    cell.locator(f"{LIVE}[data-done=true]").wait_for()
    studio.shoot("figure", cell)


@long
def test_a_failure_with_its_lines(studio):
    studio.start("failure")
    cell = studio.cell("failure")
    studio.shows(cell, "ZeroDivisionError: division by zero", "return whole / parts")
    cell.locator(f"{LIVE}[data-done=true]").wait_for()
    studio.shoot("failure", cell)


@long
def test_cancel_in_a_cell_that_blocks(studio):
    studio.start("blocked")
    cell = studio.cell("blocked")
    studio.page.wait_for_function(
        "(at) => Number(document.querySelectorAll('.jp-Cell')[at].querySelector('.nbt-count b')?.textContent) > 20",
        arg=CELLS["blocked"], timeout=60_000,
    )  # fmt: skip
    assert cell.locator(".jp-InputPrompt").inner_text() == "[*]:"
    studio.shoot("blocked", cell)
    cell.locator(".nbt-cancel").click()
    studio.shows(cell, "cancelled from the card", "cancelled")
    studio.notebook.idle(CELLS["blocked"])
    studio.shoot("cancelled", cell)


@long
def test_restart_and_come_back(chromium, jupyter_servers, album):
    notebook = OpenNotebook(
        chromium, jupyter_servers("lab"), [*SETUP, *cells_of("attach")], width=1180, scale=2
    )
    try:
        studio = Studio(notebook, album)
        notebook.run(0, 1)
        notebook.page.wait_for_selector(f"{LIVE}[data-state=STARTED]", timeout=60_000)
        notebook.page.evaluate(RESTART)
        notebook.run(0, 2)
        cells = notebook.page.locator(".jp-Notebook .jp-Cell")
        cells.nth(1).locator(f"{LIVE}[data-state=STARTED][data-lost=false]").wait_for(timeout=60_000)
        cells.nth(1).locator(".nbt-line").first.wait_for()
        studio.shows(cells.nth(2).locator(".nbt-panel"), "a long run")
        studio.shoot("attach", notebook.page.locator(".jp-Notebook .jp-WindowedPanel-viewport"))
        cells.nth(1).locator(".nbt-cancel").click()
        studio.shows(cells.nth(2).locator(".nbt-panel"), "cancelled")
        assert not notebook.problems()
    finally:
        notebook.close()


def test_each_picture_is_there_and_small():
    pictures = [name for _, names in sections().values() for name in names]
    assert {f"{name}.png" for name in pictures} == {path.name for path in IMAGES.iterdir()}
    assert len(pictures) == len(set(pictures))
    assert not [path for path in IMAGES.iterdir() if path.stat().st_size >= MOST_BYTES]
