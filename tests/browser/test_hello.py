"""A page whose first word to the kernel comes late, or not at all while a cell blocks."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]

SETUP = "%load_ext nbtasks\n%workers start 2"
BLOCKS = "%%task -b for n in range(1000)\nimport time\ntime.sleep(0.2)\nn"


def test_a_page_that_is_not_heard_at_once_keeps_its_card_and_its_buttons(lab_page):
    notebook = lab_page([SETUP, BLOCKS])
    page = notebook.page
    # On a busy machine it is sent before the page has a shell of its own: it lies there until the cell ends.
    page.evaluate("""() => {
        const kernel = window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
        const send = kernel.sendShellMessage.bind(kernel);
        window.said = 0;
        kernel.sendShellMessage = (message, ...rest) => {
            const said = message.content?.data?.content?.t;
            if (said === 'hello' && window.said++ === 0) message.header.subshell_id = null;
            return send(message, ...rest);
        };
    }""")
    notebook.run()
    page.wait_for_selector(".nbt-card[data-state=STARTED]", timeout=60_000)
    # It is said again, and heard.
    page.wait_for_function("() => window.said > 1")
    page.wait_for_selector(".nbt-cancel")
    cancel = page.query_selector(".nbt-cancel")
    done = ".nbt-count b"
    first = int(page.locator(done).first.inner_text())
    page.wait_for_function(f"(n) => Number(document.querySelector('{done}').textContent) > n + 30", arg=first)
    # Under a click that takes its time, it is the same button.
    assert cancel.is_visible()
    cancel.click()
    page.locator(".jp-OutputArea-output", has_text="TaskRevokedError").wait_for()
