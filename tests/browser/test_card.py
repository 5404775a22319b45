"""The live card in a real JupyterLab and a real Notebook 7."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
HOSTILE = "<img src=x onerror=window.hacked=1>"

#: The second one shows the same card, in the long legs.
FRONT_ENDS = ["lab", pytest.param("notebook", marks=pytest.mark.long)]


def text(page, selector):
    return page.locator(selector).first.inner_text()


@pytest.mark.parametrize("app", FRONT_ENDS)
def test_states_change_while_it_runs_and_the_end_is_saved(lab_page, app):
    notebook = lab_page(
        [
            SETUP,
            """
%%task -o pages for n in range(40)
# fetch pages
import time
time.sleep(0.2)
print("page", n)
if n == 7:
    raise ValueError(f"page {n} is bad")
n
""",
        ],
        app,
    )
    page = notebook.page
    notebook.run()
    card = page.locator(".nbt-card")
    card.wait_for(timeout=60_000)
    seen = page.evaluate_handle("""() => { const seen = []; window.seen = seen;
        window.watching = setInterval(() => { const c = document.querySelector('.nbt-card');
            if (c) seen.push([c.dataset.state, c.querySelector('.nbt-counts').innerText,
                c.querySelector('.nbt-time').innerText]); }, 100); return seen; }""")
    page.wait_for_selector(".nbt-card[data-state=STARTED]")
    page.wait_for_selector(".nbt-failure")
    page.wait_for_selector(".nbt-card[data-done=true]", timeout=60_000)
    steps = [tuple(step) for step in seen.json_value()]
    assert len({counts for _, counts, _ in steps}) > 5
    # As the saved form says it.
    clock = r"\d\.\d\d s|\d\d\.\d s|\d+ min \d\d s"
    assert all(re.fullmatch(clock, time) for state, _, time in steps if state == "STARTED")
    assert "39 done" in card.inner_text()
    assert "ValueError" in card.inner_text()
    output = notebook.save().cells[1].outputs[0]
    assert sorted(output.data) == ["text/html", "text/plain"]
    assert "<img" in output.data["text/html"]
    assert "fetch pages: done, 1 of 40 failed, " in output.data["text/plain"]
    assert "widgets" not in notebook.save().metadata


@pytest.mark.long
@pytest.mark.parametrize("app", FRONT_ENDS)
def test_cancel_clicked_while_the_kernel_is_idle(lab_page, app):
    notebook = lab_page(
        [SETUP, "%%task -o h for n in range(20)\nimport time\ntime.sleep(60)", "h.state"], app
    )
    page = notebook.page
    notebook.run(0, 1)
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    notebook.idle(0, 1)
    page.locator(".nbt-cancel").click()
    page.locator(".jp-OutputArea-output", has_text="20 cancelled").wait_for()
    notebook.run(2)
    page.locator(".jp-OutputArea-executeResult", has_text="REVOKED").wait_for()


def test_the_card_lives_and_cancels_while_a_cell_blocks(lab_page):
    notebook = lab_page([SETUP, "%%task -b for n in range(1000)\nimport time\ntime.sleep(0.2)\nn"])
    page = notebook.page
    notebook.run()
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    done = ".nbt-count b"
    first = int(text(page, done))
    page.wait_for_function(f"(n) => Number(document.querySelector('{done}').textContent) > n + 3", arg=first)
    assert page.locator(".jp-Cell").nth(1).locator(".jp-InputPrompt").inner_text() == "[*]:"
    page.locator(".nbt-cancel").click()
    page.locator(".jp-OutputArea-output", has_text="TaskRevokedError").wait_for()
    page.locator(".jp-OutputArea-output", has_text="revoked").first.wait_for()


@pytest.mark.long
def test_a_reload_in_mid_run_brings_the_card_back_up_to_date(lab_page):
    cells = [SETUP, "%%task -o h for n in range(60)\nimport time\ntime.sleep(0.4)\nprint('line', n)"]
    notebook = lab_page(cells)
    page = notebook.page
    notebook.run()
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    notebook.idle()
    notebook.save()
    notebook.open()
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    done = "document.querySelector('.nbt-count b').textContent"
    first = int(page.evaluate(done))
    page.wait_for_function(f"(n) => Number({done}) > n + 4", arg=first, timeout=20_000)
    page.wait_for_selector(".nbt-line")
    page.locator(".nbt-cancel").click()
    page.wait_for_selector(".nbt-card[data-state=REVOKED]")


@pytest.mark.long
def test_a_retry_turns_the_squares_green_where_they_are(lab_page):
    notebook = lab_page(
        [
            SETUP + "\nimport pathlib\nfixed = pathlib.Path('fixed'); fixed.unlink(missing_ok=True)\n"
            "here = str(fixed.resolve())",
            (
                "%%task -o h for n in range(8)\nimport pathlib\nif n < 2 and not pathlib.Path(here).exists():\n"
                "    raise OSError(f'no {n}')\nn"
            ),
            "h.until_ready(); fixed.touch()",
        ]
    )
    page = notebook.page
    notebook.run()
    page.wait_for_selector(".nbt-card[data-done=true] .nbt-failure", timeout=60_000)
    notebook.idle()
    page.locator(".nbt-retry").click()
    page.wait_for_selector(".nbt-card[data-state=SUCCESS][data-done=true]", timeout=60_000)
    assert page.locator(".nbt-card").count() == 1
    assert page.locator(".nbt-count b").all_inner_texts() == ["8"]
    assert not page.locator(".nbt-failure, .nbt-retry").locator("visible=true").count()
    page.locator(".nbt-tile").first.click()
    page.wait_for_selector(".nbt-drawer[data-told=true]")
    assert "OSError: no 0" in text(page, ".nbt-drawer")
    page.locator(".nbt-drawer").press("Escape")
    notebook.save()
    notebook.open()
    page.wait_for_selector(".nbt-card[data-state=SUCCESS]")
    assert "8 calls" in text(page, ".nbt-card")


@pytest.mark.parametrize("app", FRONT_ENDS)
def test_hostile_text_is_shown_as_text(lab_page, app):
    notebook = lab_page(
        [
            SETUP + f"\nbad = {HOSTILE!r}",
            "%%task -n '" + HOSTILE.replace("=1", "=1 a") + "' -o h for n in [bad, bad, 'wait']\n"
            "import sys, time\nprint(n)\nprint(n, file=sys.stderr)\n"
            "if n == 'wait':\n    time.sleep(4)\n    raise KeyError(n)\nraise ValueError(n)",
        ],
        app,
    )
    page = notebook.page
    notebook.run()
    page.wait_for_selector(".nbt-failure", timeout=60_000)
    page.wait_for_selector(".nbt-line")
    page.locator(".nbt-failure summary").click()
    assert HOSTILE in text(page, ".nbt-error")
    assert HOSTILE in text(page, ".nbt-lines")
    assert HOSTILE in text(page, ".nbt-traceback")
    assert "onerror" in text(page, ".nbt-title")
    assert page.locator(".nbt-tile").all_inner_texts() == ["img s", "img s", "wait"]
    page.locator(".nbt-tile").first.hover()
    page.locator(".nbt-pace", has_text="<img").wait_for()
    saved = page.locator(".jp-OutputArea-output", has_text="3 failed")
    saved.wait_for(timeout=60_000)
    assert HOSTILE in saved.inner_text()
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.mark.long
def test_the_page_does_not_take_key_presses_from_the_card(lab_page):
    notebook = lab_page([SETUP, "%%task for n in range(200)\nimport time\ntime.sleep(5)", "1"])
    page = notebook.page
    notebook.run(0, 1)
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    page.locator(".nbt-mosaic").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.locator(".nbt-pace", has_text="1").wait_for()
    page.keyboard.press("End")
    page.locator(".nbt-pace", has_text="199").wait_for()
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert page.locator(".jp-Cell").count() == 3
    page.locator(".nbt-cancel").click()
    page.locator(".jp-OutputArea-output", has_text="200 cancelled").wait_for()


@pytest.mark.long
def test_a_reopened_notebook_shows_the_saved_card(lab_page, jupyter_servers):
    notebook = lab_page([SETUP, "%%task -o h for n in range(12)\n# squares\nn * n"])
    page = notebook.page
    notebook.run()
    page.locator(".jp-OutputArea-output", has_text="12 done").wait_for(timeout=60_000)
    notebook.save()
    page.evaluate("async () => await window.jupyterapp.shell.currentWidget.context.sessionContext.shutdown()")
    notebook.open()
    page.locator(".jp-OutputArea-output", has_text="12 done").wait_for()
    assert page.get_by_text("squares").count() >= 1
    assert page.get_by_text("Error displaying widget").count() == 0


@pytest.mark.long
@pytest.mark.parametrize("app", FRONT_ENDS)
def test_dark_theme(lab_page, app):
    notebook = lab_page([SETUP, "%%task for n in range(60)\nimport time\ntime.sleep(1)"], app, dark=True)
    page = notebook.page
    notebook.run()
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    pixel = """() => { const c = document.querySelector('.nbt-mosaic');
        const all = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return [...all.slice(4 * (c.width - 8), 4 * (c.width - 8) + 3)]; }"""
    page.wait_for_function("() => document.querySelector('.nbt-mosaic').width > 100")
    dark = page.evaluate(pixel)
    ink = page.evaluate("() => getComputedStyle(document.querySelector('.nbt-card')).color")
    notebook.command("apputils:change-theme", {"theme": "JupyterLab Light"})
    page.wait_for_selector("body[data-jp-theme-light=true]", state="attached")
    # States have the same colours on both: a saved card does not know its page.
    assert page.evaluate(pixel) == dark
    assert ink != page.evaluate("() => getComputedStyle(document.querySelector('.nbt-card')).color")
    page.locator(".nbt-cancel").click()
    page.locator(".jp-OutputArea-output", has_text="cancelled").wait_for()


@pytest.mark.long
def test_the_tab_says_how_far_the_run_is_and_the_end_is_one_line(lab_page):
    notebook = lab_page([SETUP, "%%task for n in range(40)\nimport time\ntime.sleep(0.2)"])
    page = notebook.page
    notebook.run()
    page.wait_for_function("() => /^[0-9]+ % · /.test(document.title)", timeout=60_000)
    page.wait_for_selector(".nbt-card[data-done=true]", timeout=60_000)
    page.wait_for_function("() => !document.title.includes('%')")
    assert "40 calls, " in page.locator(".nbt-end").inner_text()
