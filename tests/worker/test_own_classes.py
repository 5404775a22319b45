"""Tasks of classes of the user's: ``run()``, options as attributes, hooks, ``base=``; in workers and here."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbtasks import App, ConfigError, Ignore, Reject, Task, TaskError, TaskRevokedError, task

SOON = 60.0


class ImportData(Task):
    """As tutorials write it."""

    name = "import-data"
    max_retries = 2
    default_retry_delay = 0.01

    def run(self, url, fails=0):
        if self.request.retries < fails:
            raise self.retry(exc=OSError(url))
        return url, self.request.retries, self.request.id, self.max_retries


class WithState(Task):
    """Has an ``__init__`` of its own that does not call that of Task, as Celery's documentation has."""

    def __init__(self, users):
        self.users = users

    def run(self, name):
        return self.users[name], type(self).__name__


class Told(Task):
    """Writes down which hooks are called."""

    abstract = True
    default_retry_delay = 0.01

    def note(self, *what):
        path = self.request.args[0] if self.request.args else None
        with Path(path).open("a") as file:
            file.write(" ".join(map(str, what)) + "\n")

    def before_start(self, task_id, args, kwargs):
        self.note("before_start", task_id == self.request.id, args[1:], kwargs)

    def on_success(self, retval, task_id, args, kwargs):
        self.note("on_success", retval)

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        self.note("on_failure", repr(exc), einfo.type.__name__, "Traceback" in str(einfo))

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        self.note("on_retry", repr(exc))

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        self.note("after_return", status, retval)


class Locked(Task):
    """Holds a lock around what runs, as in talks on Celery."""

    lock_name = "none"

    def __call__(self, *args, **kwargs):
        lock = Path(args[0])
        lock.mkdir()
        try:
            return super().__call__(*args, **kwargs)
        finally:
            lock.rmdir()


def test_a_class_with_run_is_a_task(shared_app):
    made = shared_app.register_task(ImportData())
    assert (made.name, made.options.max_retries, made.app) == ("import-data", 2, shared_app)
    assert made("u")[:2] == ("u", 0)
    call = made.delay("u", fails=2)
    assert call.get(timeout=SOON) == ("u", 2, call.id, 2)
    assert made.map(["a", "b"]).get(timeout=SOON)[1][0] == "b"
    assert made.apply(("u",)).get()[0] == "u"
    with pytest.raises(OSError, match="u"):
        made.delay("u", fails=3).get(timeout=SOON)
    with pytest.raises(TypeError, match="import-data"):
        made.delay()


def test_a_task_of_a_class_with_other_options(shared_app):
    made = shared_app.register_task(ImportData()).with_options(name="again", queue="default", max_retries=1)
    assert (made.name, made.max_retries, made.options.max_retries) == ("again", 1, 1)
    call = made.delay("u", fails=1)
    assert (call.name, call.get(timeout=SOON)[1]) == ("again", 1)
    plain = shared_app.register_task(WithState({"a": 1})).with_options(name="other")
    assert plain.delay("a").name == "other"


def test_what_is_set_on_an_instance_goes_along(shared_app):
    made = shared_app.register_task(WithState({"a": 1}))
    assert made.delay("a").get(timeout=SOON) == (1, "WithState")
    made.users = {"a": 2}
    assert made.delay("a").get(timeout=SOON) == (2, "WithState")
    # Of a task of a notebook's class another task knows it, too.
    assert shared_app.task(lambda: made("a")).delay().get(timeout=SOON) == (2, "WithState")


def test_a_task_with_a_base_has_its_attributes_and_methods(shared_app, tmp_path):
    @shared_app.task(base=Locked, bind=True, priority="high")
    def held(self, lock):
        return self.lock_name, Path(lock).is_dir(), self.name, isinstance(self, Locked)

    assert held.options.priority == 8
    lock = str(tmp_path / "lock")
    assert held.delay(lock).get(timeout=SOON) == ("none", True, held.name, True)
    assert not Path(lock).exists()

    @task(base=Locked)
    def plain(lock):
        return Path(lock).is_dir()

    assert plain.delay(lock).get(timeout=SOON)
    assert plain(lock)


HOOKED = {
    "returns": (["on_success 1", "after_return SUCCESS 1"], lambda self, path: 1),
    "fails": (
        ["on_failure ValueError('x') ValueError True", "after_return FAILURE x"],
        lambda self, path: int("x") if 0 else (_ for _ in ()).throw(ValueError("x")),
    ),
    "ignores": ([], lambda self, path: (_ for _ in ()).throw(Ignore())),
}


@pytest.mark.parametrize("pool", ["worker", "loop", "here"])
@pytest.mark.parametrize("what", HOOKED)
def test_hooks_are_called_as_celery_calls_them(shared_app, tmp_path, pool, what):
    after, function = HOOKED[what]

    async def later(self, path):
        return function(self, path)

    made = shared_app.task(later if pool == "loop" else function, base=Told, bind=True, name="hooked")
    path = str(tmp_path / "told")
    if pool == "here":
        made.apply((path,))
    else:
        made.delay(path).get(timeout=SOON, propagate=False)
    assert Path(path).read_text().splitlines() == ["before_start True () {}", *after]


def test_a_retry_has_its_hook_and_no_end(shared_app, tmp_path):
    @shared_app.task(base=Told, bind=True, autoretry_for=OSError)
    def again(self, path):
        if not self.request.retries:
            raise OSError("slow")
        return "done"

    path = str(tmp_path / "told")
    assert again.delay(path).get(timeout=SOON) == "done"
    told = [line for line in Path(path).read_text().splitlines() if not line.startswith("before")]
    assert told == ["on_retry OSError('slow')", "on_success done", "after_return SUCCESS done"]


def test_a_hook_that_fails_changes_nothing_and_is_seen(shared_app):
    class Careless(Task):
        def run(self):
            return "done"

        def on_success(self, retval, task_id, args, kwargs):
            raise KeyError("careless")

    call = shared_app.register_task(Careless()).delay()
    assert call.get(timeout=SOON) == "done"
    assert "a hook of the task has failed" in call.stderr
    assert "KeyError: 'careless'" in call.stderr


def test_before_start_can_fail_the_call(shared_app):
    class Strict(Task):
        def run(self):
            return "done"

        def before_start(self, task_id, args, kwargs):
            raise PermissionError("not today")

    with pytest.raises(PermissionError, match="not today"):
        shared_app.register_task(Strict()).delay().get(timeout=SOON)


def test_hooks_may_be_coroutines(shared_app, tmp_path):
    path = tmp_path / "told"

    class Later(Task):
        where = str(path)

        async def run(self):
            await asyncio.sleep(0)
            return "done"

        async def on_success(self, retval, task_id, args, kwargs):
            await asyncio.sleep(0)
            await asyncio.to_thread(Path(self.where).write_text, retval)

    assert shared_app.register_task(Later()).delay().get(timeout=SOON) == "done"
    assert path.read_text() == "done"


def test_a_class_that_refers_to_its_own_task(shared_app):
    class Countdown(Task):
        def run(self, number):
            return [number] if number == 0 else [number, *countdown.run(number - 1)]

    countdown = shared_app.register_task(Countdown())
    assert countdown.delay(2).get(timeout=SOON) == [2, 1, 0]


WRONG = {
    "no run": (lambda app: type("Empty", (Task,), {})(), r"Empty\(\) is a task without anything to run"),
    "nothing": (lambda app: Task(), r"Task\(\) needs a function"),
    "a function": (lambda app: app.register_task(len), r"register_task\(.*for a function say @app.task"),
    "a base": (lambda app: app.task(base=dict)(len), r"base: .* derived from nbtasks.Task"),
    "an option": (lambda app: type("Bad", (Task,), {"run": len, "priority": 12})(), "priority"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_task_says_so(shared_app, what):
    make, said = WRONG[what]
    with pytest.raises(ConfigError, match=said):
        make(shared_app)


def test_delay_on_a_class_says_where_it_belongs():
    with pytest.raises(TypeError, match=r"called on a class: .*register_task"):
        ImportData.delay("u")


# -- what a task says of its own call


def test_a_bound_task_is_the_task(shared_app):
    @shared_app.task
    def other(x):
        return x

    @shared_app.task(bind=True, max_retries=7)
    def look(self, deep=True):
        call = self.delay(False) if deep else None
        return self.name, self.max_retries, self.app.usable, repr(self), call and call.id, other.name

    found = look.delay().get(timeout=SOON)
    assert found[:4] == (look.name, 7, True, f"<Task {look.name}>")
    assert shared_app.AsyncResult(found[4]).get(timeout=SOON)[4] is None


def test_a_task_that_is_not_bound_finds_its_request(shared_app):
    @shared_app.task
    def look():
        return look.request.id, look.request.called_directly

    call = look.delay()
    assert call.get(timeout=SOON) == (call.id, False)
    assert look()[1]


def test_a_state_of_its_own_is_seen_with_what_is_given_with_it(shared_app, gate, eventually):
    @shared_app.task(bind=True)
    def upload(self, path):
        meta = {"current": 1, "parts": (1, 2)}
        self.update_state(state="PROGRESS", meta=meta)
        meta["current"] = 99
        end = time.monotonic() + SOON
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.005)
        return "done"

    call = upload.delay(gate.path)
    eventually(lambda: call.state == "PROGRESS", "its state")
    assert call.info == {"current": 1, "parts": (1, 2)}
    assert call.result["current"] == 1
    assert not call.ready()
    gate.open()
    assert call.get(timeout=SOON) == "done"
    assert (call.state, call.info) == ("SUCCESS", "done")


def test_a_state_may_come_by_position_as_in_celery(shared_app, gate, eventually):
    @shared_app.task(bind=True)
    def upload(self, path):
        self.update_state(self.request.id, "HALF", None)
        end = time.monotonic() + SOON
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.005)

    call = upload.delay(gate.path)
    eventually(lambda: call.state == "HALF", "its state")
    assert call.info is None
    gate.open()
    call.get(timeout=SOON)


DECLINED = {
    "ignore": (
        lambda self: (_ for _ in ()).throw(Ignore("not mine")),
        "REVOKED",
        TaskRevokedError,
        "not mine",
    ),
    "reject": (lambda self: (_ for _ in ()).throw(Reject("full")), "REVOKED", TaskRevokedError, "full"),
}


@pytest.mark.parametrize("what", DECLINED)
def test_a_task_can_decline_a_call(shared_app, what):
    function, state, kind, said = DECLINED[what]
    call = shared_app.task(function, bind=True, name="declines", retries=3).delay()
    error = call.get(timeout=SOON, propagate=False)
    assert (call.state, type(error)) == (state, kind)
    assert said in str(error)


def test_ignore_leaves_the_state_that_the_task_has_given(shared_app):
    @shared_app.task(bind=True)
    def decide(self, state, meta):
        self.update_state(state=state, meta=meta)
        raise Ignore

    failed = decide.delay("FAILURE", {"exc_type": "Broken", "exc_message": ["it", "broke"]})
    error = failed.get(timeout=SOON, propagate=False)
    assert (failed.state, type(error), str(error)) == ("FAILURE", TaskError, "it, broke")
    failed = decide.delay("FAILURE", KeyError("k"))
    assert isinstance(failed.get(timeout=SOON, propagate=False), KeyError)
    assert decide.delay("SUCCESS", [1]).get(timeout=SOON) == [1]


def test_a_rejected_call_can_be_queued_again(shared_app, ledger):
    path = ledger.path

    @shared_app.task(bind=True, max_retries=0, default_retry_delay=0.01)
    def picky(self):
        with Path(path).open("a") as file:
            file.write("try\n")
        if len(Path(path).read_text().splitlines()) < 3:
            raise Reject("not yet", requeue=True)
        return "done"

    assert picky.delay().get(timeout=SOON) == "done"
    assert len(ledger.lines()) == 3


def test_the_next_attempt_can_go_to_another_queue(home):
    with App() as app:
        app.start_workers(1, queues=["first"])

        @app.task(bind=True, queue="first")
        def move(self):
            if not self.request.retries:
                self.retry(queue="second", priority="high", time_limit=30, expires=600, countdown=0)
            return self.request.delivery_info["routing_key"], self.request.timelimit

        call = move.delay()
        with App("other", namespace=app.connection.namespace) as other:
            other.start_workers(1, queues=["second"])
            assert call.get(timeout=SOON) == ("second", (30.0, None))


def test_celerys_retry_kwargs(shared_app):
    @shared_app.task(bind=True, autoretry_for=(OSError,), retry_kwargs={"max_retries": 1, "countdown": 0})
    def again(self):
        if not self.request.retries:
            raise OSError("slow")
        return self.request.retries, self.max_retries

    assert again.delay().get(timeout=SOON) == (1, 1)
    options = type("Own", (Task,), {"run": again.function, "retry_kwargs": {"countdown": 5}})().options
    assert (options.default_retry_delay, options.retry_backoff, options.max_retries) == (5, False, 3)
    with pytest.raises(ConfigError, match=r"retry_kwargs: .* is not a dict of max_retries and countdown"):
        shared_app.task(retry_kwargs={"times": 1})
    with pytest.raises(ConfigError, match="serializer is Celery's"):
        shared_app.task(serializer="json")


def test_apply_takes_the_options_of_a_call(shared_app):
    @shared_app.task(bind=True)
    def fail(self):
        raise ValueError("no")

    ended = fail.apply((), {}, countdown=5, priority="high")
    assert (ended.state, ended.args, ended.kwargs, ended.retries, ended.queue) == (
        "FAILURE",
        (),
        {},
        0,
        "default",
    )
    with pytest.raises(ValueError, match="no"):
        fail.apply(throw=True)
    with pytest.raises(ConfigError, match="priority"):
        fail.apply(priority=99)
    with pytest.raises(TypeError, match=r"self\.replace"):
        fail.replace(fail)


def test_a_task_finds_its_calls(shared_app):
    made = shared_app.register_task(ImportData())
    call = made.delay("u")
    assert made.AsyncResult(call.id) == call


def test_names_stand_where_celery_has_them():
    from nbtasks import exceptions, states

    assert exceptions.Ignore is Ignore
    assert {states.PENDING, states.SUCCESS} <= states.ALL_STATES
    assert states.PROPAGATE_STATES < states.EXCEPTION_STATES


def test_a_class_on_an_executor(home):
    with ThreadPoolExecutor(1) as pool, App(engine=pool) as app:
        made = app.register_task(ImportData())
        assert made.delay("u", fails=1).get(timeout=SOON)[:2] == ("u", 1)

        @app.task(base=Told, bind=True)
        def again(self, path, number=0):
            if number < 2:
                raise self.retry(args=(path, number + 1), countdown=0)
            return number

        path = home / "told"
        assert again.delay(str(path)).get(timeout=SOON) == 2
        assert path.read_text().splitlines()[-2:] == ["on_success 2", "after_return SUCCESS 2"]


@pytest.mark.long
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_class_in_other_pools(home, pool, tmp_path):
    with App(pool) as app:
        app.start_workers(1, pool=pool)
        made = app.register_task(ImportData())
        assert made.delay("u", fails=2).get(timeout=SOON)[:2] == ("u", 2)
        told = app.task(lambda self, path: 1, base=Told, bind=True, name="told")
        path = tmp_path / "told"
        assert told.delay(str(path)).get(timeout=SOON) == 1
        assert path.read_text().splitlines()[-1] == "after_return SUCCESS 1"
