"""Local workers: ready when asked for, replaced when they die, gone with whoever started them."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import sys
import threading
from pathlib import Path

import pytest

from nbtasks.core.errors import WorkersError
from nbtasks.core.workeroptions import WorkerOptions
from nbtasks.local.connection import Connection, resolve
from nbtasks.local.processes import process
from nbtasks.local.processes.workerlog import LOG_KEPT_BYTES, LOG_MAX_BYTES, WorkerLog
from nbtasks.local.processes.workers import LocalWorkers
from nbtasks.wire.signing import encode_key

ONE, TWO = WorkerOptions(1), WorkerOptions(2)

START_IN_KERNEL = """
from nbtasks.local.connection import resolve
from nbtasks.local.processes.workers import LocalWorkers
from nbtasks.core.workeroptions import WorkerOptions
connection, lease = resolve()
workers = LocalWorkers(connection)
""".strip().splitlines()


@pytest.fixture
def connection(project):
    """A connection to an embedded server."""
    found, lease = resolve()
    yield found
    lease.close()


@pytest.fixture
def workers(connection):
    """Local workers, none started yet."""
    local = LocalWorkers(connection)
    yield local
    local.stop(cold=True)


@pytest.fixture
def family(processes):
    """``family()`` returns the pids of all worker processes, children included."""
    return lambda: [
        pid for pid, command in processes().items() if "keeper" not in command and "valkey" not in command
    ]


@pytest.fixture
def supervisors(family):
    """``supervisors()`` returns the pids of those that lead a session."""
    return lambda: [pid for pid in family() if session(pid) == pid]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """``stand_in(code)`` makes ``code`` the worker program: for answers that a worker rarely gives."""

    def use(code: str) -> None:
        script = tmp_path / "worker.py"
        script.write_text(
            "import json, os, signal, sys, time\nsettings = json.loads(sys.stdin.readline())\n" + code
        )
        monkeypatch.setattr(process, "COMMAND", (str(script),))

    return use


def scale(workers: LocalWorkers, options: WorkerOptions) -> None:
    """Converge to ``options`` and return when the workers are ready."""
    workers.begin(options)
    workers.wait()


def session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def kernel_with_workers(kernel, options: str):
    started = kernel()
    for line in START_IN_KERNEL:
        started.run(line)
    assert started.run(f"workers.begin(WorkerOptions({options})) or workers.wait()") == "None"
    assert started.run("workers.running") == "True"
    return started


# --- start and change ---------------------------------------------------------------------------------------


def test_they_are_ready_when_they_were_waited_for(workers, supervisors):
    assert not workers.running
    assert workers.pid is None
    scale(workers, TWO)
    assert workers.running
    assert supervisors() == [workers.pid]
    assert str(workers.pid) in repr(workers)
    assert workers.worker_id
    assert workers.options == TWO


def test_the_same_again_changes_nothing(workers):
    scale(workers, TWO)
    before = workers.pid
    scale(workers, WorkerOptions(2))
    assert workers.pid == before


def test_other_options_replace_them(workers, supervisors, eventually):
    scale(workers, ONE)
    before = workers.pid
    scale(workers, TWO)
    assert workers.running
    assert workers.pid != before
    eventually(lambda: supervisors() == [workers.pid], "the old supervisor is gone")


def test_the_start_can_be_overlapped(workers):
    workers.begin(ONE)
    workers.begin(ONE)
    workers.wait()
    assert workers.running
    workers.wait()


def test_a_start_that_is_overtaken_by_another_goes_away(workers, supervisors, eventually):
    workers.begin(ONE)
    workers.begin(TWO)
    workers.wait()
    assert workers.options == TWO
    eventually(lambda: supervisors() == [workers.pid], "only the second one is left")


def test_threads_that_ask_at_once_share_them(workers, supervisors):
    threads = [threading.Thread(target=scale, args=(workers, ONE)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert supervisors() == [workers.pid]


def test_the_key_is_in_no_command_line_and_no_file_but_its_own(workers, connection, processes, home):
    scale(workers, ONE)
    key = encode_key(connection.keys[0])
    assert all(key not in command for command in processes().values())
    assert workers.log_path.is_relative_to(home)
    assert key not in workers.log_path.read_text()
    assert stat.S_IMODE(workers.log_path.stat().st_mode) == 0o600


def test_settings_arrive(stand_in, workers, connection):
    stand_in("print(json.dumps(settings), file=sys.stderr, flush=True)\n"
             "print(json.dumps({'ready': True, 'worker': os.environ['COLOUR']}), flush=True)\n"
             "sys.stdin.read()\n")  # fmt: skip
    scale(workers, WorkerOptions(3, queues=("a", "b"), env={"COLOUR": "blue"}))
    assert workers.worker_id == "blue"
    workers.stop(cold=True)
    assert '"queues": ["a", "b"]' in workers.log_tail()
    assert encode_key(connection.keys[0]) in workers.log_tail()


# --- stop ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cold", [pytest.param(False, id="warm", marks=pytest.mark.long), pytest.param(True, id="cold")]
)
def test_stop_leaves_no_process(workers, family, eventually, cold):
    scale(workers, TWO)
    assert workers.stop(cold=cold)
    assert not workers.running
    assert workers.pid is None
    assert workers.problem is None
    eventually(lambda: not family(), "nothing is left of them")
    assert workers.stop()
    scale(workers, ONE)
    assert workers.running


def test_a_stop_during_the_start_stops(workers, supervisors):
    workers.begin(ONE)
    assert workers.stop()
    assert supervisors() == []
    workers.wait()
    assert not workers.running


def test_a_warm_stop_can_be_left_and_made_cold(stand_in, workers, supervisors):
    stand_in("signal.signal(signal.SIGTERM, lambda *_: None)\n"
             "print('{\"ready\": true, \"worker\": \"slow\"}', flush=True)\n"
             "while True: time.sleep(60)\n")  # fmt: skip
    scale(workers, ONE)
    assert not workers.stop(timeout_s=0.1)
    assert not workers.running
    assert workers.stop(cold=True)
    assert supervisors() == []


def test_what_ignores_even_a_cold_stop_is_killed(stand_in, workers, monkeypatch):
    monkeypatch.setattr("nbtasks.local.processes.upkeep.COLD_S", 0.2)
    stand_in("for number in (signal.SIGTERM, signal.SIGQUIT): signal.signal(number, signal.SIG_IGN)\n"
             "print('{\"ready\": true, \"worker\": \"deaf\"}', flush=True)\n"
             "while True: time.sleep(60)\n")  # fmt: skip
    scale(workers, ONE)
    pid = workers.pid
    assert workers.stop(cold=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# --- with whoever started them ------------------------------------------------------------------------------


def test_they_end_with_the_interpreter(kernel, processes, eventually):
    started = kernel_with_workers(kernel, "2")
    started.leave()
    eventually(lambda: not processes(), "nothing is left")


def test_they_die_with_a_killed_kernel(kernel, family, eventually):
    started = kernel_with_workers(kernel, "2")
    kernel_itself = started.process.pid
    assert set(family()) - {kernel_itself}
    started.kill()
    eventually(lambda: not family(), "the workers are gone")


def test_a_forked_child_does_not_hold_their_life_line(kernel, supervisors, eventually):
    started = kernel_with_workers(kernel, "1")
    started.run("child = os.fork() or (os.setsid(), signal.pause())")
    child = int(started.run("child"))
    started.kill()
    eventually(lambda: supervisors() == [child], "the workers are gone though a child lives")
    os.kill(child, signal.SIGKILL)


def test_a_forked_child_that_ends_leaves_them_alone(kernel):
    started = kernel_with_workers(kernel, "1")
    started.run("child = os.fork() or sys.exit()")
    assert started.run("os.waitpid(child, 0)[1]") == "0"
    assert started.run("workers.running") == "True"


def test_those_to_keep_outlive_it(kernel, supervisors, family, eventually):
    started = kernel_with_workers(kernel, "1, keep=True")
    pid = int(started.run("workers.pid"))
    started.leave()
    assert supervisors() == [pid]
    assert len(family()) > 1
    os.kill(pid, signal.SIGQUIT)
    eventually(lambda: not family())


def test_the_stop_button_does_not_reach_them(kernel, supervisors):
    started = kernel_with_workers(kernel, "2")
    before = supervisors()
    started.begin("print('waiting', flush=True) or [time.sleep(0.05) for _ in range(2000)]")
    assert started.answer() == "waiting"
    started.interrupt()
    assert started.answer() == "interrupted"
    assert started.run("workers.running") == "True"
    assert supervisors() == before


# --- deaths -------------------------------------------------------------------------------------------------


def test_one_that_is_killed_is_reported_and_replaced(connection, eventually):
    died = []
    workers = LocalWorkers(connection, died.append)
    scale(workers, TWO)
    killed, name = workers.pid, workers.worker_id
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: workers.running and workers.pid != killed, "another one is up")
    assert died == [name]
    assert workers.worker_id != name
    workers.stop()


def test_a_listener_that_raises_does_not_stop_the_replacement(connection, eventually):
    workers = LocalWorkers(connection, lambda name: 1 / 0)
    scale(workers, ONE)
    killed = workers.pid
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: workers.running and workers.pid != killed, "another one is up")
    workers.stop()


def test_after_many_quick_deaths_it_gives_up_and_says_why(stand_in, workers, eventually):
    stand_in("print('{\"ready\": true, \"worker\": \"short\"}', flush=True)\n"
             "print('no more ink', file=sys.stderr)\n"
             "sys.exit(7)\n")  # fmt: skip
    scale(workers, ONE)
    eventually(lambda: workers.problem, "it gives up")
    assert "exit code 7, 5 times in a row" in workers.problem
    assert "no more ink" in workers.problem
    assert not workers.running
    assert workers.log_tail(1) == "no more ink"
    assert len(workers.log_path.read_text().splitlines()) == 5


def test_after_it_gave_up_it_can_be_asked_again(stand_in, workers, eventually, monkeypatch):
    monkeypatch.setattr("nbtasks.local.processes.upkeep.QUICK_DEATHS", 1)
    stand_in('print(\'{"ready": true, "worker": "short"}\', flush=True)\nsys.stdin.read()\n')
    scale(workers, ONE)
    os.kill(workers.pid, signal.SIGKILL)
    eventually(lambda: workers.problem, "it gives up")
    stand_in('print(\'{"ready": true, "worker": "long"}\', flush=True)\nsys.stdin.read()\n')
    scale(workers, ONE)
    assert workers.running
    assert workers.problem is None


# --- starts that fail ---------------------------------------------------------------------------------------


def test_one_that_dies_before_it_is_ready_shows_its_log(stand_in, workers):
    stand_in("raise RuntimeError('out of paper')\n")
    with pytest.raises(
        WorkersError, match=r"(?s)did not start.*exit code 1 before.*log.*out of paper"
    ) as caught:
        scale(workers, ONE)
    assert "out of paper" in caught.value.log_tail
    assert not workers.running
    assert workers.pid is None


def test_one_that_says_why_is_quoted(stand_in, workers):
    stand_in('print(\'{"error": "the server is too old"}\', flush=True)\nsys.exit(1)\n')
    with pytest.raises(WorkersError, match=r"did not start: the server is too old$"):
        scale(workers, ONE)


def test_one_that_talks_nonsense_has_failed(stand_in, workers):
    stand_in("print('hello')\nsys.exit(0)\n")
    with pytest.raises(WorkersError, match="ended with exit code 0 before it was ready"):
        scale(workers, ONE)


def test_one_that_is_killed_before_it_is_ready_is_not_started_again(stand_in, workers):
    stand_in("os.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(WorkersError, match="was killed by SIGKILL before it was ready"):
        scale(workers, ONE)


def test_one_that_takes_too_long_is_ended(stand_in, workers):
    stand_in("print('still warming up', file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    workers.begin(ONE)
    pid = workers.pid
    while "warming" not in workers.log_tail():
        pass
    with pytest.raises(WorkersError, match=r"(?s)not ready within 0.1 s.*still warming up"):
        workers.wait(timeout_s=0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_replacement_that_fails_leaves_the_old_ones_at_work(stand_in, workers, monkeypatch):
    with monkeypatch.context() as patch:
        patch.undo()
        scale(workers, ONE)
    before = workers.pid
    stand_in("sys.exit(1)\n")
    with pytest.raises(WorkersError):
        scale(workers, TWO)
    assert workers.running
    assert workers.pid == before
    assert workers.options == ONE


def test_an_unreachable_broker_is_named(project):
    workers = LocalWorkers(Connection("redis://127.0.0.1:1/0", (b"k" * 32,), "nbtasks", "test"))
    with pytest.raises(WorkersError, match=r"127\.0\.0\.1:1"):
        scale(workers, ONE)
    assert not workers.running


def test_workers_that_are_faster_than_the_embedded_server_wait_for_it(project, eventually):
    connection, lease = resolve()
    lease.close()
    workers = LocalWorkers(connection)
    workers.begin(dataclasses.replace(ONE, loglevel="debug"))
    try:
        eventually(lambda: "cannot be reached" in workers.log_tail(), "a child has looked for the server")
        _, lease = resolve()
        workers.wait()
        assert workers.running
    finally:
        workers.stop(cold=True)
        lease.close()


def test_an_interpreter_that_is_gone_is_named(workers, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkersError, match="/nowhere/python cannot be started"):
        scale(workers, ONE)


# --- the log ------------------------------------------------------------------------------------------------


def test_a_log_that_grows_too_large_keeps_its_end(home):
    log = WorkerLog.new()
    writer = log.open()
    line = b"x" * 999 + b"\n"
    os.write(writer, line * (LOG_MAX_BYTES // len(line) + 1))
    os.write(writer, b"the last line\n")
    log.trim()
    assert log.size() <= LOG_KEPT_BYTES + 100
    assert log.tail(1) == "the last line"
    os.write(writer, b"and on it goes\n")
    os.close(writer)
    assert log.tail(2) == "the last line\nand on it goes"
    assert log.tail(5, since=LOG_MAX_BYTES * 2).endswith("and on it goes")


def test_logs_of_long_ago_are_removed(home):
    folder = WorkerLog.new().path.parent
    for number in range(50):
        (folder / f"workers-{number}-1.log").touch()
    assert len(list(folder.iterdir())) == 51
    latest = WorkerLog.new().path
    assert len(list(folder.iterdir())) <= 21
    assert latest.exists()


def test_no_log_no_tail(project):
    workers = LocalWorkers(Connection("redis://h/0", (b"k" * 32,), "nbtasks", "test"))
    assert workers.log_path is None
    assert workers.log_tail() == ""
    assert workers.stop()
    assert Path(repr(workers)).name
