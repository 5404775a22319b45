"""What users see of an error: their own lines, where the worker has failed, and with which values."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from nbtasks import NbtasksError, NotPicklable, Task, TaskRevokedError, task

HERE = Path(__file__).name


@task
def add_up(row):
    column = "total"
    return share(row[column], len(row))


def share(whole, parts):
    return whole / (parts - 1)


def names(tb):
    """The functions of a traceback, those of nbtasks in brackets."""
    frames = traceback.extract_tb(tb)
    return [frame.name if Path(frame.filename).name == HERE else f"({frame.name})" for frame in frames]


#: Before Python 3.11, who raises an error once more is in its traceback.
LEAVES_FRAMES = sys.version_info < (3, 11)
OURS = ["(get)"] if LEAVES_FRAMES else []


def test_between_the_users_line_and_the_tasks_stands_nothing_of_ours(shared_app):
    single, group = add_up.delay({"total": 1}), add_up.map([{"total": 1, "more": 2}, {"total": 1}])
    for handle in (single, group):
        with pytest.raises(ZeroDivisionError) as raised:
            handle.get()
        assert names(raised.tb) == [names(raised.tb)[0], *OURS, "add_up", "share"]


def test_awaiting_raises_in_the_tasks_own_lines(shared_app):
    async def wait():
        return await add_up.delay({"total": 1})

    with pytest.raises(ZeroDivisionError) as raised:
        asyncio.run(wait())
    found = names(raised.tb)
    assert found[found.index("wait") :] == [
        "wait",
        *(["(_awaited)", *OURS] if LEAVES_FRAMES else []),
        "add_up",
        "share",
    ]


def test_who_is_stopped_in_an_await_hears_what_goes_on(idle_app):
    handle, group = add_up.delay({}), add_up.map([{}])

    async def wait_for(one):
        await one

    for one, what in ((handle, "call"), (group, "the calls of")):

        async def stop(one=one):
            waiting = asyncio.ensure_future(wait_for(one))
            await asyncio.sleep(0)
            waiting.cancel()
            await waiting

        with pytest.raises(asyncio.CancelledError) as raised:
            asyncio.run(stop())
        # Until Python 3.10 a task that was cancelled raises another one.
        error = raised.value if sys.version_info >= (3, 11) else last(raised.value)
        assert re.match(f"stopped waiting; {what} .*revoke", str(error))
        assert names(error.__traceback__)[-1] == ("(_awaited)" if LEAVES_FRAMES else "wait_for")


def last(error):
    """Return the error that came first, of those that others came of."""
    return error if error.__context__ is None else last(error.__context__)


class Unwilling:
    def __reduce__(self):
        raise RuntimeError("not today")


@pytest.mark.parametrize(
    ("submit", "kind"),
    [
        (lambda: add_up.delay(1, 2, 3), TypeError),
        (lambda: add_up.apply_async((1, 2, 3)), TypeError),
        (lambda: add_up.map([1], chunk=0), NbtasksError),
        (lambda: add_up.starmap([(1, 2, 3)]), TypeError),
        (lambda: add_up.delay(threading.Lock()), NotPicklable),
        (lambda: add_up.map([threading.Lock()]), NotPicklable),
    ],
)
def test_a_refusal_shows_the_line_that_has_asked(shared_app, submit, kind):
    with pytest.raises(kind) as raised:
        submit()
    assert names(raised.tb)[-2 if LEAVES_FRAMES else -1] == "<lambda>"
    assert raised.value.__cause__ is None


def test_where_users_code_has_raised_its_lines_are_kept(shared_app):
    with pytest.raises(NotPicklable) as raised:
        add_up.delay(Unwilling())
    assert names(raised.value.__cause__.__traceback__)[0] == "__reduce__"
    with pytest.raises(ZeroDivisionError) as divided:
        add_up.map(1 / number for number in [1, 0])
    assert names(divided.tb)[-2:] == ["(map)" if LEAVES_FRAMES else names(divided.tb)[0], "<genexpr>"]


def variables_of(error, function):
    """The local variables of the frame of a function."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return next(frame.f_locals for frame in frames if frame.f_code.co_name == function)


@pytest.mark.parametrize("kind", ["call", "map", "coroutine"])
def test_a_debugger_finds_the_variables_of_the_frames(shared_app, kind):
    async def fails(row):
        return add_up.function(row)

    if kind == "map":
        error = add_up.map([{"total": 3}]).get(propagate=False)[0]
    else:
        error = (add_up if kind == "call" else Task(fails)).delay({"total": 3}).get(propagate=False)
    assert variables_of(error, "share") == {"whole": 3, "parts": 1}
    assert variables_of(error, "add_up") == {"row": {"total": 3}, "column": "total"}


def test_variables_stay_where_they_are_on_demand(shared_app, monkeypatch):
    monkeypatch.setenv("NBTASKS_VARIABLES", "0")
    quiet = task(name="quiet")(add_up.function)
    with pytest.raises(ZeroDivisionError) as raised:
        quiet.delay({"total": 3}).get()
    assert variables_of(raised.value, "share") == {}


def test_many_failures_of_one_run_do_not_fill_the_broker(shared_app):
    errors = add_up.map([{"total": "x" * 5000}] * 600).get(propagate=False)
    with_variables = [bool(variables_of(error, "share")) for error in errors]
    assert with_variables[0]
    assert not all(with_variables)


def test_calls_that_were_revoked_say_how_many_and_what_is_kept(shared_app, gate):
    def wait(path, number):
        while number and not Path(path).exists():
            time.sleep(0.01)
        return number

    group = shared_app.task(wait).starmap([(gate.path, number) for number in range(4)], chunk=1)
    assert next(group.as_completed()).get() == 0
    group.revoke(terminate=True)
    with pytest.raises(
        TaskRevokedError,
        match=r"3 of 4 calls of tests.client.test_errors.wait .* were revoked; 1 had ended before",
    ):
        group.get()
