"""What can be a task, what it takes along, and when a change takes effect."""

from __future__ import annotations

import asyncio
import functools
import time
from pathlib import Path

import pytest

import nbtasks
from nbtasks import ConfigError, NotPicklable, task

SOON = 60.0


def get(handle):
    """Wait for a result."""
    return handle.get(timeout=SOON)


def cell(source, **names):
    """Run source as a notebook runs a cell; returns its namespace."""
    space = {"__name__": "__main__", **names}
    exec(compile(source, f"<cell {abs(hash(source))}>", "exec"), space)
    return space


# --- what can be a task


def test_a_function_called_plainly_runs_here(shared_app):
    @shared_app.task
    def on_a_worker():
        return nbtasks.current_call() is not None

    assert on_a_worker() is False
    assert get(on_a_worker.delay()) is True


def test_a_function_with_every_kind_of_argument(shared_app):
    @shared_app.task
    def collect(a, /, b, *rest, c=3, **more):
        return a, b, rest, c, more

    assert get(collect.delay(1, 2, 3, c=4, d=5)) == (1, 2, (3,), 4, {"d": 5})
    assert get(collect.apply_async((1,), {"b": 2})) == (1, 2, (), 3, {})


def test_a_lambda_and_a_closure(shared_app):
    step = 7
    assert get(shared_app.task(lambda x: x + step).delay(1)) == 8


def test_builtins_partials_and_methods(shared_app):
    class Scale:
        def __init__(self, by):
            self.by = by

        def times(self, x):
            return self.by * x

        def __call__(self, x):
            return x / self.by

        @staticmethod
        def plain(x):
            return -x

    assert get(shared_app.task(len).delay([1, 2])) == 2
    assert get(shared_app.task(functools.partial(pow, 2)).delay(5)) == 32
    assert get(shared_app.task(Scale(3).times).delay(4)) == 12
    assert get(shared_app.task(Scale(4)).delay(8)) == 2
    assert get(shared_app.task(Scale.plain).delay(1)) == -1


def test_recursion_and_mutual_recursion(shared_app):
    space = cell("""
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
""")
    assert get(shared_app.task(space["even"]).delay(10)) is True
    assert get(shared_app.task(space["fib"]).delay(12)) == 144


def test_a_recursive_task_decorated_in_a_cell(shared_app):
    """Inside a worker the name is the task itself, and calling it runs there."""
    space = cell("@task\ndef fact(n): return 1 if n < 2 else n * fact(n - 1)", task=shared_app.task)
    assert get(space["fact"].delay(6)) == 720


def test_classes_and_instances_of_a_cell(shared_app):
    space = cell("""
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return self.x == other.x
class Near(Point):
    def twice(self): return super().__init__(self.x * 2) or self
def move(p): return Near(p.x + 1).twice()
""")
    result = get(shared_app.task(space["move"]).delay(space["Point"](4)))
    assert result.x == 10
    assert type(result).__name__ == "Near"


def test_an_instance_comes_back_as_the_class_of_the_notebook(shared_app):
    space = cell("class Point:\n    x = 1\ndef same(p): return p")
    result = get(shared_app.task(space["same"]).delay(space["Point"]()))
    assert isinstance(result, space["Point"])


def test_async_def(shared_app):
    @shared_app.task
    async def nap(x):
        await asyncio.sleep(0)
        return x, nbtasks.current_call().name

    assert get(nap.delay(3)) == (3, f"{__name__}.nap")


def test_a_generator_function_is_refused_with_the_fix(shared_app):
    @shared_app.task
    def numbers():
        yield 1

    with pytest.raises(ConfigError, match="generator cannot be a result; return a list"):
        numbers.delay()


def test_a_method_is_no_task(shared_app):
    class Model:
        @shared_app.task
        def score(self, x=2):
            return x * 10

        @staticmethod
        @shared_app.task
        def half(x):
            return x / 2

        @shared_app.task
        @staticmethod
        def third(x):
            return x / 3

        @shared_app.task(bind=True)
        def bound(self, x):
            return self.request.id and x

        @classmethod
        @shared_app.task
        def make(cls, x):
            return x

        @shared_app.task
        def fetch(url):  # noqa: N805 - a class that only holds functions
            return url

    method = r"Model\.\w+ is a method, and a task has no object .*: make it a function .* or a static method"
    wrong = (
        Model().score.delay, lambda: Model().score.delay(5), lambda: Model().score.map([1, 2]),
        lambda: Model().score(5), lambda: Model().score.with_options(queue="q").delay(5), Model.score.delay,
        lambda: Model().make.delay(5), lambda: Model().score.apply((5,)),
    )  # fmt: skip
    for call in wrong:
        with pytest.raises(TypeError, match=method):
            call()
    assert (Model().score(Model()), get(Model.score.delay(Model(), 3)), get(Model.fetch.delay(7))) == (
        20,
        30,
        7,
    )
    assert (get(Model().half.delay(3)), get(Model.third.delay(3)), get(Model.bound.delay(4))) == (1.5, 1, 4)
    assert Model.score.map([Model()]).get(timeout=SOON) == [20]
    for kind in (classmethod, property):
        with pytest.raises(ConfigError, match=rf"<lambda> is a {kind.__name__}, and a task"):
            shared_app.task(kind(lambda cls: 1))


def test_what_cannot_be_called_is_no_task(shared_app):
    with pytest.raises(ConfigError, match="3 is not callable"):
        shared_app.task(3)


def test_a_wrong_option_is_told_at_the_decorator(shared_app):
    with pytest.raises(ConfigError, match="did you mean 'time_limit'"):
        shared_app.task(time_limt=3)


def test_the_name_is_the_functions_or_the_one_given(shared_app):
    assert shared_app.task(name="etl.load")(len).name == "etl.load"
    handle = shared_app.task(len).delay("ab")
    assert (handle.name, get(handle)) == ("len", 2)


def test_a_task_of_a_task_is_a_task(shared_app):
    assert get(shared_app.task(shared_app.task(len)).delay("abc")) == 3


def test_the_module_level_decorator_uses_the_newest_app(shared_app):
    @task
    def double(x):
        return 2 * x

    assert get(double.delay(4)) == 8


def test_with_options_changes_a_copy(shared_app):
    @shared_app.task
    def who():
        return nbtasks.current_call().time_limit

    assert get(who.with_options(time_limit="1m").delay()) == 60
    assert get(who.delay()) is None


# --- bind=True


def test_a_bound_task_knows_its_request(shared_app):
    @shared_app.task(bind=True, name="etl")
    def about(self, x):
        request = self.request
        return x, request.id, request.name, request.retries, request.queue, request.hostname

    handle = about.delay(1)
    result = get(handle)
    assert result[:5] == (1, handle.id, "etl", 0, "default")
    assert result[5] == handle.worker


def test_a_bound_task_runs_here_too(shared_app):
    @shared_app.task(bind=True)
    def about(self, x):
        return x, self.request.is_eager

    assert about(1) == (1, True)
    assert get(about.delay(1)) == (1, False)


def test_update_state_is_shown_as_progress(shared_app, gate, eventually):
    @shared_app.task(bind=True)
    def slow(self, path):
        self.update_state(state="PROGRESS", meta={"current": 3, "total": 10, "message": "files"})
        end = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.01)

    handle = slow.delay(gate.path)
    eventually(lambda: handle.progress is not None, "progress is shown")
    assert (handle.progress.done, handle.progress.total, handle.progress.message) == (3, 10, "files")
    gate.open()
    assert get(handle) is None


# --- the signature is checked at the call


def test_a_wrong_call_is_refused_where_it_is_made(shared_app):
    @shared_app.task
    def add(x, y):
        return x + y

    for call in (
        lambda: add.delay(1),
        lambda: add.delay(1, 2, 3),
        lambda: add.delay(1, z=2),
        lambda: add.apply_async((1, 2), {"y": 3}),
        lambda: add.map([1, 2]),
        lambda: add.starmap([(1, 2), (1,)]),
    ):
        with pytest.raises(TypeError, match=r"^tests.client.test_tasks.add\(x, y\): "):
            call()


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (5, None, r"len: args is a tuple of all positional arguments, such as \(5,\), not 5"),
        (
            {"obj": "a"},
            None,
            r"len: args is a tuple .*, and a dict has no order; say kwargs= .* \({'obj': 'a'},\)",
        ),
        ({"a"}, None, r"len: args is a tuple .*, and a set has no order"),
        ("abc", None, r"such as \('abc',\), not 'abc'"),
        (("abc",), 5, "len: kwargs is a dict of the keyword arguments, not 5"),
    ],
)
def test_arguments_in_another_form_are_told(shared_app, args, kwargs, message):
    for submit in (shared_app.task(len).apply_async, shared_app.task(len).apply):
        with pytest.raises(TypeError, match=message):
            submit(args, kwargs)


def test_a_bound_tasks_self_is_not_an_argument(shared_app):
    @shared_app.task(bind=True)
    def only(self, x):
        return x

    with pytest.raises(TypeError, match=r"only\(x\)"):
        only.delay()
    assert get(only.delay(1)) == 1


def test_a_wrong_call_option_is_told_at_the_call(shared_app):
    with pytest.raises(ConfigError, match="unknown task option 'countdwn'"):
        shared_app.task(len).apply_async(("a",), countdwn=3)


# --- what a task takes along


def test_globals_are_captured_when_the_call_is_submitted(shared_app):
    space = cell("rows = [1]\ndef total(): return sum(rows)")
    total = shared_app.task(space["total"])
    first = total.delay()
    space["rows"].append(10)
    second = total.delay()
    space["rows"] = [100]
    third = total.delay()
    assert [get(first), get(second), get(third)] == [1, 11, 100]


def test_a_task_that_changes_its_globals_changes_nothing_here(shared_app):
    space = cell("rows = [1]\ndef grow(x):\n    rows.append(x)\n    return len(rows)")
    assert get(shared_app.task(space["grow"]).delay(2)) >= 2
    assert space["rows"] == [1]


def test_a_definition_that_is_run_again_takes_effect_at_once(shared_app):
    space = cell("@task\ndef version(): return helper()\ndef helper(): return 1", task=shared_app.task)
    assert get(space["version"].delay()) == 1
    exec("def helper(): return 2", space)
    assert get(space["version"].delay()) == 2
    exec("@task\ndef version(): return 3", space)
    assert get(space["version"].delay()) == 3
    assert space["version"].map([])[:] == []


def test_a_class_that_is_changed_takes_effect_at_once(shared_app):
    space = cell(
        "class C:\n    def v(self): return 1\n@task\ndef look(): return C().v()", task=shared_app.task
    )
    assert get(space["look"].delay()) == 1
    space["C"].v = lambda self: 2
    assert get(space["look"].delay()) == 2


def test_a_capture_that_cannot_travel_is_named_and_nothing_is_sent(shared_app):
    import threading

    space = cell("def use(): return connection", connection={"socket": [threading.Lock()]})
    before = len(shared_app.session.store.newest(1000))
    with pytest.raises(NotPicklable, match="connection") as caught:
        shared_app.task(space["use"]).delay()
    assert caught.value.path == "use: connection['socket'][0]"
    assert "Make it inside the task" in str(caught.value)
    assert len(shared_app.session.store.newest(1000)) == before


def test_an_argument_that_cannot_travel_is_named(shared_app):
    import threading

    @shared_app.task
    def take(x, y=None):
        return x

    with pytest.raises(NotPicklable, match="take, call 0: argument 0"):
        take.delay(threading.Lock())
    with pytest.raises(NotPicklable) as caught:
        take.delay(1, y={"a": [1, threading.Lock()]})
    assert caught.value.path == "y['a'][1]"
    with pytest.raises(NotPicklable, match="take, call 2: argument 0"):
        take.map([1, 2, threading.Lock()])


def test_a_result_that_cannot_travel_is_named(shared_app):
    @shared_app.task
    def make():
        import threading

        return {"a": [threading.Lock()]}

    with pytest.raises(NotPicklable, match=r"the result of call .* cannot be sent") as caught:
        get(make.delay())
    assert caught.value.path.endswith("['a'][0]")


def test_a_package_that_is_missing_on_the_worker_fails_the_call(shared_app):
    @shared_app.task
    def use():
        import no_such_package

        return no_such_package

    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        get(use.delay())


# --- apply: here, by the way of a worker


def test_apply_runs_here_and_has_the_surface_of_a_result(shared_app):
    @shared_app.task
    def half(x):
        return x / 2

    done = half.apply((4,))
    assert (done.get(), done.state, done.ready(), done.successful(), done.traceback) == (
        2,
        "SUCCESS",
        True,
        True,
        None,
    )
    failed = half.apply(("a",))
    assert (failed.state, failed.failed()) == ("FAILURE", True)
    assert isinstance(failed.get(propagate=False), TypeError)
    assert "in half" in failed.traceback
    with pytest.raises(TypeError):
        failed.get()


def test_apply_retries_and_awaits(shared_app):
    seen = []

    @shared_app.task(retries=2, bind=True)
    async def flaky(self):
        await asyncio.sleep(0)
        if self.request.retries < 2:
            raise OSError("not yet")
        return self.request.retries

    assert flaky.apply().get() == 2
    assert seen == []


def test_apply_refuses_what_a_worker_could_not_get(shared_app):
    import threading

    with pytest.raises(NotPicklable):
        shared_app.task(lambda x: x).apply((threading.Lock(),))


def test_what_ran_here_can_be_waited_for_like_the_rest(shared_app):
    done, failed = shared_app.task(len).apply(("ab",)), shared_app.task(len).apply((1,))
    told = []
    assert done.then(told.append) is done
    failed.then(told.append, on_error=told.append)
    assert told == [done, failed]
    assert done.why_pending() is None

    async def wait(handle):
        return await handle

    assert asyncio.run(wait(done)) == 2
    with pytest.raises(TypeError):
        asyncio.run(wait(failed))


@pytest.mark.parametrize(
    "name", ["default_retry_delay", "autoretry_for", "throws", "retry_backoff", "rate_limit"]
)
def test_options_of_the_task_are_refused_for_one_call(idle_app, name):
    """They travel with the function; nothing that is said is dropped in silence."""
    with pytest.raises(ConfigError, match=rf"{name} is an option of the task.*@task\({name}=...\)"):
        idle_app.task(len).apply_async(("ab",), **{name: 1.0})
    with pytest.raises(ConfigError, match=name):
        idle_app.task(len).map(["ab"], **{name: 1.0})
