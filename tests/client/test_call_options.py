"""What can be said at a submit beside the arguments, and what Celery's other options are answered with."""

from __future__ import annotations

import threading
import time
import uuid
import warnings
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from nbtasks import App, AsyncResult, ConfigError, UnknownCall

SOON = 60.0


@pytest.fixture
def look(shared_app):
    @shared_app.task(bind=True, name="look")
    def look(self, word="headers"):
        found = getattr(self.request, word)
        return found if isinstance(found, (str, dict, type(None), tuple, bool)) else repr(found)

    return look


@pytest.mark.parametrize("make", [uuid.uuid4, lambda: f"order {uuid.uuid4()}", lambda: uuid.uuid4().hex[:20]])
def test_a_call_can_have_an_id_of_the_callers(shared_app, look, make):
    given = make()
    call = look.apply_async(("id",), task_id=given)
    assert (call.id, str(call)) == (str(given), str(given))
    assert call.get(timeout=SOON) == str(given)
    assert shared_app.AsyncResult(str(given)).get(timeout=SOON) == str(given)
    assert AsyncResult(str(given)) == call
    # Whoever submitted it.
    with App("other", namespace=shared_app.connection.namespace) as other:
        found = other.AsyncResult(str(given))
        assert (found.id, found.get(timeout=SOON)) == (str(given), str(given))
        assert other.attach(str(given))[0].id == str(given)


def test_an_id_is_given_once(shared_app, look):
    given = str(uuid.uuid4())
    look.apply_async(task_id=given).get(timeout=SOON)
    with pytest.raises(ConfigError, match=r"task_id: .* is that of a call of look which is SUCCESS"):
        look.apply_async(task_id=given)


def test_an_id_that_nobody_has_given(shared_app):
    with pytest.raises(UnknownCall, match=r"nobody has recorded a call 'order 5'.*task_id="):
        shared_app.AsyncResult("order 5")


def test_a_failed_call_with_an_id_of_its_own_can_be_retried(shared_app, ledger):
    path = ledger.path

    @shared_app.task
    def second(path):
        with Path(path).open("a") as file:
            file.write("try\n")
        return 1 / (len(Path(path).read_text().splitlines()) - 1)

    given = str(uuid.uuid4())
    call = second.apply_async((path,), task_id=given)
    assert isinstance(call.get(timeout=SOON, propagate=False), ZeroDivisionError)
    assert call.retry().get(timeout=SOON) == 1.0
    assert call.id == given


def test_headers_reach_the_task(shared_app, look):
    given = {"tenant": "a", "trace": [1, {"x": None}]}
    assert look.apply_async(headers=given).get(timeout=SOON) == given
    assert look.delay().get(timeout=SOON) == {}
    assert look.map(["headers"] * 2, headers=given).get(timeout=SOON) == [given] * 2
    with App(engine=InThread()) as app:
        assert (
            app.task(lambda self: self.request.get("tenant"), bind=True).apply_async(headers=given).get()
            == "a"
        )


class InThread:
    """The smallest executor."""

    def submit(self, function, *args):
        from concurrent.futures import Future

        future = Future()
        threading.Thread(target=lambda: future.set_result(function(*args))).start()
        return future

    def shutdown(self, wait=True):
        """Nothing is held."""


def test_a_shadow_is_what_people_see(shared_app, look):
    call = look.apply_async(("shadow",), shadow="look at a")
    assert call.get(timeout=SOON) == "look at a"
    assert call.batch.title == "look at a"
    assert call.name == "look"


def test_a_call_knows_when_it_might_start_and_no_longer(shared_app, look):
    before = datetime.now(timezone.utc)
    moment = look.apply_async(("eta",), countdown=0.2).get(timeout=SOON)
    assert before < datetime.fromisoformat(moment) < before + timedelta(seconds=30)
    moment = look.apply_async(("expires",), expires=300).get(timeout=SOON)
    assert before < datetime.fromisoformat(moment) < before + timedelta(seconds=900)
    assert look.delay("eta").get(timeout=SOON) is None
    assert look.delay("expires").get(timeout=SOON) is None


def test_a_call_may_keep_no_value(shared_app, look):
    assert look.apply_async(("id",), ignore_result=True).get(timeout=SOON) is None
    ignoring = look.with_options(ignore_result=True)
    assert ignoring.delay("name").get(timeout=SOON) is None
    assert ignoring.apply_async(("name",), ignore_result=False).get(timeout=SOON) == "look"


def test_a_call_of_a_map_knows_its_group(shared_app, look):
    group = look.map(["group", "group_index"])
    assert group.get(timeout=SOON) == [group.id, "1"]
    assert look.delay("group").get(timeout=SOON) is None


def test_what_is_said_of_a_broker_that_does_not_answer_is_taken(shared_app, look):
    policy = {"max_retries": 3, "interval_start": 0}
    call = look.apply_async(None, None, retry=False, retry_policy=policy)
    assert call.get(timeout=SOON) == {}


REFUSED = {
    "serializer": ("json", "always pickled"),
    "exchange": ("x", "say queue="),
    "routing_key": ("x", "say queue="),
    "connection": (1, "make the task with another App"),
    "compression": ("zlib", "leave it out"),
    "chord": (1, r"say chord\(header\)\(body\)"),
    "retry": (3, "max_retries="),
    "retry_policy": ({"times": 3}, "retry_policy: .* is not a dict of"),
    "headers": ({"x": threading.Lock()}, "headers: .*as arguments"),
    "shadow": (5, "shadow: 5 is not a name"),
    "task_id": ("", "task_id: '' is not an id"),
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_means_nothing_here_says_what_to_use(look, option):
    value, said = REFUSED[option]
    with pytest.raises(ConfigError, match=said):
        look.apply_async((), **{option: value})


def test_a_map_has_no_id_of_the_callers(look):
    with pytest.raises(ConfigError, match="task_id: a map has one id"):
        look.map(["id"], task_id="x")


@pytest.fixture
def far_east(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_moment_of_another_zone_that_says_none_is_warned_of(shared_app, look, far_east):
    utc = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(seconds=5)
    with pytest.warns(UserWarning, match=r"says no time zone, so it is local time here, and 8.0 hours ago"):
        look.apply_async(eta=utc)
    with pytest.warns(UserWarning, match="no time zone"):
        look.apply_async(eta=(datetime.now() - timedelta(hours=3)).isoformat())  # noqa: DTZ005 - that is what is tested
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        look.apply_async(eta=datetime.now() - timedelta(minutes=10))  # noqa: DTZ005
        look.apply_async(eta=datetime.now(timezone.utc) - timedelta(hours=3))
