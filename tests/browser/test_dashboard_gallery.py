"""The pictures of the dashboard in docs/gallery.md, made by the cells beside them. ``make gallery`` puts them there."""

from __future__ import annotations

import pytest

from tests.web.conftest import started

from .dashboard_page import DashboardPage
from .gallery_page import Album, cells_of
from .jupyter_server import OpenNotebook

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(300)]

SETUP = cells_of("")
WORK, SHOW = len(SETUP), len(SETUP) + 1


def test_each_page_in_a_notebook_and_as_a_web_page(chromium, jupyter_servers, run_folder):
    album = Album(run_folder / "gallery")
    where = "print(app.connection.url, app.connection.namespace)"
    notebook = OpenNotebook(
        chromium, jupyter_servers("lab"), [*SETUP, *cells_of("overview"), where], width=1100, scale=2
    )
    page = notebook.page
    page.add_style_tag(content=".jp-cell-toolbar { display: none; }")
    try:
        notebook.run(*range(SHOW + 2))
        notebook.idle(*range(SHOW + 2))
        dashboard = DashboardPage(page, f".jp-Cell:nth-child({SHOW + 1}) .nbt-dash")

        def shoot(name):
            page.mouse.move(0, 0)
            album.keep(name, dashboard.root.screenshot(animations="disabled"))

        dashboard.root.scroll_into_view_if_needed()
        overview = dashboard.shown("Overview")
        overview.get_by_text("ValueError: not a picture").wait_for(timeout=60_000)
        overview.get_by_text("TimeoutError: no answer").first.wait_for(timeout=60_000)
        shoot("overview")
        dashboard.turn("Workers").locator(".nbt-child .nbt-link").nth(5).wait_for()
        shoot("workers")
        locks = dashboard.turn("Locks")
        locks.locator(".nbt-holder .nbt-link", has_text="write_index").wait_for(timeout=60_000)
        shoot("locks")
        schedules = dashboard.turn("Schedules")
        schedules.locator(".nbt-run-mark").nth(2).wait_for(timeout=60_000)
        shoot("schedules")
        dashboard.turn("Timeline").get_by_role("button", name="1 min").click()
        dashboard.root.locator(".nbt-lanes[data-seconds='60']").wait_for()
        shoot("lanes")
        dashboard.turn("Broker").locator(".nbt-chart").locator("visible=true").first.wait_for()
        shoot("broker")

        url, namespace = notebook.save().cells[-1].outputs[0].text.split()
        with started(url, namespace, **notebook.server.environment()) as server:
            shots = []
            for name, options in (
                ("Overview", {"viewport": {"width": 1000, "height": 700}, "color_scheme": "dark"}),
                ("Tasks", {"viewport": {"width": 400, "height": 700}}),
            ):
                context = chromium.new_context(device_scale_factor=2, **options)
                shown = context.new_page()
                shown.goto(server.printed)
                web = DashboardPage(shown)
                web.turn(name).locator("tbody tr").locator("visible=true").nth(3).wait_for()
                shots.append(web.page.screenshot(animations="disabled"))
                context.close()
            album.keep("webpage", *shots)

        tasks = dashboard.turn("Tasks")
        tasks.get_by_role("button", name="failed").click()
        tasks.get_by_text("calls fit").wait_for()
        tasks.get_by_role("button", name="fetch_page").first.click()
        dashboard.drawer.get_by_text("TimeoutError: no answer").first.wait_for()
        shoot("calls")
        assert not notebook.problems()
    finally:
        notebook.close()
