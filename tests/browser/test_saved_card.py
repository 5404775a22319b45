"""What the notebook's file keeps of a card, and what a page shows of it after a reload, a restart, without widgets."""

from __future__ import annotations

import io
import os
import signal

import pytest
from PIL import Image, ImageChops

from .accessibility import assert_accessible

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
SLOW = "%%task -o h for n in range(400)\n# slow\nimport time\ntime.sleep(0.5)\nprint('line', n)"
RESTART = "async () => { await window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart(); }"
RUNNING = ".nbt-card[data-state=STARTED]"
#: Without quotes in it: it goes into attributes of the page.
DONE = "Number(document.querySelector('.nbt-count b').textContent)"


def saved_card(notebook, cell=1):
    """Save the notebook and return the one output of the cell as it stands in the file."""
    (output,) = notebook.save().cells[cell].outputs
    return output.data


@pytest.mark.long
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
    assert "slow: cancelled, " in last["text/plain"]

    # The page keeps the widget, with its buttons; a page without the kernel has what is saved.
    page.locator(".nbt-card[data-done=true]").wait_for()
    page.evaluate("async () => await window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    notebook.open()
    page.locator(".jp-OutputArea-output", has_text="cancelled").wait_for()
    assert page.locator(".nbt-card").count() == 0
    assert page.get_by_text("Error displaying widget").count() == 0


@pytest.mark.long
@pytest.mark.parametrize("dies", [False, True])
def test_a_kernel_that_is_restarted_or_dies_is_noticed(lab_page, dies):
    notebook = lab_page([SETUP + "\nimport os; os.getpid()", SLOW])
    page = notebook.page
    notebook.run()
    page.wait_for_selector(RUNNING, timeout=60_000)
    if dies:
        os.kill(
            int(page.locator(".jp-OutputArea-executeResult").first.inner_text().split()[-1]), signal.SIGKILL
        )
    else:
        page.evaluate(RESTART)
    note = page.locator(".nbt-note", has_text="The kernel has ended or was restarted")
    note.wait_for()
    assert "%tasks attach" in note.inner_text()
    assert page.locator(".nbt-state").inner_text() == "not followed"
    assert page.locator(".nbt-cancel").is_hidden()
    stands = page.locator(".nbt-time").inner_text()
    page.wait_for_timeout(600)
    assert page.locator(".nbt-time").inner_text() == stands


@pytest.mark.long
def test_a_silent_kernel_is_noticed_and_heard_again(lab_page):
    notebook = lab_page([SETUP + "\nimport os; os.getpid()", SLOW])
    page = notebook.page
    notebook.run()
    page.wait_for_selector(RUNNING, timeout=60_000)
    kernel = int(page.locator(".jp-OutputArea-executeResult").first.inner_text().split()[-1])
    os.kill(kernel, signal.SIGSTOP)
    try:
        page.locator(".nbt-note", has_text="The kernel has not been heard from for").wait_for()
        assert page.locator(".nbt-state").inner_text() == "not followed"
    finally:
        os.kill(kernel, signal.SIGCONT)
    page.locator(".nbt-cancel").wait_for()
    assert page.locator(".nbt-state").inner_text() == "running"
    page.locator(".nbt-cancel").click()
    page.wait_for_selector(".nbt-card[data-state=REVOKED]")


LIVE = ".jp-Cell .nbt-card[data-done=true]"
SAVED = ".jp-Cell .jp-RenderedHTML > div"
SHOW_SAVED = """() => { const cell = [...window.jupyterapp.shell.currentWidget.context.model.cells][1];
    cell.outputs.set(0, cell.sharedModel.getOutputs()[0]); }"""


def picture(page, selector):
    card = page.locator(selector)
    card.wait_for()
    page.mouse.move(0, 0)
    return Image.open(io.BytesIO(card.screenshot(animations="disabled"))).convert("RGB")


def assert_same(live, saved, name, folder):
    live.save(folder / f"{name}-live.png")
    saved.save(folder / f"{name}-saved.png")
    assert live.size == saved.size
    difference = ImageChops.difference(live, saved).convert("L").point(lambda value: 255 if value > 8 else 0)
    box = difference.getbbox()
    assert box is None, f"{name}: they differ within {box}; see {folder}"


PICTURE = """
class Picture:
    def _repr_png_(self):
        from nbtasks.core.stencils import swatch
        return swatch("FAILURE", 40)
"""


@pytest.mark.long
def test_live_and_saved_are_the_same_picture(lab_page, tmp_path):
    body = """
%%task -n 'a title of some length, then \u05e9\u05dc\u05d5\u05dd' -o h for n in range(calls)
for line in range(2):
    print("line", line, "of", n, "x" * 90)
if n in (5, 17):
    raise ValueError("y" * 200)
Picture() if n == calls - 1 else {"n": n, "text": "<b>" * 30 * (n % 2)}
"""
    # Squares, and such with letters.
    notebook = lab_page([SETUP + PICTURE + "\ncalls = 130", body, "calls = 30"])
    page = notebook.page
    for width in (1180, 600):
        page.set_viewport_size({"width": width, "height": 1000})
        notebook.run(*([0, 1] if width == 1180 else [2, 1]))
        page.wait_for_selector(RUNNING + ", " + LIVE, timeout=60_000)
        page.wait_for_selector(LIVE, timeout=60_000)
        page.wait_for_function(f"() => {{ {SAVED_AS_FINAL} }}")
        # Pressed by nobody, they are the only thing that a saved card cannot have.
        page.add_style_tag(
            content=".nbt-button, .nbt-output button:not(:first-child) { visibility: hidden; }"
        )
        assert_reached_by_keyboard(page, ".nbt-tile" if width == 600 else ".nbt-mosaic")
        page.locator(f"{LIVE} .nbt-result img").first.wait_for()
        themes = ["JupyterLab Light", "JupyterLab Dark"] if width == 1180 else ["JupyterLab Light"]
        live = {}
        for theme in themes:
            notebook.theme(theme)
            live[theme] = picture(page, LIVE)
        page.evaluate(SHOW_SAVED)
        for theme in themes:
            notebook.theme(theme)
            assert_same(live[theme], picture(page, SAVED), f"{theme}-{width}", tmp_path)


#: What a single call returns: a page, a table, a long text; and one that draws bars and prints.
SINGLE = [
    "Page('<h2>head</h2><p>text <b>bold</b></p><ul><li>one</li></ul><pre>code</pre>')",
    "Page('<table border=1 class=dataframe><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>')",
    "list(range(60))",
    "from tqdm import tqdm\nfor a in tqdm(range(2)):\n    for b in tqdm(range(3)): pass\nprint('x\\n' * 9)",
]
PAGE = """
class Page:
    def __init__(self, html): self.html = html
    def _repr_html_(self): return self.html
"""


def cell_of(number):
    return f".jp-Notebook .jp-Cell:nth-child({number + 1} of .jp-Cell)"


#: The saved form takes the place of the live one in one cell, and what was there comes back.
SWAP = """(number) => { const cell = [...window.jupyterapp.shell.currentWidget.context.model.cells][number];
    const old = window.old?.[number] ?? cell.outputs.get(0).toJSON(); (window.old ??= {})[number] = old;
    window.swapped = window.swapped === number ? null : number;
    cell.outputs.set(0, window.swapped === number ? cell.sharedModel.getOutputs()[0] : old); }"""


@pytest.mark.long
def test_what_a_single_call_returns_is_the_same_picture(lab_page, tmp_path):
    many = "%%task -n one for n in range(150)\nn;"
    notebook = lab_page([SETUP + PAGE, *(f"%%task -n one\n{body}" for body in SINGLE), many])
    page = notebook.page
    page.set_viewport_size({"width": 1180, "height": 1900})
    notebook.run()
    done = "() => document.querySelectorAll('.nbt-card[data-done=true]').length === 5"
    page.wait_for_function(done, timeout=60_000)
    final = """() => [...window.jupyterapp.shell.currentWidget.context.model.cells].slice(1).every((cell) =>
        cell.sharedModel.getOutputs()[0].data['text/plain'].includes('one: done'))"""
    page.wait_for_function(final)
    page.add_style_tag(content=".nbt-button, .nbt-output button:not(:first-child) { visibility: hidden; }")
    # From the last one on, so that those that are still to come stay where they are.
    for number in range(5, 0, -1):
        live = picture(page, f"{cell_of(number)} .nbt-card")
        page.evaluate(SWAP, number)
        saved = picture(page, f"{cell_of(number)} .jp-RenderedHTML > div")
        assert_same(live, saved, f"single-{number}", tmp_path)
        page.evaluate(SWAP, number)
    # A card that gets narrower after its end is saved as it is then.
    html = "[...window.jupyterapp.shell.currentWidget.context.model.cells][5].sharedModel.getOutputs()[0]"
    wide = page.evaluate(f"{html}.data['text/html']")
    page.set_viewport_size({"width": 560, "height": 1900})
    page.wait_for_function(f"(wide) => {html}.data['text/html'] !== wide", arg=wide)
    live = picture(page, f"{cell_of(5)} .nbt-card")
    page.evaluate(SWAP, 5)
    assert_same(live, picture(page, f"{cell_of(5)} .jp-RenderedHTML > div"), "narrowed", tmp_path)


def assert_reached_by_keyboard(page, squares):
    page.locator(f"{LIVE} {squares}").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".nbt-drawer[data-told=true]").wait_for()
    assert_accessible(page)
    page.keyboard.press("Escape")
    page.locator(".nbt-drawer").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.className") == squares[1:]
    page.evaluate("document.activeElement.blur()")


#: The end is in the file.
SAVED_AS_FINAL = """const cell = [...window.jupyterapp.shell.currentWidget.context.model.cells][1];
    return cell.sharedModel.getOutputs()[0].data['text/html'].includes('%tasks retry');"""
