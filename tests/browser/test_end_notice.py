"""The notification at the end of a long run: only for who has asked for it, and does not look."""

from __future__ import annotations

import pytest

from .accessibility import assert_accessible

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
RUN = "%%task -o h for n in range(70)\n# <b>slow</b>\nimport time\ntime.sleep(1)"
#: What the page shows of notifications is kept, for no test can see the desktop.
WATCH = """() => { window.notices = [];
    const Real = window.Notification;
    window.Notification = class {
        constructor(title, { body, tag }) { window.notices.push([title, body, tag]); }
        static get permission() { return Real.permission; }
        static requestPermission() { window.asked = (window.asked ?? 0) + 1; return Real.requestPermission(); } };
    window.hide = () => Object.defineProperty(document, 'hidden', { get: () => true }); }"""


@pytest.mark.long
def test_who_asks_for_it_is_told_the_end_of_a_long_run(lab_page):
    notebook = lab_page(
        [SETUP, RUN, "%%task -o short for n in range(4)\n# short\nimport time; time.sleep(1)"]
    )
    page = notebook.page
    page.context.grant_permissions(["notifications"], origin=notebook.server.url)
    page.evaluate(WATCH)
    notebook.run(0, 1)
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    # Not before it is worth it, and nobody is asked unasked.
    assert page.locator(".nbt-tell").is_hidden()
    button = page.get_by_role("button", name="Tell me when it ends")
    button.wait_for()
    assert page.evaluate("window.asked") is None
    button.focus()
    page.keyboard.press("Enter")
    page.locator(".nbt-tell[aria-pressed=true]").wait_for()
    assert page.evaluate("window.asked") == 1
    assert_accessible(page)
    page.evaluate("window.hide()")
    page.wait_for_selector(".nbt-card[data-done=true]", timeout=120_000)
    ((title, body, tag),) = page.evaluate("window.notices")
    assert title == "<b>slow</b>: done"
    assert body.startswith("70 calls, ")
    assert tag.startswith("nbtasks-")
    assert page.locator(".nbt-tell").is_hidden()
    notebook.run(2)
    page.locator(".nbt-card[data-done=true]").nth(1).wait_for(timeout=60_000)
    assert len(page.evaluate("window.notices")) == 1
