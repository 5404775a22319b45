"""The list of runs in a real page: its rows open to cards, and its buttons act on all of it."""

from __future__ import annotations

import pytest

from .accessibility import assert_accessible

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(300)]

SETUP = """%load_ext nbtasks
%workers start 2
import pathlib, nbtasks
fixed = pathlib.Path('fixed-in-list')
fixed.unlink(missing_ok=True)
here = str(fixed.resolve())"""
RUNS = """@nbtasks.task
def fetch(n):
    import pathlib
    print('page', n)
    if n == 2 and not pathlib.Path(here).exists():
        raise OSError(f'no page {n}')
    return n
gs = [fetch.map(range(n), label=f'chapter {n}') for n in range(1, 6)]"""
WAITING = """@nbtasks.task
def wait(n):
    import time
    time.sleep(60)
ws = [wait.map(range(3), label=f'wait {n}') for n in range(5)]"""
PROGRESS = "nbtasks.progress([*gs, fetch.delay(7)])"


def in_cell(page, number):
    return page.locator(".jp-Notebook .jp-Cell").nth(number)


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_rows_open_and_the_buttons_act_on_all(lab_page, app):
    notebook = lab_page([SETUP, RUNS, "fixed.touch()", WAITING, PROGRESS], app)
    page = notebook.page
    notebook.run(0, 1)
    listed = in_cell(page, 1).locator(".nbt-list")
    listed.locator(".nbt-state", has_text="done, 3 of 15 failed").wait_for(timeout=60_000)
    assert in_cell(page, 1).locator(".nbt-card").count() == 1
    rows = listed.locator(".nbt-run")
    assert rows.count() == 5

    # A row opens to its card, and the card to its call.
    row = listed.get_by_role("button", name="chapter 4")
    row.focus()
    page.keyboard.press("Enter")
    card = listed.locator(".nbt-opened .nbt-card")
    card.locator(".nbt-tile").nth(2).click()
    drawer = card.locator(".nbt-drawer[data-index='2'][data-told=true]")
    drawer.get_by_text("OSError: no page 2").first.wait_for()
    assert "page 2" in drawer.inner_text()
    assert row.get_attribute("aria-expanded") == "true"
    assert_accessible(page, ".nbt-list")
    page.set_viewport_size({"width": 600, "height": 1000})
    notebook.theme("JupyterLab Dark")
    page.set_viewport_size({"width": 1180, "height": 1000})
    assert_accessible(page, ".nbt-list")
    notebook.theme("JupyterLab Light")

    # Retry in the list repairs every row, and what is open shows it.
    notebook.run(2)
    notebook.idle(2)
    listed.locator("> .nbt-head > .nbt-retry").click()
    listed.locator(".nbt-state", has_text="done").first.wait_for()
    listed.locator("> .nbt-counts", has_text="15 done").wait_for(timeout=60_000)
    assert listed.locator(".nbt-bad").all_inner_texts() == [""] * 5
    card.locator(".nbt-tile[data-state=SUCCESS]").nth(3).wait_for()
    card.locator(".nbt-drawer").get_by_text("done", exact=True).wait_for()
    assert not listed.locator("> .nbt-head > .nbt-retry").is_visible()
    # Shut, opened again, it is there again.
    row.click()
    card.wait_for(state="hidden")
    row.click()
    card.locator(".nbt-tile").first.wait_for()
    row.click()

    notebook.run(3)
    waiting = in_cell(page, 3).locator(".nbt-list")
    waiting.locator(".nbt-run").nth(4).wait_for(timeout=60_000)
    waiting.locator(".nbt-state", has_text="running").first.wait_for()
    waiting.locator("> .nbt-head > .nbt-cancel").click()
    waiting.locator("> .nbt-head > .nbt-state", has_text="cancelled").wait_for(timeout=60_000)
    assert waiting.locator(".nbt-bad").all_inner_texts() == ["3 cancelled"] * 5

    notebook.run(4)
    shown = in_cell(page, 4).locator(".nbt-list")
    shown.locator("> .nbt-head", has_text="6 runs, 16 calls").wait_for(timeout=60_000)
    single = shown.get_by_role("button", name="fetch")
    single.click()
    shown.get_by_role("button", name="Details").click()
    shown.locator(".nbt-drawer[data-told=true]", has_text="page 7").wait_for()
    assert_accessible(page, ".nbt-list")
    outputs = notebook.save().cells[1].outputs
    assert "15 calls: done" in outputs[0].data["text/plain"]
