"""A task with a rate limit: its calls start no faster over all workers, and hold up nothing while they wait."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import redis

from nbtasks import App, TaskRevokedError

SOON = 60.0
#: Seconds of the limit that may start at once; see docs/guarantees.md.
BURST_S = 0.1


def note(ledger, index):
    """Task code: write down which call starts, in which process, when."""
    with Path(ledger).open("a") as file:
        file.write(f"{index}:{os.getpid()}:{time.time():.6f}\n")
    return index


async def note_async(ledger, index):
    """The same as a coroutine."""
    return note(ledger, index)


def attempt_of(ledger, index):
    """Task code: say that it runs, and which attempt this is."""
    from nbtasks import current_call

    note(ledger, index)
    return current_call().attempt


def fails_once(ledger, index):
    """Task code: fail the first time."""
    note(ledger, index)
    if sum(line.startswith(f"{index}:") for line in Path(ledger).read_text().split()) == 1:
        raise OSError("for now")
    return "in the end"


def held(ledger, index, gate):
    """Task code: say that it runs, then wait at a gate."""
    note(ledger, index)
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return index


def starts(ledger):
    """When calls started, in order."""
    return sorted(float(line.split(":")[2]) for line in ledger.lines())


def check_rate(ledger, rate, slots):
    """No window holds more starts than the rate allows; a process may be held up between permit and start."""
    times = starts(ledger)
    for span in (0.5, 1.0, 2.0):
        most = max(sum(begin <= at < begin + span for at in times) for begin in times)
        assert most <= rate * (span + BURST_S) + 1 + slots, f"{most} starts in {span:g} s"


@pytest.fixture
def delayed(idle_app):
    """``delayed()`` returns how many entries wait in the server for a moment to come."""
    with redis.Redis.from_url(idle_app.connection.url) as raw:
        yield lambda: sum(map(raw.zcard, raw.scan_iter(f"{idle_app.session.line.keys.root}z:*")))


def slow_map(app, ledger, n=10, **options):
    """A map of a task of which one call may start, and the next one in twelve minutes."""
    return app.task(note, rate_limit="5/h").starmap([(ledger.path, i) for i in range(n)], **options)


# --- the limit


@pytest.mark.parametrize(
    ("function", "rate", "how", "slots"),
    [
        pytest.param(note, 10, {"n": 2}, 2, id="prefork", marks=pytest.mark.long),
        pytest.param(note, 100, {"n": 2}, 2, id="prefork, many"),
        pytest.param(note, 100, {"n": 1, "pool": "solo"}, 1, id="solo", marks=pytest.mark.long),
        pytest.param(note, 30, {"n": 2, "pool": "threads", "threads": 4}, 8, id="threads"),
        pytest.param(note_async, 30, {"n": 2}, 8, id="coroutines", marks=pytest.mark.long),
    ],
)
def test_no_more_starts_than_allowed(idle_app, ledger, function, rate, how, slots):
    idle_app.start_workers(**how)
    n = max(20, rate * 2)
    group = idle_app.task(function, rate_limit=f"{rate}/s").starmap([(ledger.path, i) for i in range(n)])
    assert group.get(timeout=SOON) == list(range(n))
    assert sorted(int(line.partition(":")[0]) for line in ledger.lines()) == list(range(n))
    check_rate(ledger, rate, slots)


@pytest.mark.long
def test_calls_one_by_one(idle_app, ledger):
    idle_app.start_workers(2)
    task = idle_app.task(note, rate_limit="20/s")
    handles = []
    for index in range(40):
        handles.append(task.delay(ledger.path, index))
        idle_app.session.flush()  # so that each goes on its own
    assert [handle.get(timeout=SOON) for handle in handles] == list(range(40))
    check_rate(ledger, 20, 2)


def test_workers_share_it(idle_app, ledger, worker):
    worker(), worker()
    task = idle_app.task(note, rate_limit="20/s")
    group = task.starmap([(ledger.path, i) for i in range(60)], chunk=1)
    assert group.get(timeout=SOON) == list(range(60))
    check_rate(ledger, 20, 2)
    assert len({line.split(":")[1] for line in ledger.lines()}) == 2


def test_tasks_of_one_name_share_it_and_others_do_not(idle_app, ledger, eventually):
    idle_app.start_workers(1)
    assert idle_app.task(note, name="fetch", rate_limit="5/h").delay(ledger.path, 0).get(timeout=SOON) == 0
    with App(connection=idle_app.connection) as other:
        same = other.task(note, name="fetch", rate_limit="5/h").delay(ledger.path, 1)
        another = other.task(note, name="parse", rate_limit="5/h").delay(ledger.path, 2)
        assert another.get(timeout=SOON) == 2
        eventually(lambda: "rate-limited" in (same.why_pending() or ""), "it waits for the first one's limit")
        assert len(ledger.lines()) == 2
        same.revoke()


def test_every_attempt_counts(idle_app, ledger, eventually):
    idle_app.start_workers(1)
    task = idle_app.task(fails_once, rate_limit="5/h", retries=1, default_retry_delay=0.01)
    handle = task.delay(ledger.path, 0)
    eventually(lambda: "rate-limited" in (handle.why_pending() or ""), "the retry waits")
    assert len(ledger.lines()) == 1
    handle.revoke()
    brisk = task.with_options(rate_limit="20/s").delay(ledger.path, 1)
    assert brisk.get(timeout=SOON) == "in the end"


def test_waiting_is_no_attempt(idle_app, ledger):
    idle_app.start_workers(2)
    task = idle_app.task(attempt_of, rate_limit="20/s")
    assert task.starmap([(ledger.path, i) for i in range(20)]).get(timeout=SOON) == [1] * 20


def test_no_limit(idle_app):
    idle_app.start_workers(1)
    for none in (None, 0, "0/m"):
        task = idle_app.task(abs, rate_limit="5/h").with_options(rate_limit=none)
        assert task.map(range(100)).get(timeout=SOON) == list(range(100))


# --- what waits holds up nothing


def test_other_tasks_go_on_meanwhile(idle_app, ledger, eventually):
    idle_app.start_workers(1)
    limited = slow_map(idle_app, ledger, n=100)
    eventually(ledger.lines, "the first one has started")
    assert idle_app.task(abs).map(range(500)).get(timeout=SOON) == list(range(500))
    assert not limited.ready()
    assert len(ledger.lines()) == 1
    limited.revoke()


def test_a_worker_is_stopped(idle_app, ledger, worker, eventually, delayed):
    group = slow_map(idle_app, ledger)
    first = worker()
    eventually(lambda: group.batch.finished_count == 1 and delayed(), "the others wait", within=SOON)
    first.send_signal(signal.SIGTERM)
    assert first.wait(SOON) == 0
    assert "rate-limited to 5/h" in group.why_pending()
    group.revoke()


@pytest.mark.long
def test_a_worker_is_stopped_between_two_starts(idle_app, ledger, worker, eventually):
    task = idle_app.task(note, rate_limit="50/s")
    group = task.starmap([(ledger.path, i) for i in range(100)], chunk=100)
    first = worker()
    eventually(lambda: len(ledger.lines()) > 20, "it is at work", within=SOON)
    first.send_signal(signal.SIGTERM)
    assert first.wait(SOON) == 0
    worker()
    assert group.get(timeout=SOON) == list(range(100))
    assert len(ledger.lines()) == 100
    check_rate(ledger, 50, 2)


# --- ends


def test_revoked_while_they_wait(idle_app, ledger, eventually, delayed):
    idle_app.start_workers(1)
    group = slow_map(idle_app, ledger)
    eventually(lambda: group.batch.finished_count == 1 and delayed(), "the others wait")
    group[7].revoke()
    assert group[7].state == "REVOKED"
    assert group[8].state == "PENDING"
    group.revoke()
    assert group.ready()
    assert group.batch.counts()["REVOKED"] == 9
    eventually(lambda: not delayed(), "nothing is left of them")
    assert len(ledger.lines()) == 1


def test_a_revoked_one_needs_no_permit(idle_app, ledger, eventually):
    """And those behind it do not wait for its turn."""
    idle_app.start_workers(1)
    task = idle_app.task(note, rate_limit="2/s")
    group = task.starmap([(ledger.path, i) for i in range(8)], chunk=1)
    eventually(ledger.lines, "the first one has started")
    for index in range(1, 7):
        group[index].revoke()
    assert group[7].get(timeout=SOON) == 7
    assert len(ledger.lines()) <= 3  # one may have started before it was revoked


def test_expired_while_they_wait(idle_app, ledger, delayed, eventually):
    idle_app.start_workers(1)
    assert slow_map(idle_app, ledger, n=1).get(timeout=SOON) == [0]
    group = slow_map(idle_app, ledger, n=2, expires=3)
    with pytest.raises(TaskRevokedError, match="the rate limit of 5/h did not let it start before its time"):
        group[1].get(timeout=SOON)
    eventually(lambda: not delayed(), "nothing is left of them")


# --- deaths


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_children_are_killed(idle_app, ledger, children, eventually):
    idle_app.start_workers(2)
    (info,) = idle_app.workers()
    task = idle_app.task(note, rate_limit="40/s")
    group = task.starmap([(ledger.path, i) for i in range(100)])
    for done in (10, 30, 50):
        eventually(lambda done=done: len(ledger.lines()) > done, "some have started")
        for pid in children(info.pid):
            os.kill(pid, signal.SIGKILL)
    assert group.get(timeout=SOON) == list(range(100))
    check_rate(ledger, 40, 4)


@pytest.mark.long
def test_a_worker_is_killed(idle_app, ledger, worker, eventually):
    task = idle_app.task(note, rate_limit="40/s")
    group = task.starmap([(ledger.path, i) for i in range(100)])
    first = worker()
    eventually(lambda: len(ledger.lines()) > 20, "some have started", within=SOON)
    os.killpg(first.pid, signal.SIGKILL)
    worker()
    assert group.get(timeout=SOON) == list(range(100))
    check_rate(ledger, 40, 2)


@pytest.mark.parametrize("how", ["kill -9", pytest.param("flushall", marks=pytest.mark.long)])
def test_the_server_forgets(idle_app, ledger, eventually, how):
    """What it had put aside goes with it, and so does the limit; whoever has submitted the calls sends them again."""
    idle_app.start_workers(2)
    task = idle_app.task(note, rate_limit="40/s")
    group = task.starmap([(ledger.path, i) for i in range(80)])
    eventually(lambda: len(ledger.lines()) > 20, "some have started")
    with redis.Redis.from_url(idle_app.connection.url) as raw:
        if how == "flushall":
            raw.flushall()
        else:
            os.kill(raw.info("server")["process_id"], signal.SIGKILL)
    assert group.get(timeout=SOON) == list(range(80))


# --- what is said


def test_why_it_waits(idle_app, ledger, gate, eventually, delayed):
    idle_app.start_workers(1)
    group = slow_map(idle_app, ledger)
    handle = idle_app.task(note, rate_limit="5/h").delay(ledger.path, 10)
    eventually(lambda: group.batch.finished_count == 1 and delayed() > 1, "the others wait")
    eventually(lambda: "rate-limited" in (handle.why_pending() or ""), "it waits as well")
    why = group.why_pending()
    assert why.startswith(
        f"rate-limited to 5/h (task {__name__}.note), over all workers: the next call may start at "
    )
    assert why.endswith(", about 10 calls wait; wait, or give the task another rate_limit and submit anew")
    assert group.batch.why_pending() == group[5].why_pending() == handle.why_pending() == why
    assert group[0].why_pending() is None
    with pytest.raises(TimeoutError, match="PENDING: rate-limited to 5/h"):
        group[5].get(timeout=0.01)
    with App(connection=idle_app.connection) as other:
        (again,) = other.attach(group.id)
        assert again.why_pending().startswith(f"rate-limited to 5/h (task {__name__}.note), over all")
        again.revoke()
    eventually(lambda: delayed() == 1, "who has attached it can revoke it, too")
    handle.revoke()


def test_why_it_waits_while_another_one_runs(idle_app, ledger, gate, eventually):
    idle_app.start_workers(2)
    task = idle_app.task(held, rate_limit="1/m")
    group = task.starmap([(ledger.path, i, gate.path) for i in range(2)], chunk=1)
    eventually(lambda: group.batch.running, "one runs")
    eventually(lambda: "about" not in (group.why_pending() or "about"), "the other one waits")
    assert ", 1 call waits; wait" in group.why_pending()
    runs, waits = (group[0], group[1]) if 0 in group.batch.running else (group[1], group[0])
    assert runs.why_pending() is None
    assert "rate-limited to 1/m" in waits.why_pending()
    gate.open()
    group.revoke()
