"""What cannot travel is named: which part of what, why, and what to do in its place."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import tempfile
import threading

import pytest

from nbtasks import NotPicklable
from nbtasks.wire import pickling

LOCK = threading.Lock()


class Pool:
    """Has a lock inside."""

    shared = None

    def __init__(self):
        self._lock = LOCK

    def fill(self):
        """A method of it."""


class Slots:
    """Has one where no dict is."""

    __slots__ = ("lock",)

    def __init__(self):
        self.lock = LOCK


class Guarded:
    """Has one in the class."""

    lock = LOCK


Guarded.__module__ = "__main__"


class Config:
    """Has an object that has one."""

    def __init__(self):
        self.pools = {"first": [Pool()]}


def nested(depth, inside):
    """Return a list in a list in a list."""
    for _ in range(depth):
        inside = [inside]
    return inside


def function(name, value):
    """Return a function that reads a global of the notebook."""
    space = {"__name__": "__main__", name: value}
    exec(f"def cell(): return {name}", space)
    return space["cell"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Config(), "cell: cfg.pools['first'][0]._lock (lock) cannot travel"),
        (Slots(), "cell: cfg.lock (lock) cannot travel"),
        (Guarded(), "cell: cfg.lock (lock) cannot travel"),
        (Pool().fill, "cell: cfg.__self__._lock (lock) cannot travel"),
        (functools.partial(print, LOCK), "cell: cfg.args[0] (lock) cannot travel"),
        (functools.partial(print, end=LOCK), "cell: cfg.keywords['end'] (lock) cannot travel"),
        (lambda x, kept=LOCK: x, "cell: cfg: kept (lock) cannot travel"),
        (function("lock", LOCK), "cell: cfg: lock (lock) cannot travel"),
        ({LOCK: 1}, "cell: cfg (the key <unlocked _thread.lock"),
        (threading.Thread(target=print), "cell: cfg is a thread of this process: start it inside the task"),
        ((x for x in "ab"), "cell: cfg is a generator"),
        (nested(3000, 1), "cell: cfg is nested too deeply"),
    ],
)  # fmt: skip
def test_the_part_that_cannot_travel_is_named(value, said):
    with pytest.raises(NotPicklable) as caught:
        pickling.dump_function(function("cfg", value))
    assert str(caught.value).startswith(said)


def test_what_is_open():
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryFile("w") as file:
        with pytest.raises(NotPicklable, match="is an open file: pass its path"):
            pickling.dump_function(function("out", file))
        with pytest.raises(NotPicklable, match="event loop"):
            pickling.dump_function(function("loop", loop))
    loop.close()
    with contextlib.closing(sqlite3.connect(":memory:")) as base:
        for value in base, base.cursor():
            with pytest.raises(
                NotPicklable, match="is connected from this process only: connect inside the task"
            ):
                pickling.dump_function(function("base", value))


@pytest.mark.parametrize("value", [nested(200, LOCK), {"k" * 10_000: LOCK}, nested(3000, LOCK)])
def test_a_message_is_short(value):
    with pytest.raises(NotPicklable) as caught:
        pickling.dump_function(function("cfg", value))
    assert len(str(caught.value)) < 600
    assert str(caught.value).startswith("cell: cfg")


def test_a_long_reason_is_cut():
    class Refuses:
        def __reduce__(self):
            raise ValueError("no " * 5000)

    with pytest.raises(NotPicklable) as caught:
        pickling.dump_function(function("cfg", Refuses()))
    assert len(str(caught.value)) < 600


def defined(source):
    """Return the namespace of a notebook after a cell."""
    space = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), space)
    return space


def failure(app, function):
    """Return the error of a call on a worker, and what is noted beside its text."""
    handle = app.task(function).delay()
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each has its own
        handle.get(timeout=20)
    return caught.value, str(handle.traceback)


@pytest.mark.parametrize(
    ("source", "kind", "name"),
    [
        ("x = 3\ndef f(): return eval(chr(120))", NameError, "x"),
        (
            "x = 3\ndef f(): return globals()['x'.lower()], globals()['X'.lower()], globals()['q']",
            KeyError,
            "q",
        ),
        ("def f(): return '{who}'.format(**globals())", KeyError, "who"),
    ],
)
def test_a_name_that_is_missing_on_the_worker_is_told_with_the_next_step(shared_app, source, kind, name):
    error, text = failure(shared_app, defined(source)["f"])
    assert type(error) is kind
    assert f"this task has no {name!r} of the notebook" in text
    assert "pass it as an argument" in text


def test_a_variable_of_pandas_that_is_missing(shared_app):
    pytest.importorskip("pandas")
    source = (
        "import pandas as pd\ndef f(): return pd.DataFrame({'a': [1]}).query('a > @' + chr(108) + 'imit')"
    )
    error, text = failure(shared_app, defined(source)["f"])
    assert type(error).__name__ == "UndefinedVariableError"
    assert "this task has no 'limit' of the notebook" in text


def test_other_errors_have_no_hint(shared_app):
    for source in (
        "def f(): return gone",
        "def f(): return {}['k']",
        "def f(): int('x')",
        "def f():\n    if 0: x = 1\n    x",
    ):
        assert "nbtasks:" not in failure(shared_app, defined(source)["f"])[1]


def test_nobody_is_at_a_keyboard(shared_app):
    error, _ = failure(shared_app, lambda: input("Really? "))
    assert type(error) is EOFError
    assert str(error).startswith("input('Really? '): a task has nobody to ask")
    error, _ = failure(shared_app, lambda: breakpoint())  # noqa: T100, PLW0108 - it is not to be reached here
    assert str(error).startswith("breakpoint(): a task has nobody at a keyboard")
    _, text = failure(shared_app, defined("import pdb\ndef f(): pdb.set_trace()\n")["f"])
    assert "a debugger has nobody at a keyboard in a task" in text


def test_a_module_that_is_missing_there_is_told_with_what_needs_it(shared_app, monkeypatch):
    import sys
    import types

    only_here = types.ModuleType("only_here")
    only_here.show = types.FunctionType(compile("0", "<s>", "eval"), {"__name__": "only_here"}, "show")
    only_here.show.__qualname__ = "show"
    monkeypatch.setitem(sys.modules, "only_here", only_here)
    only_here.__file__ = sys.prefix + "/lib/only_here.py"
    space = defined("def helper(): return show(1)\ndef f(): return helper()")
    space["show"] = only_here.show
    error, _ = failure(shared_app, space["f"])
    assert str(error) == (
        "No module named 'only_here': show of the notebook needs it; install it where the workers run"
    )
