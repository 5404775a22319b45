"""The dashboard as a web page: its real server and real workers behind it."""

from __future__ import annotations

import pytest

from nbtasks import App
from tests.web.conftest import started

from .dashboard_page import COLOURED, HTML, PAGES, RIGHT_TO_LEFT, DashboardPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
long = pytest.mark.long

TOKEN = "a-token-of-the-browser-tests-0123456789"


def square(n):
    return n * n


def fails(text):
    print(text, "is printed")
    raise ValueError(f"cannot read {text}")


def wait(gate_path):
    from pathlib import Path
    from time import sleep

    while not Path(gate_path).exists():
        sleep(0.02)


@pytest.fixture(scope="module")
def worked(run_folder):
    """An App whose workers have done some calls, with hostile texts, and do others: these wait for a gate."""
    gate = run_folder / "gate-of-the-dashboard"
    with App("dashboard", namespace="t-dashboard-web") as app:
        app.start_workers(2)
        assert app.task(square, name="squares").map(range(50)).get() == [n * n for n in range(50)]
        bad = app.task(fails, name=f"{HTML}{RIGHT_TO_LEFT}")
        for text in (HTML, RIGHT_TO_LEFT, COLOURED, "x" * 10_000):
            assert isinstance(bad.delay(text).get(propagate=False), ValueError)
        waits = app.task(wait, name="waits", max_concurrency=1)
        waiting = [waits.delay(str(gate)) for _ in range(3)]
        app.add_periodic_task("1h", app.task(square, name="squares").s(2), name=HTML)
        yield app
        gate.touch()
        for one in waiting:
            one.get(propagate=False)


@pytest.fixture(scope="module")
def served(worked):
    """Its dashboard."""
    with started(worked.connection.url, worked.connection.namespace, NBTASKS_DASHBOARD_TOKEN=TOKEN) as server:
        yield server


@pytest.fixture
def opened(chromium):
    """``opened(server, width=1180)`` opens a dashboard; after the test no error may stand in the page's log."""
    contexts, log = [], []

    def dashboard(server, **options):
        context = chromium.new_context(**{"viewport": {"width": 1180, "height": 800}, **options})
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: log.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: log.append(f"pageerror: {error}"))
        page.goto(server.printed)
        return DashboardPage(page)

    dashboard.log = log
    yield dashboard
    for context in contexts:
        context.close()
    assert log == []


def test_every_page_shows_what_has_happened_before_it_was_opened(opened, served):
    dashboard = opened(served)
    dashboard.shows("squares", "Failures by kind")
    dashboard.assert_sound()
    assert TOKEN not in dashboard.page.url

    workers = dashboard.turn("Workers")
    workers.locator(".nbt-child .nbt-link", has_text="waits").first.wait_for()
    assert workers.locator(".nbt-child").count() == 2
    dashboard.assert_sound()

    tasks = dashboard.turn("Tasks")
    tasks.get_by_role("button", name="failed").click()
    tasks.get_by_text("4 calls fit").wait_for()
    assert tasks.locator("tbody tr").count() == 4
    assert HTML in tasks.locator("tbody").inner_text()
    dashboard.assert_sound()

    timeline = dashboard.turn("Timeline")
    timeline.locator(".nbt-legend", has_text="failed").wait_for()
    dashboard.assert_sound()

    schedules = dashboard.turn("Schedules")
    schedules.get_by_text(HTML).wait_for()
    dashboard.assert_sound()

    locks = dashboard.turn("Locks")
    locks.get_by_text("calls at once").wait_for()
    dashboard.assert_sound()

    broker = dashboard.turn("Broker")
    broker.get_by_text("noeviction").wait_for()
    dashboard.assert_sound()
    assert dashboard.page.url.endswith("#broker")
    dashboard.page.go_back()
    dashboard.shown("Locks").get_by_text("calls at once").wait_for()


def test_a_call_is_read_by_keyboard_while_others_end(opened, served, worked):
    dashboard = opened(served)
    page = dashboard.page
    dashboard.tab("Overview").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    tasks = dashboard.shown("Tasks")
    tasks.get_by_label("Only calls with this text").fill("x" * 50)
    tasks.get_by_text("1 call fit").wait_for()
    tasks.get_by_role("region", name="Calls, table").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    drawer = dashboard.drawer
    drawer.get_by_text("Traceback", exact=True).wait_for()
    assert "cannot read xxx" in drawer.inner_text()
    assert "xxx is printed" in drawer.inner_text()
    assert dashboard.focused()[0] == "nbt-sheet"
    dashboard.assert_sound()

    # The focus stays where it is while the page changes.
    copy = drawer.get_by_role("button", name="Copy traceback")
    copy.focus()
    tasks.get_by_label("Only calls with this text").fill("")
    worked.task(square, name="squares").map(range(5)).get()
    tasks.locator("tbody tr", has_text="done").nth(4).wait_for()
    copy.focus()
    before = tasks.locator("tbody tr").first.get_attribute("data-key")
    worked.task(square, name="squares").delay(3).get()
    page.wait_for_function("(key) => document.querySelector('tbody tr').dataset.key !== key", arg=before)
    assert dashboard.focused()[1] == "Copy"
    page.keyboard.press("Escape")
    drawer.wait_for(state="hidden")
    assert dashboard.focused()[0] == "nbt-link"


def test_what_is_on_show_stands_in_the_address(opened, served):
    dashboard = opened(served)
    page = dashboard.page
    tasks = dashboard.turn("Tasks")
    tasks.get_by_role("button", name="failed").click()
    tasks.get_by_text("4 calls fit").wait_for()
    tasks.get_by_role("button", name="submitted").click()
    tasks.locator("th[aria-sort=ascending]").wait_for()
    tasks.locator("tbody .nbt-link").first.click()
    dashboard.drawer.get_by_text("Traceback", exact=True).wait_for()
    assert "#tasks?state=FAILURE&sort=submitted&down=false&call=" in page.url
    said = dashboard.drawer.locator("pre").first.inner_text()

    # For somebody else, too, who opens it.
    other = DashboardPage(page.context.new_page(), at=page.url)
    other.drawer.get_by_text("Traceback", exact=True).wait_for()
    assert other.drawer.locator("pre").first.inner_text() == said
    other.shown("Tasks").get_by_text("4 calls fit").wait_for()
    other.shown("Tasks").locator("th[aria-sort=ascending]", has_text="submitted").wait_for()
    other.assert_sound()
    other.page.close()

    page.go_back()
    dashboard.drawer.wait_for(state="hidden")
    tasks.get_by_text("4 calls fit").wait_for()
    page.go_forward()
    dashboard.drawer.get_by_text("Traceback", exact=True).wait_for()


def test_a_worker_leads_to_its_failures_and_a_queue_is_emptied(opened, served, worked):
    task = worked.task(square, name="squares")
    waiting = [task.apply_async((n,), queue="full") for n in range(2)]
    dashboard = opened(served)
    overview = dashboard.shown("Overview")
    empty = overview.get_by_role("button", name="revoke all calls that wait in full")
    empty.click()
    overview.get_by_role("button", name="Revoke what waits?").click()
    overview.get_by_text("2 calls revoked that waited in full; what runs goes on").wait_for()
    assert {one.state for one in waiting} == {"REVOKED"}
    dashboard.assert_sound()

    workers = dashboard.turn("Workers")
    workers.get_by_role("button", name="failures, of").click()
    tasks = dashboard.shown("Tasks")
    tasks.get_by_text("4 calls fit").wait_for()
    assert tasks.get_by_role("button", name="failed").get_attribute("aria-pressed") == "true"


def test_limits_are_set_by_hand(opened, served, worked):
    dashboard = opened(served)
    locks = dashboard.turn("Locks")
    locks.get_by_label("Name of a task").fill("squares")
    locks.get_by_label("Seconds after which a call is told to end").fill("1.5")
    locks.get_by_label("Seconds after which a call is stopped").fill("90")
    locks.get_by_role("button", name="set these times at all workers").click()
    row = locks.locator("tbody tr", has_text="squares")
    row.get_by_text("1 min 30 s").wait_for()
    dashboard.assert_sound()

    workers = dashboard.turn("Workers")
    workers.get_by_role("button", name="Manage").click()
    workers.get_by_label("Most children").fill("3")
    workers.get_by_role("button", name="have as many children").click()
    workers.locator(".nbt-answer.nbt-shown[data-ok=true]").wait_for()
    dashboard.assert_sound()


@pytest.fixture
def later(worked):
    """A queue that workers are told of in the test, and not any more after it."""
    yield "later"
    worked.control.cancel_consumer("later")


@pytest.mark.long
def test_the_focus_is_kept_while_a_row_is_gone(opened, served, worked, tmp_path, later):
    @worked.task(bind=True, name="again")
    def again(self, first, second):
        wait(second if self.request.retries else first)
        if not self.request.retries:
            raise self.retry(queue="later", countdown=0)

    call = again.delay(str(tmp_path / "first"), str(tmp_path / "second"))
    dashboard = opened(served)
    page = dashboard.page
    tasks = dashboard.turn("Tasks")
    tasks.get_by_role("button", name="running").click()
    tasks.get_by_label("Task").select_option("again")
    tasks.get_by_text("1 call fit").wait_for()
    tasks.get_by_role("button", name="again").focus()
    (tmp_path / "first").touch()
    notice = ["nbt-empty", "No call fits these filters."]
    dashboard.wait_for_focus(*notice)
    worked.control.add_consumer("later")
    dashboard.wait_for_focus("nbt-link", "again")

    page.keyboard.press("Enter")
    dashboard.drawer.locator(".nbt-word", has_text="running").wait_for()
    (tmp_path / "second").touch()
    call.get()
    tasks.get_by_text(notice[1]).wait_for()
    page.keyboard.press("Escape")
    dashboard.drawer.wait_for(state="hidden")
    assert dashboard.focused() == notice
    dashboard.assert_sound()


def test_a_call_that_was_opened_on_another_page_gives_the_focus_to_this_one(opened, served):
    dashboard = opened(served)
    failures = dashboard.shown("Overview").get_by_role("region", name="Failures by kind, table")
    failures.get_by_role("button").first.click()
    dashboard.drawer.get_by_text("Traceback", exact=True).wait_for()
    dashboard.turn("Broker")
    dashboard.drawer.focus()
    dashboard.page.keyboard.press("Escape")
    dashboard.drawer.wait_for(state="hidden")
    assert dashboard.focused()[1] == "Broker"


def test_what_is_done_and_what_is_refused_is_said_in_place(opened, served, worked):
    held = worked.task(wait, name="held", queue="nobody-listens").delay("nowhere")
    dashboard = opened(served)
    workers = dashboard.turn("Workers")
    workers.get_by_role("button", name="Manage").click()
    workers.get_by_role("button", name="listen to this queue").click()
    refused = workers.locator(".nbt-answer[data-ok=false]")
    refused.get_by_text("Not done: ").wait_for()
    assert "queue" in refused.inner_text()
    dashboard.assert_sound()

    tasks = dashboard.turn("Tasks")
    tasks.get_by_role("button", name="held").click()
    revoke = dashboard.drawer.get_by_role("button", name="take this call back")
    revoke.click()
    dashboard.drawer.locator(".nbt-word", has_text="cancelled").wait_for()
    assert held.until_ready(30)
    assert held.state == "REVOKED"
    dashboard.drawer.locator(".nbt-answer.nbt-shown[data-ok=true]").wait_for()
    dashboard.assert_sound()


@long
@pytest.mark.parametrize("name", PAGES)
def test_400_pixels_and_dark(opened, served, name):
    dashboard = opened(served, viewport={"width": 400, "height": 700}, color_scheme="dark")
    dashboard.turn(name).locator(".nbt-grid, .nbt-worker-block, canvas, .nbt-list").first.wait_for()
    dashboard.assert_sound()


def test_what_has_run_for_long_has_room_for_its_time(opened, served):
    dashboard = opened(served, viewport={"width": 400, "height": 700})
    time = dashboard.turn("Workers").locator(".nbt-child .nbt-child-for").first
    time.wait_for(state="attached")
    # Such a call nobody waits for in a test.
    assert (
        time.evaluate(
            "(cell) => { cell.textContent = '129 h 11 min'; return cell.scrollWidth - cell.clientWidth; }"
        )
        == 0
    )


@long
def test_read_only_has_no_buttons_that_do_something(opened, worked):
    where = worked.connection
    with started(where.url, where.namespace, "--read-only", NBTASKS_DASHBOARD_TOKEN=TOKEN) as server:
        dashboard = opened(server)
        dashboard.shows("read only")
        for name in PAGES:
            dashboard.turn(name)
            assert dashboard.root.locator(".nbt-act").locator("visible=true").count() == 0
        dashboard.turn("Tasks").locator("tbody .nbt-link").first.click()
        dashboard.drawer.get_by_role("button", name="Copy id").wait_for()
        assert dashboard.root.locator(".nbt-act").locator("visible=true").count() == 0
        # Before its server ends.
        dashboard.page.close()


@long
def test_it_goes_on_by_itself_when_the_server_is_back(opened, worked):
    where, env = worked.connection, {"NBTASKS_DASHBOARD_TOKEN": TOKEN}
    with started(where.url, where.namespace, **env) as server:
        dashboard = opened(server)
        dashboard.shows("squares")
        server.stop()
        dashboard.root.get_by_text("The connection is lost. Trying again…").wait_for()
        dashboard.assert_sound()
        port = server.base.rstrip("/").rpartition(":")[2]
    worked.task(square, name="made meanwhile").delay(3).get()
    with started(where.url, where.namespace, "--port", port, **env):
        dashboard.root.locator("xpath=self::*[@data-state='live']").wait_for()
        dashboard.shows("made meanwhile")
    # The browser's own words on a server that is not there.
    opened.log[:] = [line for line in opened.log if "net::ERR" not in line]


@long
def test_without_the_token_it_says_what_to_do(opened, worked):
    where = worked.connection
    with started(where.url, where.namespace) as server:
        dashboard = opened(server)
        dashboard.shows("squares")
        dashboard.page.context.clear_cookies()
        dashboard.tab("Broker").click()
        dashboard.root.get_by_text("open the URL again").wait_for()
    opened.log[:] = [line for line in opened.log if "401" not in line and "net::ERR" not in line]
