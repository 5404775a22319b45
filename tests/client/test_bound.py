"""Which App a task submits through: closed ones, several ones, and in a worker."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import cloudpickle
import pytest

from nbtasks import App, ConfigError, task
from nbtasks.wire.signing import encode_key, new_key

SOON = 60.0


@pytest.fixture
def other(shared_app):
    """A second App, in a namespace of its own, with a worker."""
    with App("other", namespace="t-other") as app:
        app.start_workers(1)
        yield app


def make(app):
    """Return a task of an App, made from a function that tells where it runs."""
    return app.task(where)


def where():
    """Tell the namespace that this runs for."""
    from nbtasks.core.context import serving

    return serving[0].connection.namespace


@pytest.mark.parametrize("submit", ["delay", "apply_async", "map", "starmap"])
def test_a_task_of_a_closed_app_says_so_at_the_call(shared_app, submit):
    with App("gone", namespace="t-gone") as gone:
        bound = gone.task(len)
        bound.delay("a")
    arguments = {"delay": ("a",), "apply_async": (("a",),), "map": (["a"],), "starmap": ([("a",)],)}[submit]
    with pytest.raises(ConfigError, match=r"task 'len' is bound to App 'gone', which is closed. Bind it to"):
        getattr(bound, submit)(*arguments)
    # It is a function still.
    assert bound("abc") == 3


def test_a_task_of_no_app_goes_through_the_newest_open_one(shared_app):
    unbound = task(where)
    assert unbound.delay().get(timeout=SOON) == shared_app.connection.namespace
    with App("newest", namespace="t-newest") as app:
        app.start_workers(1)
        assert unbound.delay().get(timeout=SOON) == "t-newest"
    assert unbound.delay().get(timeout=SOON) == shared_app.connection.namespace


LAST = """
import os
from nbtasks import App, ConfigError, task
unbound = task(len)
with App("last", {told}) as app:
    unbound.delay("ab")
try:
    print(unbound.delay("abc").id and "submitted")
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "told", ["broker=os.environ['URL']", pytest.param("namespace='mine'", marks=pytest.mark.long), ""]
)
def test_after_the_last_app_was_closed_nothing_goes_elsewhere_in_silence(shared_app, project, told):
    done = subprocess.run(
        [sys.executable, "-c", LAST.format(told=told)],
        env={**os.environ, "URL": shared_app.connection.url}, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if told:
        assert done.stdout.startswith("no App is open here. App 'last', which is closed, had its calls go to")
    else:
        # One with defaults is what it was, and what is made anew.
        assert done.stdout.strip() == "submitted"


def test_in_a_worker_a_task_without_an_app_goes_to_the_broker_that_it_runs_for(shared_app, other):
    unbound = task(where)

    def outer():
        # Whatever else is opened there.
        with App("inner", namespace="t-inner") as inner:
            inner.session.flush()
            return unbound.delay().id, unbound.app.connection.namespace

    # The worker has one child: the inner call runs when the outer one has ended.
    call, namespace = other.task(outer).delay().get(timeout=SOON)
    assert namespace == "t-other"
    assert other.AsyncResult(call).get(timeout=SOON) == "t-other"


def test_in_a_worker_a_task_of_the_same_app_goes_to_that_broker(shared_app, other):
    bound = make(other)
    outer = other.task(lambda: bound.delay().id)
    assert other.AsyncResult(outer.delay().get(timeout=SOON)).get(timeout=SOON) == "t-other"


CAPTURES = {
    "global": lambda app, bound: app.task(lambda: bound.delay().id).delay(),
    "argument": lambda app, bound: app.task(lambda one: one.delay().id).delay(bound),
    "arguments of a map": lambda app, bound: app.task(lambda one: one.delay().id).map([bound])[0],
    "method": lambda app, bound: app.task(lambda one: one().id).delay(bound.delay),
    "in a list": lambda app, bound: app.task(lambda ones: ones[0].map([]).id).delay([bound]),
    "a default": lambda app, bound: app.task(lambda one=bound: one.apply_async(()).id).delay(),
}


@pytest.mark.parametrize(
    "way",
    [
        way if way in {"global", "in a list"} else pytest.param(way, marks=pytest.mark.long)
        for way in CAPTURES
    ],
)
def test_in_a_worker_a_task_of_another_app_goes_to_that_one(shared_app, other, way):
    inner = CAPTURES[way](shared_app, make(other)).get(timeout=SOON)
    if way != "in a list":
        assert other.AsyncResult(inner).get(timeout=SOON) == "t-other"


def test_in_a_worker_the_way_to_another_app_has_its_key_which_nobody_else_reads(shared_app):
    key = new_key()
    with App("vault", namespace="t-vault", key=key) as vault:
        vault.start_workers(1)
        bound = make(vault)

        @shared_app.task
        def outer():
            # Waits for the other App's worker, while the slot of this one is taken.
            return bound.delay().get(timeout=60), bound.map([]).get(), (bound.si() | bound.si()).delay().get()

        call = outer.delay()
        assert call.get(timeout=SOON) == ("t-vault", [], "t-vault")
        # Neither as it is nor as text does it lie on the server.
        sent = outer.shipped.sealed.frame
        assert key not in sent
        assert encode_key(key).encode() not in sent


def test_the_way_goes_on_from_worker_to_worker(shared_app):
    with (
        App("second", namespace="t-second", key=new_key()) as second,
        App("third", namespace="t-third", key=new_key()) as third,
    ):
        second.start_workers(1)
        third.start_workers(1)
        last = make(third)

        @second.task
        def middle():
            return last.delay().get(timeout=60)

        @shared_app.task
        def first():
            return middle.delay().get(timeout=60)

        assert first.delay().get(timeout=SOON) == "t-third"


def test_a_task_whose_way_is_not_known_refuses(shared_app):
    with App("unknown", namespace="t-unknown") as unknown:
        # By value, if another test of this process has imported this module anew.
        bare = cloudpickle.dumps(make(unknown).s())
    shared_app.set_current()
    call = shared_app.task(lambda: pickle.loads(bare).delay().id).delay()
    with pytest.raises(
        ConfigError, match=r"is bound to App 'unknown' at .*'t-unknown'.*, and this worker runs for"
    ):
        call.get(timeout=SOON)


def test_in_a_worker_a_task_of_another_app_that_is_open_there_goes_to_that(shared_app, other):
    bound = make(other)
    url = other.connection.url

    def outer():
        with App(broker=url, namespace="t-other"):
            return bound.delay().id

    call = shared_app.task(outer).delay().get(timeout=SOON)
    assert other.AsyncResult(call).get(timeout=SOON) == "t-other"


def test_a_task_comes_back_as_it_went(shared_app, other):
    back = shared_app.task(lambda one: [one])
    ours, theirs = back.delay(make(shared_app)).get(timeout=SOON), back.delay(make(other)).get(timeout=SOON)
    assert ours[0].delay().get(timeout=SOON) == other.connection.namespace  # the newest open one
    assert theirs[0].delay().get(timeout=SOON) == "t-other"


@pytest.mark.parametrize(
    "pool", ["prefork", *(pytest.param(pool, marks=pytest.mark.long) for pool in ("threads", "solo"))]
)
def test_a_task_that_opens_an_app_leaves_nothing_behind(home, pool, eventually):
    def careless(number):
        app = App()
        return app.task(len).delay("a" * number).id

    def count():
        gc.collect()
        # The pool's own threads come as they are needed.
        names = [one.name for one in threading.enumerate() if not one.name.startswith("nbtasks-task")]
        return len(names), len(list(Path("/proc/self/fd").iterdir()))

    with App() as app:
        app.start_workers(1, pool=pool, threads=2)
        many, counted = app.task(careless), app.task(count)
        first = many.delay(1).get(timeout=SOON)
        before = eventually(lambda: _steady(lambda: counted.delay().get(timeout=SOON)))
        calls = [many.delay(number).get(timeout=SOON) for number in range(10)]
        eventually(lambda: counted.delay().get(timeout=SOON) <= before, "threads and descriptors of before")
        # And what was submitted through them is there.
        assert [app.AsyncResult(one).get(timeout=SOON) for one in [first, *calls]] == [1, *range(10)]


def _steady(look):
    found = [look() for _ in range(5)]
    return found[0] if len(set(found)) == 1 else None


def test_an_app_that_was_closed_is_freed(home, eventually):
    app = App()
    app.start_workers(1)
    bound = app.task(len)
    assert bound.delay("ab").get(timeout=SOON) == 2
    app.close()
    freed = weakref.ref(app)
    del app, bound
    eventually(lambda: gc.collect() >= 0 and freed() is None, "nobody holds it")


#: In a process of its own, where nothing comes and goes but what these Apps leave.
ROUNDS = """
import gc, os, sys, threading, time
from nbtasks import App

def round_():
    with App() as app:
        app.start_workers(1)
        assert app.task(len).map(["ab"] * 10).get(timeout=60) == [2] * 10

def left():
    gc.collect()
    apps = sum(isinstance(one, App) for one in gc.get_objects())
    files = []
    for number in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            pass  # the one that was listing
    return apps, sorted(one.name for one in threading.enumerate()), sorted(files)

before = left()
for _ in range(4):
    round_()
end = time.monotonic() + 20
while list(map(len, left()[1:])) != list(map(len, before[1:])) or left()[0]:
    if time.monotonic() > end:
        sys.exit(f"{before} has become {left()}")
    time.sleep(0.05)
"""


@pytest.mark.long
def test_apps_that_are_opened_and_closed_leave_nothing(home):
    done = subprocess.run(
        [sys.executable, "-c", ROUNDS], check=False, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
