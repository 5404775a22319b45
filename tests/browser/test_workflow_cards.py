"""A workflow is one card: its steps as rows with lines, which open calls; live and saved it is the same."""

from __future__ import annotations

import pytest

from .accessibility import assert_accessible
from .jupyter_server import OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = """
%load_ext nbtasks
%workers start 2
import pathlib, tempfile
from nbtasks import chain, group, task
door = pathlib.Path(tempfile.mkdtemp()) / "open"
@task
def fetch(n):
    print("page", n)
    return n
@task
def held(values):
    import time
    while not door.exists():
        time.sleep(0.02)
    return values
@task
def parse(text):
    return int(text)
@task
def evil(x):
    return x
"""
FLOW = """
bad = evil.s().set(label="<img src=x onerror=alert(1)> \\u202e" + "x" * 100)
flow = (group(fetch.s(n) for n in range(5)) | held.s() | bad).delay()
flow
"""
LONG = "line = chain(fetch.s(1), *[evil.s() for _ in range(99)]).delay()\nline"
AFTER = "%%task -o last --after flow\n# what comes of it\nsum(flow)"
FAILED = "wrong = (parse.s('one') | evil.s() | evil.s()).delay()\nwrong"


@pytest.fixture(scope="module", params=["light", pytest.param("dark", marks=pytest.mark.long)])
def notebook(chromium, jupyter_servers, request):
    """A page with cards of workflows that wait for a door."""
    cells = [SETUP, FLOW, AFTER, LONG, FAILED, "door.touch()"]
    opened = OpenNotebook(chromium, jupyter_servers("lab"), cells[:-1], dark=request.param == "dark")
    opened.run()
    opened.page.wait_for_selector(".nbt-step:has-text('not run')", timeout=60_000)
    yield opened
    problems = opened.problems()
    opened.close()
    assert not problems


def card(page, title):
    return page.locator(".nbt-card", has=page.locator(".nbt-title", has_text=title)).first


def steps(card):
    return [" ".join(text.split()) for text in card.locator(".nbt-step").all_inner_texts()]


def test_the_steps_of_one_card(notebook):
    flow = card(notebook.page, "fetch → held")
    flow.locator(".nbt-step:has-text('5 of 5 done')").wait_for(timeout=30_000)
    assert flow.locator(".nbt-step").count() == 3
    assert flow.locator(".nbt-squares-of img").count() == 5
    assert steps(card(notebook.page, "what comes of it"))[-1] == "what comes of it waiting"
    assert steps(card(notebook.page, "parse → evil"))[1:] == ["evil not run"] * 2
    long = card(notebook.page, "fetch → evil")
    long.locator(".nbt-step:has-text('100 steps')", has_text="done").wait_for(timeout=60_000)
    assert long.locator(".nbt-step").count() <= 3
    assert_accessible(notebook.page)


def test_a_step_opens_its_call(notebook):
    page, flow = notebook.page, card(notebook.page, "fetch → held")
    flow.locator(".nbt-step").nth(1).click()
    drawer = flow.locator(".nbt-drawer")
    drawer.locator(".nbt-facts b").first.wait_for(timeout=30_000)
    assert "held" in drawer.get_attribute("aria-label")
    page.keyboard.press("Escape")
    flow.locator(".nbt-step").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    drawer.locator("pre.nbt-text").first.wait_for(timeout=30_000)
    assert "fetch" in drawer.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "nbt-step"
