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
