"""The App: what its end leaves behind."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys

import pytest

from nbtasks import App, ConfigError

SOON = 60.0
SCRIPT = """
from nbtasks import App
app = App()
{start}
handles = [app.task(len).delay("a" * number) for number in range(200)]
print(handles[-1].id)
{end}
"""


FORK = """
import os, warnings
from nbtasks import App, ConfigError
warnings.simplefilter("ignore")
app = App()
call = app.task(len).delay("ab")
child = os.fork()
if not child:
    try:
        call.get(timeout=20)
    except ConfigError as error:
        text = "submitted by another process"
        print(text if text in str(error) else error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def run(script):
    """Run a script in the current folder; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.strip()


@pytest.mark.parametrize("end", ["", pytest.param("app.close()", marks=pytest.mark.long)])
def test_what_was_submitted_last_is_there_after_the_end(project, end):
    # Twice, for it was lost in about every second run.
    last = [run(SCRIPT.format(start="", end=end)) for _ in range(2)]
    with App() as app:
        app.start_workers(1)
        assert [app.AsyncResult(name).get(timeout=SOON) for name in last] == [199] * 2


@pytest.mark.parametrize("end", ["", pytest.param("app.close()", marks=pytest.mark.long)])
def test_workers_take_leave_at_the_end(project, end):
    run(SCRIPT.format(start="app.start_workers(1)", end=end))
    with App() as app:
        assert app.workers() == []


async def awaited(handle):
    """Wait in an event loop."""
    return await handle


def test_nobody_waits_for_what_is_not_told_any_more(home):
    app = App()
    call, group = app.task(len).delay("ab"), app.task(len).map(["a", "b"])
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [
            pool.submit(wait)
            for wait in (
                call.get,
                group.get,
                lambda: list(group.as_completed()),
                lambda: asyncio.run(awaited(call)),
                lambda: asyncio.run(awaited(group)),
            )
        ]
        app.close()
        for one in waiting:
            with pytest.raises(ConfigError, match="is closed, so its end is not told here any more"):
                one.result(SOON)
    with pytest.raises(ConfigError, match=rf"ask with App\(...\).attach\('{call.id}'\)"):
        call.get()
    with App() as again:
        again.start_workers(1)
        assert again.attach(call.id)[0].get(timeout=SOON) == 2
        assert again.attach(group.id)[0].get(timeout=SOON) == [1, 1]


def test_what_had_ended_can_be_read_after_the_close(home):
    with App() as app:
        app.start_workers(1)
        call, group = app.task(len).delay("ab"), app.task(len).map(["a", "b"])
        assert call.get(timeout=SOON) == 2
        assert group.get(timeout=SOON) == [1, 1]
    assert (call.get(), group.get()) == (2, [1, 1])
    assert sorted(handle.result for handle in group.as_completed()) == [1, 1]


def test_a_forked_process_does_not_wait_for_what_its_parent_is_told(project):
    # In a process of its own: Python warns of a fork where there are threads.
    assert run(FORK) == "submitted by another process"


def test_workers_get_numbers_in_their_environment_too(idle_app):
    idle_app.start_workers(1, env={"NBT_THREADS": 1})
    assert idle_app.task(lambda: __import__("os").environ["NBT_THREADS"]).delay().get(timeout=SOON) == "1"


@pytest.mark.parametrize("what", ["broker", "key", "namespace", "connection_file", "backend"])
def test_what_is_empty_does_not_mean_the_default(what):
    with pytest.raises(ConfigError, match=f"^{what}: "):
        App(**{what: ""})


@pytest.mark.parametrize("namespace", ["a b", "x" * 65, 5])
def test_a_namespace_is_checked_where_the_app_is_made(namespace):
    with pytest.raises(ConfigError, match="is not a namespace; use letters"):
        App(namespace=namespace)
