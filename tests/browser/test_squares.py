"""The squares open their calls, and what stands on the card can be selected and read while it runs."""

from __future__ import annotations

import re

import pytest

from .accessibility import assert_accessible
from .jupyter_server import OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
PAGES = """
%%task -o pages for n in range(180)
# fetch pages
import time
for step in range(8):
    time.sleep(0.05)
    print("page", n, "step", step)
if n == 3:
    raise ValueError(f"page {n} is bad")
{"page": n}
"""
SIDE = 12  # pixels from one of 60 squares to the next


def square(column, row=0):
    return {"x": SIDE * column + 4, "y": SIDE * row + 4}


def selected(page):
    return page.evaluate("() => String(document.getSelection())")


def select(page, selector):
    page.evaluate(
        """(selector) => { const node = document.querySelector(selector);
            document.getSelection().selectAllChildren(node); }""",
        selector,
    )


@pytest.fixture(scope="module", params=["lab", pytest.param("notebook", marks=pytest.mark.long)])
def running(chromium, jupyter_servers, request):
    """A page with a card that goes on for longer than the tests of this file, which take it in turns."""
    notebook = OpenNotebook(chromium, jupyter_servers(request.param), [SETUP, PAGES], dark=False)
    notebook.run()
    notebook.page.wait_for_selector(".nbt-failure", timeout=60_000)
    yield notebook.page
    problems = notebook.problems()
    notebook.close()
    assert not problems


def ticks(page, n):
    """Wait until the card has counted on by ``n`` calls."""
    done = "Number(document.querySelector('.nbt-count b').textContent)"
    page.wait_for_function(f"(most) => {done} >= most", arg=page.evaluate(done) + n, timeout=30_000)


@pytest.mark.long
def test_what_is_selected_stays_selected_while_it_runs(running):
    page = running
    page.wait_for_selector(".nbt-line:nth-child(5)")
    for selector, part in (
        (".nbt-line:last-child span", "page"),
        (".nbt-count", "done"),
        (".nbt-failure summary", "bad"),
    ):
        select(page, selector)
        before = selected(page)
        ticks(page, 3)
        assert part in before
        # The number of calls that are done may have grown.
        assert selected(page)[-5:] == before[-5:]
    page.evaluate("document.getSelection().removeAllRanges()")
    # Who reads further up keeps the place.
    page.locator(".nbt-output .nbt-more").first.click()
    page.wait_for_selector(".nbt-output[data-open=true] .nbt-line:nth-child(60)")
    lines = page.locator(".nbt-lines")
    lines.evaluate("node => { node.scrollTop = 40; }")
    at = "node => [node.scrollTop, node.children[3].textContent, node.children.length]"
    top, read, number = lines.evaluate(at)
    ticks(page, 4)
    assert lines.evaluate(at)[:2] == [top, read]
    assert lines.evaluate(at)[2] > number
    with page.expect_download() as download:
        page.locator(".nbt-download").click()
    text = download.value.path().read_text()
    assert "# 0 n=0\npage 0 step 0\npage 0 step 1" in text


@pytest.mark.long
def test_the_squares_work_by_keyboard(running):
    page = running
    page.locator(".nbt-mosaic").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.locator(".nbt-unseen", has_text="n=1 ").wait_for(state="attached")
    page.keyboard.press("Enter")
    page.locator(".nbt-drawer[data-index='1'][data-told=true]").wait_for()
    assert page.evaluate("document.activeElement.className") == "nbt-drawer"
    page.locator(".nbt-unseen", has_text="n=1: done").wait_for(state="attached")
    page.keyboard.press("ArrowRight")
    page.locator(".nbt-drawer[data-index='2'][data-told=true]").wait_for()
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert page.locator(".jp-Cell").count() == 2
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "nbt-mosaic"


@pytest.mark.long
def test_the_timeline_opens_calls_and_zooms(running):
    page = running
    page.get_by_role("tab", name="Squares").focus()
    page.keyboard.press("ArrowRight")
    lanes = page.locator(".nbt-lanes")
    page.wait_for_function("() => document.querySelector('.nbt-lanes').clientHeight > 30")
    # What bars look like is said, and not by colours alone.
    legend = page.locator(".nbt-legend .nbt-count")
    legend.filter(has_text="running").wait_for()
    assert set(legend.all_inner_texts()) >= {"done", "failed", "running"}
    shapes = legend.locator("img").evaluate_all("images => images.map((image) => image.src)")
    assert len(set(shapes)) == len(shapes) >= 3
    lanes.focus()
    page.keyboard.press("ArrowRight")
    page.locator(".nbt-lanes-text", has_text="ran 0.").wait_for()
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    page.locator(".nbt-drawer[data-told=true]", has_text="child ").wait_for()
    assert_accessible(page)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "nbt-lanes"
    page.get_by_role("tab", name="Squares").click()
    page.locator(".nbt-mosaic").wait_for()


@pytest.mark.long
def test_the_newest_results_are_there_while_it_runs_and_open_their_calls(running):
    page = running
    strip = page.locator(".nbt-newest")
    newest = strip.locator(".nbt-result").first
    newest.wait_for()
    text = newest.inner_text()
    assert re.fullmatch(r"n=(\d+)\n\{'page': \1\}", text)
    assert_accessible(page, ".nbt-newest")
    newest.focus()
    # Others come while it has the focus, which stays in the strip: Jupyter takes no key.
    page.wait_for_function("(old) => document.querySelector('.nbt-result').innerText !== old", arg=text)
    page.wait_for_function(
        "(old) => !document.querySelector('.nbt-newest').innerText.includes(old)", arg=text
    )
    assert page.evaluate("document.activeElement.className") == "nbt-result"
    index = page.evaluate("document.activeElement.querySelector('.nbt-result-what').textContent")
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert page.locator(".jp-Cell").count() == 2
    page.keyboard.press("Enter")
    page.locator(".nbt-drawer[data-told=true]", has_text=index).wait_for()
    page.keyboard.press("Escape")
    page.locator(".nbt-drawer").wait_for(state="hidden")


def test_a_click_on_a_square_opens_its_call(running):
    page = running
    page.locator(".nbt-mosaic").click(position=square(3))
    drawer = page.locator(".nbt-drawer")
    page.locator(".nbt-drawer[data-index='3'][data-told=true]").wait_for()
    text = drawer.inner_text()
    assert all(part in text for part in ("n=3", "failed", "child ", "queued", "ran", "attempt", "n = 3"))
    assert "page 3 step 0\npage 3 step 1" in text
    assert "ValueError: page 3 is bad" in text
    assert_accessible(page)
    # One that waits tells how it goes on.
    drawer.get_by_label("next call", exact=True).click()
    # Far enough ahead that it still waits when a slow machine has opened it.
    later = int(page.locator(".nbt-count b").first.inner_text()) + 25
    page.locator(".nbt-mosaic").click(position=square(later % 62, later // 62))
    opened = f".nbt-drawer[data-index='{later}']"
    page.locator(opened, has_text="waiting").wait_for()
    page.locator(opened, has_text="done").wait_for(timeout=60_000)
    assert f"{{'page': {later}}}" in drawer.inner_text()
    drawer.get_by_label("next failed call").click()
    page.locator(".nbt-drawer[data-index='3'][data-told=true]").wait_for()
    page.locator(".nbt-again").click()
    page.locator(".nbt-drawer[data-index='3']", has_text="Earlier attempts").wait_for(timeout=60_000)
    page.locator(".nbt-debug").first.click()
    page.locator(".nbt-debug-line", has_text="%tasks debug ").first.wait_for()
    drawer.first.get_by_label("close").click()
    drawer.first.wait_for(state="hidden")


@pytest.mark.long
def test_a_single_call_has_a_button_for_its_details(lab_page):
    notebook = lab_page(
        [
            SETUP,
            "%%task -o one\nprint('it prints')\nraise ValueError('it is bad')",
            "%%task\nsum(range(5))",
            "%%task for n in []\nn",
        ]
    )
    page = notebook.page
    notebook.run()
    bad, good = (page.locator(".jp-Cell").nth(number).locator(".nbt-card") for number in (1, 2))
    bad.locator("[data-dot=FAILURE], .nbt-failure").first.wait_for(timeout=60_000)
    button = bad.get_by_role("button", name="Details")
    button.focus()
    page.keyboard.press("Enter")
    drawer = bad.locator(".nbt-drawer[data-told=true]")
    drawer.get_by_text("it prints").wait_for()
    assert "ValueError: it is bad" in drawer.inner_text()
    assert button.get_attribute("aria-expanded") == "true"
    assert drawer.get_by_role("button", name="call").locator("visible=true").count() == 0
    assert_accessible(page)
    page.keyboard.press("Escape")
    drawer.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.textContent") == "Details"
    assert button.get_attribute("aria-expanded") == "false"
    good.get_by_role("button", name="Details").click()
    good.locator(".nbt-drawer[data-told=true]", has_text="10").wait_for()
    good.get_by_role("button", name="Details").click()
    good.locator(".nbt-drawer").wait_for(state="hidden")
    # A card without calls has no room for squares.
    empty = page.locator(".jp-Cell").nth(3).locator(".nbt-card")
    empty.get_by_text("0 calls").first.wait_for()
    assert empty.bounding_box()["height"] < 140


@pytest.mark.long
def test_a_click_finds_one_of_very_many_calls(lab_page):
    notebook = lab_page(
        [SETUP, "%%task -o h for n in range(100_000)\nif n == 50_000:\n    raise ValueError(n)\nn"]
    )
    page = notebook.page
    notebook.run()
    page.wait_for_selector(".nbt-card[data-done=true]", timeout=120_000)
    mosaic = page.locator(".nbt-mosaic")
    columns = mosaic.evaluate("node => node.clientWidth")
    for clicked, opened in ((12_345, 12_345), (50_000 + 2 * columns + 1, 50_000)):
        # Each call is one pixel; what has failed is found by who misses it by some.
        mosaic.click(position={"x": clicked % columns + 0.5, "y": clicked // columns + 0.5})
        page.locator(f".nbt-drawer[data-index='{opened}'][data-told=true]", has_text=f"n={opened}").wait_for()
    print("ms from a click to the open drawer, and to all that the kernel tells:", page.evaluate(OPENING))


#: Milliseconds that the drawer takes: until it is there, and until it is complete.
OPENING = """async () => {
    const drawer = document.querySelector('.nbt-drawer'), canvas = document.querySelector('.nbt-mosaic');
    const box = canvas.getBoundingClientRect(), taken = [];
    for (let row = 2; row < 42; row += 2) {
        const began = performance.now();
        const place = { clientX: box.left + 9.5, clientY: box.top + row + 0.5, bubbles: true };
        canvas.dispatchEvent(new MouseEvent('click', place));
        const open = performance.now() - began;
        while (drawer.dataset.told !== 'true') await new Promise(requestAnimationFrame);
        taken.push([open, performance.now() - began]);
    }
    const middle = (place) => taken.map((pair) => pair[place]).sort((a, b) => a - b)[10];
    return [middle(0), middle(1)];
}"""
