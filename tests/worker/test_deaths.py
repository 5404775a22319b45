"""What happens when processes die: no call is lost, none has two results, nobody else's call is charged."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from nbtasks import App, WorkerLostError
from nbtasks.core import attempts

SOON = 60.0

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


def get(handle, **how):
    """Wait for a result."""
    return handle.get(timeout=SOON, **how)


def note(path, text):
    """Task code: write into a ledger; returns the number of lines before."""
    before = len(Path(path).read_text().split())
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    return before


def wait_at(path):
    """Task code: wait until a gate is open."""
    end = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)


def kill(pid):
    """Kill a process without warning."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# --- a child


def test_a_call_whose_process_was_killed_runs_again(app, ledger, gate, eventually):
    @app.task
    def work(ledger, gate):
        if note(ledger, os.getpid()) == 0:
            wait_at(gate)
        return os.getpid()

    handle = work.delay(ledger.path, gate.path)
    (first,) = eventually(ledger.lines, "the call runs")
    kill(int(first))
    assert get(handle) != int(first)
    assert len(ledger.lines()) == 2
    assert handle.state == "SUCCESS"


def test_a_call_that_kills_its_process_is_stopped_after_three_and_its_neighbours_succeed(app, ledger):
    @app.task
    def poison(path, x):
        note(path, x)
        if x == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    group = poison.starmap([(ledger.path, x) for x in range(10)], chunk=10)
    values = get(group, propagate=False)
    assert isinstance(values[5], WorkerLostError)
    assert values[:5] + values[6:] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert ledger.lines().count("5") == 3
    message = str(values[5])
    assert group[5].id in message
    assert "died (3 times)" in message
    assert "killed by signal 9 (SIGKILL)" in message
    assert "run out of memory" in message


def test_a_child_that_dies_without_a_call_is_replaced(app, children, eventually):
    (before, *_) = children(app.local_workers.pid)
    kill(before)
    eventually(lambda: len(set(children(app.local_workers.pid)) - {before}) == 2, "there are two again")
    assert get(app.task(abs).map(range(100))) == list(range(100))


@pytest.mark.parametrize(
    ("how", "story"),
    [
        ("import os; os._exit(7)", "it ended with exit code 7"),
        ("import ctypes; ctypes.string_at(0)", r"signal 11 \(SIGSEGV\)[\s\S]*Segmentation fault"),
        pytest.param(
            "import os; os.write(2, b'last words\\n'); os.abort()",
            r"signal 6 \(SIGABRT\)[\s\S]*last words",
            marks=pytest.mark.long,
        ),
    ],
)
def test_the_story_of_a_death(app, how, story):
    def die():
        exec(how)

    handle = app.task(die).delay()
    with pytest.raises(WorkerLostError, match=story) as caught:
        get(handle)
    assert caught.value.call_id == handle.id
    assert handle.state == "FAILURE"


def test_at_most_once_fails_instead_of_running_again(app, ledger):
    @app.task(acks_late=False)
    def die(path, x):
        note(path, x)
        if x == 1:
            os._exit(1)
        return x

    values = get(die.starmap([(ledger.path, x) for x in range(4)], chunk=4), propagate=False)
    assert isinstance(values[1], WorkerLostError)
    assert [values[0], *values[2:]] == [0, 2, 3]
    assert ledger.lines().count("1") == 1


def test_a_loss_uses_up_no_retry(app, ledger):
    @app.task(retries=1, default_retry_delay=0.01)
    def work(path):
        attempt = note(path, "try")
        if attempt == 0:
            os._exit(1)
        if attempt == 1:
            raise OSError
        return attempt

    assert get(work.delay(ledger.path)) == 2


def test_what_a_task_has_started_dies_with_its_child(app, tmp_path, eventually):
    @app.task
    def start(path):
        import subprocess

        process = subprocess.Popen(["sleep", "600"])
        Path(path).write_text(f"{os.getpid()} {process.pid}")
        time.sleep(600)

    file = tmp_path / "pids"
    handle = start.delay(str(file))
    child, sleeper = map(int, eventually(lambda: file.exists() and file.read_text()).split())
    handle.revoke(terminate=True)
    kill(child)
    eventually(lambda: not Path(f"/proc/{sleeper}").exists(), "the sleeper is gone")


@pytest.mark.long
def test_a_long_map_is_right_and_in_order_while_children_are_killed(app, children, ledger):
    app.start_workers(3)
    seed = random.randrange(10**6)
    print("seed", seed)
    chance = random.Random(seed)
    over = threading.Event()

    def killer():
        # By what has ended, not by time: where starting a process takes long, none would get to its calls.
        blow_at = 0
        while not over.wait(chance.uniform(0.03, 0.12)):
            alive = children(app.local_workers.pid)
            if alive and group.completed_count() >= blow_at:
                kill(chance.choice(alive))
                blow_at = group.completed_count() + chance.randrange(200)

    @app.task
    def work(x, path):
        if x % 100 == 0:
            note(path, x)
            time.sleep(0.002)
        return 3 * x

    thread = threading.Thread(target=killer)
    group = work.starmap([(x, ledger.path) for x in range(10_000)])
    thread.start()
    try:
        values = group.get(timeout=3 * SOON)
    finally:
        over.set()
        thread.join()
    assert values == [3 * x for x in range(10_000)], seed
    assert {int(line) for line in ledger.lines()} == set(range(0, 10_000, 100)), seed


# --- a child that makes a function ready


class OpenedBy:
    """What a task holds, and runs ``task code`` wherever the task is made ready."""

    def __init__(self, code, *args):
        self.made_of = code, args

    def __reduce__(self):
        return self.made_of


def wait_to_be_opened(ledger, gate):
    """Task code: say which process makes a task ready, and wait at a gate."""
    note(ledger, os.getpid())
    wait_at(gate)


def exit_when_opened(ledger):
    """Task code: end the process that makes a task ready."""
    note(ledger, os.getpid())
    os._exit(7)


def numbered(app, held, **options):
    """A task that holds something."""

    @app.task(**options)
    def work(path, x):
        assert held is None
        note(path, x)
        return x

    return work


@pytest.mark.parametrize("acks_late", [True, False])
def test_calls_that_had_not_begun_survive_more_than_three_deaths(
    acks_late, app, ledger, gate, tmp_path, eventually
):
    runs = tmp_path / "runs"
    runs.touch()
    work = numbered(app, OpenedBy(wait_to_be_opened, ledger.path, gate.path), acks_late=acks_late)
    group = work.starmap([(str(runs), x) for x in range(3)], chunk=3)
    for deaths in range(5):
        eventually(lambda deaths=deaths: len(ledger.lines()) > deaths, "a process makes it ready")
        kill(int(ledger.lines()[deaths]))
    gate.open()
    assert get(group) == [0, 1, 2]
    assert sorted(runs.read_text().split()) == ["0", "1", "2"]


def test_a_task_that_kills_who_makes_it_ready_is_given_up(app, ledger):
    work = numbered(app, OpenedBy(exit_when_opened, ledger.path))
    group = work.starmap([(ledger.path, x) for x in range(3)], chunk=3, on_error="keep")
    values = get(group, propagate=False)
    assert {type(value) for value in values} == {WorkerLostError}
    assert len(ledger.lines()) == attempts.MOST_SUSPICIONS
    message = str(values[2])
    assert group[2].id in message
    assert "died (10 times) while it made the task ready" in message
    assert "exit code 7" in message


def test_revoking_a_call_that_had_not_begun_leaves_its_neighbours(app, ledger, gate, tmp_path, eventually):
    runs = tmp_path / "runs"
    runs.touch()
    work = numbered(app, OpenedBy(wait_to_be_opened, ledger.path, gate.path))
    group = work.starmap([(str(runs), x) for x in range(3)], chunk=3, on_error="keep")
    eventually(ledger.lines, "a process makes it ready")
    group[0].revoke(terminate=True)
    eventually(lambda: len(ledger.lines()) > 1, "the next one makes it ready")
    gate.open()
    group.until_ready(SOON)
    assert [handle.state for handle in group] == ["REVOKED", "SUCCESS", "SUCCESS"]
    assert sorted(runs.read_text().split()) == ["1", "2"]


# --- the supervisor


def test_calls_of_a_killed_supervisor_are_taken_up_by_the_next(app, ledger, gate, eventually):
    @app.task
    def work(x, ledger, gate):
        note(ledger, x)
        wait_at(gate)
        return x

    group = work.starmap([(x, ledger.path, gate.path) for x in range(20)], chunk=1)
    eventually(lambda: len(ledger.lines()) >= 2, "both children work")
    before = app.local_workers.pid
    kill(before)
    eventually(lambda: len(ledger.lines()) >= 4, "the next supervisor's children work")
    assert app.local_workers.pid != before
    gate.open()
    assert get(group) == list(range(20))


def test_children_of_a_killed_supervisor_end_with_it(app, children, eventually):
    family = children(app.local_workers.pid)
    assert len(family) == 2
    kill(app.local_workers.pid)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "its children are gone")


def test_another_worker_takes_up_what_a_dead_one_held(app, kernel, ledger, gate, eventually):
    """Nobody tells that it died: its lease runs out."""

    @app.task(queue="far")
    def work(ledger, gate):
        if note(ledger, os.getpid()) == 0:
            wait_at(gate)
        return "done"

    far = kernel()
    far.cell(
        f"app = nbtasks.App(broker={app.connection.url!r})\n"
        "app.start_workers(1, queues='far', lease=1.0, name='far')"
    )
    handle = work.delay(ledger.path, gate.path)
    eventually(ledger.lines, "the far worker runs it")
    pid = int(far.value("app.local_workers.pid"))
    far.process.kill()
    kill(pid)
    app.start_workers(1, queues=("far",), lease=1.0)
    assert get(handle) == "done"
    assert len(ledger.lines()) == 2


# --- the kernel


SUBMIT = """
app = nbtasks.App()
app.start_workers(2)
@app.task
def work(ledger, gate):
    import time, os
    with open(ledger, "a") as file:
        file.write(f"{os.getpid()}\\n")
    while not os.path.exists(gate):
        time.sleep(0.01)
    return "done"
"""


def test_workers_end_with_a_killed_kernel(kernel, processes, ledger, gate, eventually):
    one = kernel()
    one.cell(SUBMIT)
    one.cell(f"handle = work.delay({ledger.path!r}, {gate.path!r})")
    (child,) = eventually(ledger.lines, "the call runs")
    supervisor = int(one.value("app.local_workers.pid"))
    one.kill()
    for pid in (int(child), supervisor):
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "the worker is gone")


def test_kept_workers_survive_the_kernel_and_finish_its_calls(kernel, ledger, gate, eventually):
    from nbtasks import App

    one = kernel()
    one.cell(SUBMIT.replace("start_workers(2)", "start_workers(1, keep=True)"))
    one.cell(f"handle = work.delay({ledger.path!r}, {gate.path!r})")
    call = one.value("handle.id").strip("'")
    eventually(ledger.lines, "the call runs")
    supervisor = int(one.value("app.local_workers.pid"))
    try:
        one.kill()
        with App() as app:
            handle = app.AsyncResult(call)
            gate.open()
            assert get(handle) == "done"
    finally:
        os.kill(supervisor, signal.SIGTERM)
        eventually(lambda: not Path(f"/proc/{supervisor}").exists(), "the kept worker has stopped")


def test_a_new_kernel_finds_its_data_again(kernel):
    one = kernel()
    one.cell("app = nbtasks.App()\napp.start_workers(1)\ntotal = app.task(sum, name='total')")
    one.cell(
        "handle = total.delay([1, 2])\ngroup = total.map([[1], [2], [3]])\nhandle.get(20)\ngroup.get(20)"
    )
    calls = eval(one.value("handle.id, group.id"))
    one.kill()
    two = kernel()
    two.cell("app = nbtasks.App()")
    assert two.value(f"app.AsyncResult({calls[0]!r}).get(20)") == "3"
    assert (
        two.value("[type(found).__name__ for found in app.attach(last=5)]")
        == "['GroupResult', 'AsyncResult']"
    )
    assert two.value(f"app.attach({calls[1]!r})[0].get(20)") == "[1, 2, 3]"
    assert two.value(f"app.attach({calls[1]!r})[0][1].name") == "'total'"
    two.leave()


def test_a_new_kernels_workers_run_what_the_old_one_submitted(kernel, ledger, gate, eventually):
    one = kernel()
    one.cell(SUBMIT)
    one.cell(f"group = work.starmap([({ledger.path!r}, {gate.path!r})] * 5)")
    eventually(lambda: len(ledger.lines()) == 2, "both children work")
    group = one.value("group.id").strip("'")
    one.kill()
    gate.open()
    two = kernel()
    two.cell("app = nbtasks.App()\napp.start_workers(2)")
    assert two.value(f"app.attach({group!r})[0].get(30)") == repr(["done"] * 5)
    two.leave()


def test_the_stop_button_reaches_neither_server_nor_workers(kernel, ledger, gate, eventually, tmp_path):
    one = kernel()
    one.cell(SUBMIT)
    one.cell(f"handle = work.delay({ledger.path!r}, {gate.path!r})")
    (child,) = eventually(ledger.lines, "the call runs")
    supervisor = one.value("app.local_workers.pid")
    for number in range(3):
        waiting = tmp_path / f"waiting-{number}"
        one.begin(f"[open({str(waiting)!r}, 'w').close(), handle.get()]")
        eventually(waiting.exists, "the cell blocks")
        one.interrupt()
        assert one.answer() == "interrupted"
    eventually(lambda: one.value("handle.state") == "'STARTED'", "the call still runs")
    assert one.value("app.local_workers.pid") == supervisor
    assert one.value("app.task(len).delay('abc').get(20)") == "3"
    gate.open()
    assert one.value("handle.get(20)") == "'done'"
    assert len(ledger.lines()) == 1
    assert ledger.lines() == [child]
    one.leave()


def test_nothing_is_left_of_a_kernel_that_ended_by_itself(kernel, processes, eventually):
    one = kernel()
    one.cell("app = nbtasks.App()\napp.start_workers(2)")
    assert one.value("app.task(len).delay('abc').get(20)") == "3"
    one.leave()
    eventually(lambda: not processes(), "no process is left")


@pytest.mark.parametrize("pool", [pytest.param("threads", marks=pytest.mark.long), "coroutines"])
def test_a_call_that_cannot_be_brought_to_its_end_has_an_error(home, pool):
    """What it has done to its process keeps even the code around it from going on."""

    def spoil():
        import builtins

        builtins.issubclass = None
        raise ValueError("spoilt")

    async def spoil_loop():
        spoil()

    with App("spoilt") as app:
        app.start_workers(1, pool="threads" if pool == "threads" else "prefork")
        task = app.task(spoil if pool == "threads" else spoil_loop, acks_late=False)
        assert isinstance(task.delay().get(timeout=SOON, propagate=False), WorkerLostError)
        assert app.task(abs).delay(-1).get(timeout=SOON) == 1


def test_a_call_after_which_nothing_can_be_told_is_not_repeated_for_ever(app):
    @app.task
    def spoil():
        import struct

        # It stays so: what a call patches in modules is not put back.
        struct.pack = None

    error = get(spoil.delay(), propagate=False)
    assert isinstance(error, WorkerLostError)
    assert "'NoneType' object is not callable" in str(error)
    assert get(app.task(abs).delay(-1)) == 1
