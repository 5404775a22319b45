"""Workers as a whole: converging, replacing their children, stopping, the way they are started, other pools."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nbtasks import App, SoftTimeLimitExceeded, WouldDeadlock, current_call

SOON = 60.0


def get(handle, **how):
    """Wait for a result."""
    return handle.get(timeout=SOON, **how)


def note(path, text):
    """Task code: write into a ledger."""
    with Path(path).open("a") as file:
        file.write(f"{text}\n")


def wait_at(path):
    """Task code: wait until a gate is open."""
    end = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return os.getpid()


def held(ledger, gate):
    """Task code: say that it runs, then wait."""
    note(ledger, os.getpid())
    return wait_at(gate)


class Worker:
    """``python -m nbtasks.worker``, started as local workers start it."""

    def __init__(self, first_line: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nbtasks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(first_line)
            self.process.stdin.flush()

    def answer(self) -> dict:
        """What it says about itself: one line of JSON."""
        return json.loads(self.process.stdout.readline())

    def end(self) -> str:
        """Close the life line; returns what it has written to standard error."""
        self.process.stdin.close()
        self.process.stdin = None
        return self.process.communicate(timeout=30)[1]


@pytest.fixture
def worker():
    """``worker(app, **options)`` or ``worker("a first line")`` starts one more worker by hand."""
    started = []

    def start(app, **options):
        line = app
        if isinstance(app, App):
            settings = {"concurrency": 1, "queues": ["default"], **options}
            line = json.dumps({"connection": app.connection.to_json(), "options": settings}) + "\n"
        started.append(Worker(line))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


# --- a few, and again


def test_starting_workers_again_changes_nothing(app):
    before = app.local_workers.pid
    app.start_workers(2)
    assert app.local_workers.pid == before


def test_workers_converge_to_another_number(app, eventually):
    app.start_workers(1)
    eventually(lambda: [info.concurrency for info in app.workers()] == [1], "one child")
    assert get(app.task(abs).map(range(10))) == list(range(10))


def test_the_list_of_workers(app, gate, ledger, eventually):
    app.start_workers(2, name="me", queues=("default", "io"))
    (info,) = eventually(lambda: [info for info in app.workers() if info.name == "me"])
    assert (info.queues, info.pool, info.concurrency, info.slots_total) == (
        ("default", "io"),
        "prefork",
        2,
        2,
    )
    assert info.pid == app.local_workers.pid
    assert info.python == ".".join(map(str, sys.version_info[:3]))
    assert info.key_id == app.session.keyring.id
    assert info.matches
    assert info.problem is None
    assert info.rss_bytes > 10_000_000
    assert info.started_at <= info.seen_at <= time.time() + 1


def test_a_stopped_worker_is_off_the_list(app):
    assert len(app.workers()) == 1
    app.stop_workers()
    assert app.workers() == []
    assert not app.local_workers.running


def test_environment_for_the_workers(idle_app):
    idle_app.start_workers(1, env={"ANSWER": "42"})
    assert get(idle_app.task(lambda name: os.environ[name]).delay("ANSWER")) == "42"


def test_modules_that_workers_import_at_their_start(home):
    with App(include=["colorsys"]) as app:
        app.start_workers(1)
        assert get(app.task(lambda: "colorsys" in sys.modules).delay()) is True


# --- children that are replaced


def test_a_child_is_replaced_after_so_many_calls(idle_app):
    idle_app.start_workers(1, max_tasks_per_child=3)
    pids = get(idle_app.task(lambda _: os.getpid()).map(range(9), chunk=9))
    assert len(set(pids)) == 3
    assert all(pids.count(pid) == 3 for pid in pids)


def test_a_child_that_has_grown_is_replaced(idle_app):
    idle_app.start_workers(1, max_memory_per_child=150_000)

    @idle_app.task
    def grow(megabytes):
        import ctypes

        # A leak, as C code has them: what is kept in Python may be put back before memory is looked at.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(b"x" * (megabytes * 2**20)))
        return os.getpid()

    small, big, after = (get(grow.delay(size)) for size in (1, 200, 1))
    assert small == big != after


# --- stopping


def test_a_warm_stop_lets_the_running_call_end_and_gives_the_queued_ones_to_others(
    app, worker, ledger, gate, eventually
):
    app.stop_workers()
    one = worker(app)
    assert one.answer()["ready"] is True
    group = app.task(held).starmap([(ledger.path, gate.path)] * 6, chunk=6)
    eventually(lambda: len(ledger.lines()) == 1, "the first call runs")
    one.process.terminate()
    app.start_workers(1)
    eventually(lambda: len(ledger.lines()) == 2, "another worker has taken a queued call")
    assert one.process.poll() is None
    gate.open()
    pids = get(group)
    assert one.process.wait(SOON) == 0
    assert pids.count(int(ledger.lines()[0])) == 1
    assert len(ledger.lines()) == 6


def test_a_cold_stop_gives_the_running_call_to_others(app, worker, ledger, gate, eventually):
    app.stop_workers()
    one = worker(app)
    one.answer()
    handle = app.task(held).delay(ledger.path, gate.path)
    eventually(ledger.lines, "the call runs")
    one.process.send_signal(signal.SIGQUIT)
    assert one.process.wait(SOON) == 0
    gate.open()
    app.start_workers(1)
    get(handle)
    assert len(ledger.lines()) == 2


def test_a_second_term_is_cold(app, worker, ledger, gate, eventually):
    app.stop_workers()
    one = worker(app)
    one.answer()
    app.task(held).delay(ledger.path, gate.path)
    eventually(ledger.lines, "the call runs")
    one.process.terminate()
    app.session.flush()
    eventually(
        lambda: one.process.send_signal(signal.SIGTERM) or one.process.poll() is not None, "it has stopped"
    )


def test_the_end_of_the_life_line_stops_a_worker(app, worker, ledger, gate, eventually):
    app.stop_workers()
    one = worker(app)
    one.answer()
    app.task(held).delay(ledger.path, gate.path)
    eventually(ledger.lines, "the call runs")
    assert "the process that started this worker is gone" in one.end()


# --- the way a worker is started


def test_no_settings(worker):
    one = worker("")
    assert "no settings on standard input" in one.end()
    assert one.process.returncode == 1


@pytest.mark.parametrize("line", ["not JSON\n", "{}\n", '{"connection": {}, "options": {}}\n'])
def test_broken_settings_end_the_worker(worker, line):
    one = worker(line)
    one.end()
    assert one.process.returncode == 1


def test_an_unreachable_broker_is_answered(worker, idle_app):
    connection = {**idle_app.connection.to_json(), "url": "redis://127.0.0.1:1/0"}
    one = worker(
        json.dumps({"connection": connection, "options": {"concurrency": 1, "queues": ["default"]}}) + "\n"
    )
    answer = one.answer()
    assert "127.0.0.1:1" in answer["error"]
    assert "cannot be reached" in answer["error"]
    one.end()
    assert one.process.returncode == 1


def test_what_a_task_prints_does_not_reach_the_answer(app, worker):
    app.stop_workers()
    one = worker(app)
    one.answer()
    handle = app.task(lambda: print("hello") or os.system("echo shell")).delay()
    get(handle)
    one.process.terminate()
    assert one.process.communicate(timeout=30)[0] == ""
    assert handle.stdout == "hello\nshell\n"


def test_the_key_is_not_in_the_command_line(app):
    command = Path(f"/proc/{app.local_workers.pid}/cmdline").read_text()
    assert app.connection.to_json()["keys"][0] not in command


# --- queues


def test_a_worker_takes_calls_of_its_queues_only(app, ledger, eventually):
    app.start_workers(1, queues=("io", "gpu"))
    note_task = app.task(note)
    on_default = note_task.delay(ledger.path, "default")
    get(note_task.apply_async((ledger.path, "io"), queue="io"))
    get(note_task.with_options(queue="gpu").delay(ledger.path, "gpu"))
    assert sorted(ledger.lines()) == ["gpu", "io"]
    reason = "no worker listens on queue 'default': %workers start"
    eventually(lambda: on_default.why_pending() == reason, "the worker that listened there has left")
    app.start_workers(1)
    get(on_default)


def test_why_a_call_waits(app, gate, ledger, eventually):
    handle = app.task(len).apply_async(("a",), queue="io")
    assert handle.why_pending() == "no worker listens on queue 'io': %workers start -q io"
    holding = app.task(held).starmap([(ledger.path, gate.path)] * 2, chunk=1)
    eventually(lambda: len(ledger.lines()) == 2, "both workers are busy")
    waiting = app.task(len).delay("a")
    eventually(lambda: "all 2 slots are busy" in (waiting.why_pending() or ""), "the list shows it")
    gate.open()
    get(holding)
    assert get(waiting) == 1


def test_a_call_whose_worker_has_gone_waits_again_and_can_be_revoked(app, gate, ledger, eventually):
    handle = app.task(held).delay(ledger.path, gate.path)
    eventually(lambda: ledger.lines() and handle.state == "STARTED", "it runs")
    assert handle.why_pending() is None
    app.stop_workers(cold=True)
    assert handle.why_pending() == "no worker listens on queue 'default': %workers start"
    handle.revoke()
    assert handle.state == "REVOKED"
    app.start_workers(1)
    assert get(app.task(len).delay("ab")) == 2
    assert len(ledger.lines()) == 1


def test_calls_submitted_before_the_first_worker_are_run(idle_app):
    group = idle_app.task(abs).map(range(10))
    assert group.why_pending() == "no worker listens on queue 'default': %workers start"
    idle_app.start_workers(1)
    assert get(group) == list(range(10))


def test_a_worker_with_another_key_takes_nothing_and_the_reason_is_told(app, worker):
    from nbtasks.wire.signing import encode_key, new_key

    app.stop_workers()
    connection = {**app.connection.to_json(), "keys": [encode_key(new_key())]}
    settings = {"concurrency": 1, "queues": ["default"], "name": "stranger"}
    one = worker(json.dumps({"connection": connection, "options": settings}) + "\n")
    assert one.answer()["ready"] is True
    handle = app.task(len).delay("ab")
    assert "stranger has another key" in handle.why_pending()
    (info,) = app.workers()
    assert not info.matches
    one.process.terminate()
    one.process.wait(SOON)
    app.start_workers(1)
    assert get(handle) == 2


# --- other pools


def test_threads_run_side_by_side_in_one_process(idle_app):
    idle_app.start_workers(1, pool="threads", threads=8)

    @idle_app.task
    def meet(folder, x):
        Path(folder, f"in-{x}").touch()
        end = time.monotonic() + 20
        while len(list(Path(folder).glob("in-*"))) < 8 and time.monotonic() < end:
            time.sleep(0.005)
        print("call", x)
        return os.getpid(), current_call().index, len(list(Path(folder).glob("in-*")))

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        group = meet.starmap([(folder, x) for x in range(8)])
        found = get(group)
    assert len({pid for pid, _, _ in found}) == 1
    assert [index for _, index, _ in found] == list(range(8))
    assert {seen for _, _, seen in found} == {8}
    assert [handle.stdout for handle in group] == [f"call {x}\n" for x in range(8)]


def test_a_thread_is_stopped_between_two_steps(idle_app, ledger, eventually):
    idle_app.start_workers(1, pool="threads", threads=4)

    @idle_app.task
    def spin(path):
        note(path, "in")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)

    handle = spin.delay(ledger.path)
    eventually(ledger.lines)
    handle.revoke(terminate=True)
    with pytest.raises(Exception, match="revoked"):
        get(handle)
    eventually(lambda: [info.slots_busy for info in idle_app.workers()] == [0], "the thread is free again")
    from nbtasks import TimeLimitExceeded

    with pytest.raises(TimeLimitExceeded):
        get(spin.apply_async((ledger.path,), time_limit=0.2))
    assert get(idle_app.task(abs).map(range(100))) == list(range(100))


def test_a_soft_limit_in_a_thread_can_be_caught_and_is_told(idle_app):
    idle_app.start_workers(1, pool="threads", threads=4)

    @idle_app.task(soft_time_limit=0.2)
    def steps(tidy):
        try:
            for _ in range(6000):
                time.sleep(0.01)
        except SoftTimeLimitExceeded:
            if tidy:
                return "cleaned up"
            raise

    assert get(steps.delay(True)) == "cleaned up"
    with pytest.raises(SoftTimeLimitExceeded, match="has reached its soft time limit"):
        get(steps.delay(False))
    assert get(idle_app.task(abs).map(range(100))) == list(range(100))


def test_a_stop_in_a_thread_never_hits_the_next_call(idle_app, eventually):
    idle_app.start_workers(1, pool="threads", threads=4)

    @idle_app.task
    def steps(x):
        for _ in range(10):
            time.sleep(0.0005)
        return x

    group = steps.map(range(100), chunk=1)
    handles = list(group)
    doomed = handles[::2]
    for handle in doomed:
        # About when it runs: some are stopped before, some in between, some too late.
        eventually(lambda: sum(one.ready() for one in handles) >= handle.index - 6, within=60)  # noqa: B023
        handle.revoke(terminate=True)
    group.until_ready(60)
    assert [handle.get() for handle in handles[1::2]] == list(range(1, 100, 2))
    assert {handle.state for handle in doomed} <= {"SUCCESS", "REVOKED"}
    eventually(lambda: [info.slots_busy for info in idle_app.workers()] == [0], "no thread is lost")
    assert get(steps.map(range(20))) == list(range(20))


def test_solo_is_one_child(idle_app):
    idle_app.start_workers(4, pool="solo")
    assert len(set(get(idle_app.task(lambda _: os.getpid()).map(range(20), chunk=1)))) == 1


def test_a_hundred_coroutines_at_once_in_one_child(idle_app, tmp_path):
    idle_app.start_workers(1)

    @idle_app.task
    async def meet(x):
        import builtins

        arrived, all_here = builtins.__dict__.setdefault("meeting", (set(), asyncio.Event()))
        arrived.add(x)
        if len(arrived) == 100:
            all_here.set()
        await asyncio.wait_for(all_here.wait(), 20)
        return len(arrived)

    assert get(meet.map(range(100))) == [100] * 100


# --- waiting inside a task


def test_waiting_for_a_call_that_could_never_start_is_refused(idle_app):
    idle_app.start_workers(1)
    inner = idle_app.task(lambda x: x)

    @idle_app.task
    def outer(x):
        return inner.delay(x).get(timeout=60)

    with pytest.raises(WouldDeadlock, match=r"no other slot of queue 'default' is left") as caught:
        get(outer.delay(1))
    assert "Start more workers" in str(caught.value)


def test_what_a_task_submits_survives_its_process(idle_app, ledger, eventually):
    idle_app.start_workers(2, max_tasks_per_child=1)
    small = idle_app.task(note)

    @idle_app.task
    def parent(path, n):
        for number in range(n):
            small.delay(path, number)

    get(parent.delay(ledger.path, 8))
    eventually(lambda: len(ledger.lines()) == 8, "all inner calls have run")


def test_tasks_that_wait_never_take_the_last_slot(app):
    inner = app.task(lambda x: x)

    @app.task
    def outer(x):
        time.sleep(0.1)
        return inner.delay(x).get(timeout=60)

    values = get(outer.map(range(4), chunk=1), propagate=False)
    assert all(value == x or isinstance(value, WouldDeadlock) for x, value in enumerate(values))


def test_a_task_may_wait_for_others_again_and_again(app):
    """What is known of other slots is some seconds old, and this very slot may be counted there as waiting."""
    inner = app.task(lambda x: x)

    @app.task
    def outer(x):
        return inner.delay(x).get(timeout=20) + sum(inner.map([1, 2], quiet=True).get(timeout=20))

    assert [get(outer.delay(x)) for x in range(8)] == [x + 3 for x in range(8)]


def test_as_completed_in_the_last_slot_is_refused_as_well(idle_app):
    idle_app.start_workers(1)
    inner = idle_app.task(lambda x: x)
    outer = idle_app.task(lambda: [handle.get() for handle in inner.map([1], quiet=True).as_completed()])
    with pytest.raises(WouldDeadlock, match="keeps its slot"):
        get(outer.delay())


def test_waiting_for_a_call_in_another_queue_is_fine(idle_app):
    idle_app.start_workers(1)
    with App(connection=idle_app.connection) as other:
        other.start_workers(1, queues="inner")
        inner = idle_app.task(lambda x: x, queue="inner")
        assert get(idle_app.task(lambda x: inner.delay(x).get(timeout=20)).delay(3)) == 3


# --- several Apps


def test_apps_with_namespaces_do_not_see_each_other(home, ledger):
    with App("one", namespace="one") as one, App("two", namespace="two") as two:
        one.start_workers(1)
        on_one, on_two = one.task(note).delay(ledger.path, "one"), two.task(note).delay(ledger.path, "two")
        get(on_one)
        assert ledger.lines() == ["one"]
        assert two.workers() == []
        two.session.flush()
        assert two.attach(last=10) == [on_two]
        two.start_workers(1)
        get(on_two)
        assert sorted(ledger.lines()) == ["one", "two"]


def test_a_closed_app_says_so(home):
    from nbtasks import ConfigError

    app = App("mine")
    task = app.task(len)
    with app:
        app.start_workers(1)
        assert get(task.delay("a")) == 1
    with pytest.raises(ConfigError, match="App 'mine' is closed; make a new one"):
        app.start_workers(1)
    app.close()


def test_closing_ends_workers_and_threads(home, processes, eventually):
    # Of Apps of earlier tests some may still be about to end.
    before = set(threading.enumerate())
    with App() as app:
        app.start_workers(1)
        get(app.task(len).delay("a"))
    eventually(lambda: not processes(), "no process is left")
    eventually(
        lambda: not [one for one in set(threading.enumerate()) - before if one.name.startswith("nbtasks")],
        "no thread is left",
    )
