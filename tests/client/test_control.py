"""Workers are told something, and asked: with real workers, through ``app.control``."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from nbtasks import App, ConfigError, TimeLimitExceeded, WorkersError
from nbtasks.core.brief import brief


def hold(gate_path, value=None):
    """Task code: wait for the gate."""
    import time
    from pathlib import Path

    while not Path(gate_path).exists():
        time.sleep(0.01)
    return value


def nap(seconds):
    """Task code."""
    import time

    time.sleep(seconds)
    return seconds


@pytest.fixture(scope="module")
def told(run_folder):
    """An App with a worker of two children, for tests that change it and put it back."""
    with App("control", namespace="t-control") as app:
        app.start_workers(2, name="w1")
        yield app


def stats(app):
    """What the only worker says of itself."""
    (found,) = app.control.inspect().stats().values()
    return found


def test_a_ping_is_answered_by_name(told):
    assert told.control.ping() == [{"w1": {"ok": "pong"}}]
    inspect = told.control.inspect()
    assert inspect.ping() == {"w1": {"ok": "pong"}}
    assert inspect.silent == []


def test_what_runs_and_what_waits_is_told_with_names(told, gate, eventually):
    task = told.task(hold, name="pack.hold")
    handles = [task.delay(gate.path) for _ in range(2)]
    late = task.apply_async((gate.path,), countdown=600)
    inspect = told.control.inspect()

    def running():
        return {call["id"] for call in inspect.active()["w1"]}

    eventually(lambda: {one.id for one in handles} == running(), "both calls run")
    (one, *_) = inspect.active()["w1"]
    assert one["name"] == "pack.hold"
    assert one["hostname"] == "w1"
    assert one["acknowledged"]
    assert abs(one["time_start"] - time.time()) < 600
    assert one["worker_pid"] in stats(told)["pool"]["processes"]
    assert one["delivery_info"]["routing_key"] == "default"

    def scheduled():
        # Other tests of this worker may have left something.
        return {due["request"]["id"]: due for due in inspect.scheduled()["w1"]}

    due = scheduled()[late.id]
    assert due["eta"].endswith("+00:00")

    found = inspect.query_task(handles[0].id, "nobody")
    assert found["w1"][handles[0].id][0] == "active"
    assert "nobody" not in found["w1"]

    told.control.revoke(late.id)
    assert late.id not in scheduled()
    told.control.revoke([one.id for one in handles], terminate=True)
    eventually(lambda: inspect.active() == {"w1": []}, "both calls are stopped")
    assert inspect.revoked()["w1"]


class Secretive:
    def __repr__(self):
        raise RuntimeError("nobody may ask")


def test_what_calls_were_called_with_is_told_as_text(told, gate, eventually):
    async def in_loop(path, *, n):
        while not Path(path).exists():  # noqa: ASYNC110, ASYNC240 - another process opens the gate
            await asyncio.sleep(0.01)

    def alone(path, own, *, text):
        hold(path)

    looping, single = told.task(in_loop), told.task(alone)
    handles = [looping.delay(gate.path, n=n) for n in range(3)]
    handles.append(single.delay(gate.path, Secretive(), text="x" * 10_000))
    inspect = told.control.inspect()

    def texts():
        return {one["id"]: (one["args"], one["kwargs"]) for one in inspect.active()["w1"]}

    def all_told():
        found = texts()
        return len(found) == 4 and all(named for _, named in found.values()) and found

    found = eventually(all_told, "all of them are told")
    assert found[handles[1].id] == (brief((gate.path,)), "{'n': 1}")
    positional, named = found[handles[3].id]
    assert "<Secretive>" in positional
    assert len(named) < 300
    gate.open()
    told.control.revoke([one.id for one in handles], terminate=True)


def test_what_a_worker_is_can_be_asked(told):
    inspect = told.control.inspect()
    assert inspect.active_queues() == {"w1": [{"name": "default", "routing_key": "default"}]}
    assert inspect.conf()["w1"]["concurrency"] == 2
    assert "Python" in inspect.report()["w1"]["ok"]
    assert inspect.registered() == {"w1": []}
    said = stats(told)
    assert said["pool"]["max-concurrency"] == 2
    assert len(said["pool"]["processes"]) == 2


def test_a_pool_grows_and_shrinks(told, gate, eventually):
    task = told.task(hold)
    assert told.control.pool_grow(2) == [{"w1": {"ok": "pool will grow"}}]
    handles = [task.delay(gate.path, number) for number in range(4)]
    eventually(lambda: len(told.control.inspect().active()["w1"]) == 4, "four calls run at once")
    assert told.control.pool_shrink(2) == [{"w1": {"ok": "pool will shrink"}}]
    gate.open()
    assert [one.get(timeout=60) for one in handles] == [0, 1, 2, 3]
    eventually(lambda: len(stats(told)["pool"]["processes"]) == 2, "two children are left")
    assert stats(told)["pool"]["max-concurrency"] == 2


def test_the_last_child_stays_and_too_many_are_refused(told):
    (shrunk,) = told.control.pool_shrink(2)
    assert "one stays" in shrunk["w1"]["error"]
    (grown,) = told.control.pool_grow(1000)
    assert (
        "can have 34: what it was started with, and 32 more; start it with more (-c)" in grown["w1"]["error"]
    )
    (scaled,) = told.control.autoscale(1000, 1)
    assert "and 32 more; start it with --autoscale 1000,1" in scaled["w1"]["error"]
    assert stats(told)["pool"]["max-concurrency"] == 2


def test_a_worker_takes_one_more_queue_and_leaves_it(told, eventually):
    task = told.task(nap)
    assert told.control.add_consumer("extra") == [{"w1": {"ok": "add consumer 'extra'"}}]
    assert told.control.add_consumer("extra") == [{"w1": {"ok": "already consuming from 'extra'"}}]
    assert task.apply_async((0,), queue="extra").get(timeout=60) == 0
    before = set(stats(told)["pool"]["processes"])
    assert told.control.cancel_consumer("extra") == [{"w1": {"ok": "no longer consuming from 'extra'"}}]
    assert told.control.cancel_consumer("extra") == [{"w1": {"ok": "not consuming from 'extra'"}}]
    eventually(lambda: len(set(stats(told)["pool"]["processes"]) - before) == 2, "new children are there")
    left = task.apply_async((0,), queue="extra")
    assert task.delay(0).get(timeout=60) == 0
    assert not left.ready()
    told.control.add_consumer("extra")
    assert left.get(timeout=60) == 0
    told.control.cancel_consumer("extra")


def test_a_worker_without_queues_rests_and_goes_on(told, eventually):
    task = told.task(nap)
    told.control.cancel_consumer("default")
    eventually(lambda: stats(told)["pool"]["processes"] == [], "no child is left")
    handle = task.delay(0)
    assert told.control.ping() == [{"w1": {"ok": "pong"}}]
    told.control.add_consumer("default")
    assert handle.get(timeout=60) == 0


def test_limits_of_a_task_are_set_for_workers_that_are_there_and_to_come(told, gate):
    task = told.task(hold, name="pack.limited")
    assert told.control.time_limit("pack.limited", hard=0.5) == [
        {"w1": {"ok": "time limits set successfully"}}
    ]
    with pytest.raises(TimeLimitExceeded):
        task.delay(gate.path).get(timeout=60)
    with App("later", namespace="t-control") as later:
        told.control.cancel_consumer("default")
        later.start_workers(1, name="w2")
        with pytest.raises(TimeLimitExceeded):
            task.delay(gate.path).get(timeout=60)
        told.control.add_consumer("default", destination=["w1"])
        assert told.control.time_limit(task, None, None)[1]["w2"]["ok"]
    gate.open()
    assert task.delay(gate.path).get(timeout=60) is None


def test_a_rate_is_set_while_workers_run(told, eventually):
    task = told.task(nap, name="pack.rated")
    assert told.control.rate_limit("pack.rated", "1/h") == [{"w1": {"ok": "new rate limit set successfully"}}]
    handles = [task.delay(0) for _ in range(3)]
    eventually(lambda: any(one.ready() for one in handles), "one may start")
    assert sum(one.ready() for one in handles) == 1
    waiting = next(one for one in handles if not one.ready())
    assert "1/h" in eventually(waiting.why_pending, "it is said why")
    told.control.rate_limit("pack.rated", 0)
    for one in handles:
        one.revoke()


def test_children_are_replaced(told, eventually):
    before = set(stats(told)["pool"]["processes"])
    assert told.control.pool_restart() == [{"w1": {"ok": "reload started"}}]

    def others():
        now = set(stats(told)["pool"]["processes"])
        return len(now) == 2 and not now & before

    eventually(others, "both are new")
    with pytest.raises(ConfigError, match="restart the worker"):
        told.control.pool_restart(modules=["proj"])


def test_a_worker_has_as_many_children_as_it_has_work_for(told, gate, eventually):
    task = told.task(hold)
    assert told.control.autoscale(4, 2) == [{"w1": {"ok": "autoscale now max=4 min=2"}}]
    handles = [task.delay(gate.path) for _ in range(6)]
    eventually(lambda: stats(told)["pool"]["max-concurrency"] == 4, "it has grown to the most")
    (refused,) = told.control.pool_grow(1)
    assert "autoscale" in refused["w1"]["error"]
    gate.open()
    for one in handles:
        one.get(timeout=60)
    told.control.autoscale(2, 2)
    eventually(lambda: len(stats(told)["pool"]["processes"]) == 2, "it is within the new bounds")


@pytest.mark.long
def test_children_go_that_have_nothing_to_do(told, gate, eventually):
    task = told.task(hold)
    told.control.autoscale(3, 2)
    handles = [task.delay(gate.path) for _ in range(3)]
    eventually(lambda: stats(told)["pool"]["max-concurrency"] == 3, "it has grown")
    gate.open()
    for one in handles:
        one.get(timeout=60)
    eventually(lambda: stats(told)["pool"]["max-concurrency"] == 2, "it has shrunk", within=120)


def test_workers_are_chosen_by_name_and_pattern(told):
    control = told.control
    assert control.ping(destination="w1") == control.ping(["w1"]) == [{"w1": {"ok": "pong"}}]
    assert control.inspect(pattern="w*").ping() == {"w1": {"ok": "pong"}}
    assert control.inspect(pattern="x*").ping() is None
    assert control.inspect(pattern="w[0-9]$", matcher="pcre").ping() == {"w1": {"ok": "pong"}}
    with pytest.raises(WorkersError, match="did you mean 'w1'"):
        control.ping(["w11"])
    # A question is answered by those who are there, and who is not is named; an order is given to all or to none.
    inspect = control.inspect(["w1", "gone", "gone"])
    assert inspect.ping() == {"w1": {"ok": "pong"}}
    assert inspect.silent == inspect.absent == ["gone"]
    assert set(inspect.active()) == {"w1"}
    assert inspect.silent == ["gone"]
    with pytest.raises(WorkersError, match="no worker 'gone' is there; there are w1"):
        control.pool_grow(1, ["w1", "gone"])
    with pytest.raises(ConfigError, match="no regular expression"):
        control.inspect(pattern="(", matcher="pcre").ping()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda control: control.pool_grow(0), "number of children"),
        (lambda control: control.autoscale(2, 5), "less than min"),
        (lambda control: control.add_consumer("a b"), "not a queue name"),
        (lambda control: control.add_consumer("q", exchange="x"), "no exchanges"),
        (lambda control: control.rate_limit("t", "often"), "not a rate"),
        (lambda control: control.time_limit("t", soft=5, hard=2), "not less than"),
        (lambda control: control.rate_limit(3, "1/s"), "not the name of a task"),
        (lambda control: control.enable_events(), "always on"),
        (lambda control: control.broadcast("nothing"), "no command"),
        (lambda control: control.broadcast(5), "no command 5"),
        (lambda control: control.broadcast("ping", arguments=5), "no dict"),
        (
            lambda control: control.inspect(destination=5).ping(),
            "destination: 5 is neither the name of a worker",
        ),
        (lambda control: control.inspect(pattern=5).ping(), "pattern: 5 is no text"),
        (lambda control: control.inspect(limit="a"), "limit: 'a' is no number"),
        (lambda control: control.inspect(limit=0), "limit: 0 is no number"),
        (lambda control: control.inspect(callback=5), "callback: 5 is no function"),
        (lambda control: control.inspect().query_task(5), "5 is no id of a call"),
        (lambda control: control.inspect().query_task(), "name the ids"),
        (lambda control: control.inspect().memdump(), "no meaning here"),
        (lambda control: control.revoke(5), "5 is no id of a call"),
        (lambda control: control.revoke(None), "None is no id of a call"),
        (lambda control: control.pool_grow(1, distination=["w1"]), "did you mean 'destination'"),
        (lambda control: control.pool_grow(1, connection=None), "'connection' is none of its options"),
        (lambda control: control.ping(limi=1), "did you mean 'limit'"),
    ],
)
def test_wrong_orders_are_refused_where_they_are_given(told, wrong, says):
    with pytest.raises(ConfigError, match=says):
        wrong(told.control)


def test_calls_are_named_by_their_handles_too(told, gate, eventually):
    running = told.task(hold).delay(gate.path)
    inspect = told.control.inspect()
    eventually(lambda: running.id in inspect.query_task(running)["w1"], "it runs")
    assert told.control.broadcast("query_task", {"ids": running.id})[0]["w1"].keys() == {running.id}
    told.control.revoke([running], terminate=True)
    eventually(lambda: running.state == "REVOKED", "it is stopped")
    assert told.control.broadcast("active_queues") == [{"w1": inspect.active_queues()["w1"]}]


def test_calls_are_named_as_their_handles_are(told, gate, eventually):
    task = told.task(hold)
    own, group = task.apply_async((gate.path,), task_id="my own"), task.map([gate.path])
    inspect = told.control.inspect()
    eventually(lambda: len(inspect.active()["w1"]) == 2, "they run")
    assert inspect.query_task(own)["w1"].keys() == {"my own"}
    # The id of a map means its calls.
    assert inspect.query_task(group)["w1"].keys() == {group[0].id}
    assert inspect.query_task(group.id, "nobody")["w1"].keys() == {group[0].id}
    told.control.revoke([own, group[0]], terminate=True)
    eventually(lambda: {"my own", group[0].id} <= set(inspect.revoked()["w1"]), "they are told to stop")


def test_a_word_that_is_mistyped_is_told_which_is_meant(told):
    with pytest.raises(AttributeError, match="control has no 'pool_gro'; did you mean 'pool_grow'"):
        told.control.pool_gro(1)
    with pytest.raises(AttributeError, match="did you mean 'active'"):
        told.control.inspect().activ()
    with pytest.raises(AttributeError, match=r"control has no 'nonsense'$"):
        told.control.nonsense()


def test_who_is_silent_is_named(home, eventually):
    with App("silent") as app, App("two") as other:
        app.start_workers(1, name="well")
        other.start_workers(1, name="frozen")
        eventually(lambda: len(app.control.ping()) == 2, "both are there")
        pid = other.local_workers.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            # Where the machine is busy, a worker that is well may need more time than one that is not.
            inspect = app.control.inspect(timeout=1)
            eventually(lambda: inspect.ping() == {"well": {"ok": "pong"}}, "the other one answers")
            assert inspect.silent == ["frozen"]
            said = {
                name: answer for one in app.control.pool_grow(1, timeout=1) for name, answer in one.items()
            }
            assert "no answer" in said["frozen"]["error"]
            assert "frozen" not in said["well"]
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: app.control.inspect().ping().keys() == {"well", "frozen"}, "it answers again")


def test_workers_are_ended(home, eventually):
    with App("ends") as app:
        app.start_workers(1, keep=True, name="w1")
        assert app.control.shutdown() == [{"w1": {"ok": "shutting down"}}]
        eventually(lambda: not app.control.ping(), "it has gone")
        assert app.control.inspect().ping() is None


def test_an_app_without_workers_says_so():
    from concurrent.futures import ThreadPoolExecutor

    with (
        ThreadPoolExecutor(1) as pool,
        App(engine=pool) as app,
        pytest.raises(ConfigError, match="no workers"),
    ):
        app.control.ping()


def test_calls_are_counted_by_task_and_end(app, eventually):
    def fail(n):
        raise ValueError(n)

    app.task(nap, name="pack.nap").map([0] * 30).get(60)
    app.task(fail, name="pack.fail").map(range(3)).get(60, propagate=False)
    wanted = {"pack.nap": {"succeeded": 30}, "pack.fail": {"failed": 3}}
    eventually(lambda: stats(app).get("ends") == wanted, "all calls are counted")
    assert stats(app)["total"] == {"pack.nap": 30, "pack.fail": 3}
    # What has died has counted, too.
    for pid in stats(app)["pool"]["processes"]:
        os.kill(pid, signal.SIGKILL)
    app.task(nap, name="pack.nap").delay(0).get(60)
    wanted["pack.nap"]["succeeded"] = 31
    eventually(lambda: stats(app)["ends"] == wanted, "those of dead children are counted")
