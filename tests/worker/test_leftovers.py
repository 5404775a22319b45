"""What a call leaves behind: its subprocesses end with it when it is stopped, a forked copy of it tells nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nbtasks import App, TaskRevokedError, TimeLimitExceeded

SOON = 60.0

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")

#: Ways of starting something that goes on for a long time. Each gives a command that writes down its process id.
SHELL = "echo $$ > {path}.new; mv {path}.new {path}; exec sleep 300"
STARTS = {
    "run": "subprocess.run(['sh', '-c', command])",
    "session": "subprocess.Popen(['sh', '-c', command], start_new_session=True).wait()",
    "grandchild": "subprocess.run(f'({command}) & wait', shell=True)",
    "background": "os.system(f'({command}) &'); time.sleep(300)",
    "group": "os.fork() or (os.setpgid(0, 0), os.execvp('sh', ['sh', '-c', command])); time.sleep(300)",
    "deaf": "subprocess.Popen(['setsid', 'sh', '-c', command]); sum(range(10**12))",
}


def starts(how, path):
    """Task code: start something and wait for it."""
    space = {"subprocess": subprocess, "os": os, "time": time, "path": path}
    exec(how, space | {"command": SHELL.format(path=path)})


async def starts_beside(how, path):
    """Task code, the same in an event loop."""
    command = SHELL.format(path=path)
    if how == "exec":
        process = await asyncio.create_subprocess_exec("sh", "-c", command)
    elif how == "shell":
        process = await asyncio.create_subprocess_shell(command, start_new_session=True)
    else:
        space = {"asyncio": asyncio, "subprocess": subprocess, "os": os, "threading": threading}
        exec(how, space | {"command": command})
        process = None
    await (process.wait() if process else asyncio.sleep(300))


#: Ways of a coroutine to start something that its event loop does not know of.
BESIDE = {
    "thread": "asyncio.ensure_future(asyncio.to_thread(subprocess.Popen, ['sh', '-c', command]))",
    "waits": "asyncio.ensure_future(asyncio.to_thread(subprocess.run, command, shell=True))",
    "system": "asyncio.get_running_loop().run_in_executor(None, os.system, command)",
    "own": "threading.Thread(target=subprocess.Popen, args=(['setsid', 'sh', '-c', command],)).start()",
    "blocks": "subprocess.Popen(command, shell=True)",
    "spawn": "os.posix_spawn('/bin/sh', ['sh', '-c', command], os.environ)",
    "fork": "os.fork() or os.execvp('sh', ['sh', '-c', command])",
}


def alive(pid):
    """Whether a process is there; one that is dead and not waited for is there, too."""
    return Path(f"/proc/{pid}").exists()


def written(eventually, *paths):
    """Wait until processes have written their ids down; return them."""
    eventually(lambda: all(path.exists() for path in paths), "all have started")
    return [int(path.read_text()) for path in paths]


def gone(eventually, pids):
    """Wait until processes are gone."""
    eventually(lambda: not any(map(alive, pids)), "nothing is left", within=SOON)


@pytest.fixture
def many(home):
    """An App with a child for each way, and one more; its worker ends in the test."""
    with App("test") as app:
        app.start_workers(len(STARTS) + 1)
        yield app


@pytest.fixture(scope="module")
def lasting(run_folder):
    """The same, for tests that end calls only."""
    with App("lasting", namespace="t-leftovers") as app:
        app.start_workers(len(STARTS) + 1)
        yield app


@pytest.fixture(scope="module")
def forking(run_folder):
    """An App with two children, for tests of copies."""
    with App("forking", namespace="t-copies") as app:
        app.start_workers(2)
        yield app


def begin(app, tmp_path, eventually, **options):
    """Begin a call for each way; return the handles and the ids of what they have started."""
    paths = [tmp_path / name for name in STARTS]
    task = app.task(starts, **options)
    handles = [task.delay(how, str(path)) for how, path in zip(STARTS.values(), paths, strict=True)]
    return handles, written(eventually, *paths)


def test_subprocesses_end_with_a_revoked_call(lasting, tmp_path, eventually):
    neighbour = lasting.task(starts).delay(STARTS["run"], str(tmp_path / "neighbour"))
    (spared,) = written(eventually, tmp_path / "neighbour")
    handles, pids = begin(lasting, tmp_path, eventually)
    for handle in handles:
        handle.revoke(terminate=True)
    for handle in handles:
        with pytest.raises(TaskRevokedError):
            handle.get(timeout=SOON)
    gone(eventually, pids)
    assert alive(spared)
    assert neighbour.state == "STARTED"
    neighbour.revoke(terminate=True)
    gone(eventually, [spared])


@pytest.mark.long
def test_subprocesses_end_at_a_hard_limit(lasting, tmp_path, eventually):
    handles, pids = begin(lasting, tmp_path, eventually, time_limit=1.0)
    for handle in handles:
        with pytest.raises(TimeLimitExceeded):
            handle.get(timeout=SOON)
    gone(eventually, pids)


@pytest.mark.parametrize(
    "end", [*(pytest.param(end, marks=pytest.mark.long) for end in ("cold", "quit")), "kill"]
)
def test_subprocesses_end_with_their_worker(end, many, tmp_path, eventually):
    _, pids = begin(many, tmp_path, eventually)
    daemon = tmp_path / "daemon"
    many.task(starts).delay("os.system(f'setsid sh -c \"{command}\" &')", str(daemon)).get(timeout=SOON)
    pids += written(eventually, daemon)
    supervisor = many.local_workers.pid
    if end == "cold":
        many.stop_workers(cold=True)
    elif end == "quit":
        os.kill(supervisor, signal.SIGQUIT)
    else:
        many.local_workers.close()
        os.kill(supervisor, signal.SIGKILL)
    gone(eventually, pids)


def test_what_a_call_has_left_ends_with_its_child(home, tmp_path, eventually):
    with App("test") as app:
        app.start_workers(1, max_tasks_per_child=1)
        path = tmp_path / "left"
        # The child ends with its call, so the call waits until what it leaves behind has written its id down.
        how = (
            "subprocess.Popen(['sh', '-c', command], start_new_session=True)\n"
            "while not os.path.exists(path): time.sleep(0.01)"
        )
        app.task(starts).delay(how, str(path)).get(timeout=SOON)
        gone(eventually, written(eventually, path))


def test_a_helper_of_earlier_calls_outlives_a_revoked_one(home, tmp_path, eventually):
    with App("test") as app:
        app.start_workers(1)
        helper, own = tmp_path / "helper", tmp_path / "own"
        app.task(starts).delay("subprocess.Popen(['sh', '-c', command])", str(helper)).get(timeout=SOON)
        (pid,) = written(eventually, helper)
        time.sleep(0.02)
        handle = app.task(starts).delay("1; subprocess.run(['sleep', '300'])", str(own))
        eventually(lambda: handle.state == "STARTED", "it runs")
        handle.revoke(terminate=True)
        with pytest.raises(TaskRevokedError):
            handle.get(timeout=SOON)
        assert alive(pid)


def test_subprocesses_end_with_a_call_in_a_thread(home, tmp_path, eventually):
    with App("test") as app:
        app.start_workers(1, pool="threads", threads=8)
        names = ["run", "session", "grandchild"]
        task = app.task(starts)
        handles = [task.delay(STARTS[name], str(tmp_path / name)) for name in names]
        pids = written(eventually, *(tmp_path / name for name in names))
        task.delay(STARTS["run"], str(tmp_path / "spared"))
        (spared,) = written(eventually, tmp_path / "spared")
        for handle in handles:
            handle.revoke(terminate=True)
        # What waits in C code does not hear it, and its process is killed. Then the last one is run again.
        gone(eventually, pids)
        app.stop_workers(cold=True)
        gone(eventually, [spared])


# --- forked copies

COPIES = {
    "returns": "x = os.fork()",
    "raises": "x = os.fork()\nif x == 0: raise ValueError('in the copy')",
    "exits": "x = os.fork()\nif x == 0: sys.exit(3)",
    "retries": "x = os.fork()\nif x == 0: raise nbtasks.Retry('again')",
    "goes on for a while": "x = os.fork()\nif x == 0: time.sleep(0.3)",
    "in a daemon": "x = os.fork()\nif x == 0: os.setsid(); os.fork()",
}


def forks(how, path):
    """Task code: fork, and say who is still there; the call waits for its copy."""
    import nbtasks

    space = {"os": os, "sys": sys, "time": time, "nbtasks": nbtasks}
    me = os.getpid()
    exec(how, space)
    if os.getpid() != me:
        return "the copy"
    _, status = os.waitpid(space["x"], 0)
    with Path(path).open("a") as file:
        file.write("the call\n")
    return os.waitstatus_to_exitcode(status)


async def forks_beside(how, path):
    """Task code, the same in an event loop."""
    await asyncio.sleep(0.01)
    found = forks(how, path)
    if found == "the copy":
        await asyncio.sleep(0.01)
    return found


CODES = dict.fromkeys(COPIES, 0) | {"raises": 1, "exits": 3, "retries": 1}


@pytest.mark.parametrize("task", [forks, forks_beside])
def test_a_forked_copy_is_not_the_call(task, forking, ledger):
    handles = {name: forking.task(task).delay(how, ledger.path) for name, how in COPIES.items()}
    found = {name: handle.get(timeout=SOON) for name, handle in handles.items()}
    assert found.keys() == CODES.keys()
    if task is forks:
        assert found == CODES
    time.sleep(0.5)
    assert ledger.lines() == ["the", "call"] * len(COPIES)
    assert forking.task(len).map(["abc"] * 50, chunk=1).get(timeout=SOON) == [3] * 50


def test_a_forked_copy_in_a_thread_is_not_the_call(home, ledger):
    with App("test") as app:
        app.start_workers(1, pool="threads", threads=4)
        handles = {name: app.task(forks).delay(how, ledger.path) for name, how in COPIES.items()}
        assert {name: handle.get(timeout=SOON) for name, handle in handles.items()} == CODES


def test_a_process_of_multiprocessing_can_be_terminated(forking):
    def work():
        context = multiprocessing.get_context("fork")
        process = context.Process(target=time.sleep, args=(60,))
        process.start()
        time.sleep(0.1)
        process.terminate()
        process.join(10)
        with context.Pool(2) as pool:
            return process.exitcode, pool.map(abs, [-1, -2, -3])

    assert forking.task(work).delay().get(timeout=SOON) == (-signal.SIGTERM, [1, 2, 3])


def test_a_copy_that_was_just_born_can_be_terminated(forking):
    def work():
        codes = []
        for _ in range(20):
            copy = os.fork()
            if copy == 0:
                time.sleep(2)
                os._exit(3)
            os.kill(copy, signal.SIGTERM)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]))
        return codes

    assert forking.task(work).delay().get(timeout=4 * SOON) == 20 * [-signal.SIGTERM]


def test_what_a_copy_prints_is_the_calls_output(forking):
    def work():
        child = os.fork()
        print("in the copy" if child == 0 else "in the call")
        if child:
            os.waitpid(child, 0)

    handle = forking.task(work).delay()
    handle.get(timeout=SOON)
    assert "in the copy" in handle.stdout
    assert "in the call" in handle.stdout


def test_no_zombie_is_left(home, eventually):
    def work():
        os.system("true & true &")
        return os.getpid()

    def zombies(supervisor):
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if words[0] == "Z" and int(words[3]) == supervisor:
                    found.append(entry.name)
        return found

    with App("test") as app:
        app.start_workers(1)
        app.task(work).map([()] * 0)
        task = app.task(work)
        for _ in range(20):
            task.delay().get(timeout=SOON)
        eventually(lambda: not zombies(app.local_workers.pid), "no zombie is left")


# --- in an event loop


def test_subprocesses_end_with_a_coroutine(app, tmp_path, eventually):
    task, hows = app.task(starts_beside), ["exec", "shell", *BESIDE.values()]
    kept, paths = tmp_path / "kept", [tmp_path / name for name in ["exec", "shell", *BESIDE]]
    task.delay("exec", str(kept))
    handles = [task.delay(how, str(path)) for how, path in zip(hows, paths, strict=True)]
    spared, *pids = written(eventually, kept, *paths)
    for handle in handles:
        handle.revoke(terminate=True)
    gone(eventually, pids)
    assert alive(spared)
    app.stop_workers(cold=True)


def test_a_copy_does_not_run_the_neighbours_of_a_coroutine(home, ledger):
    async def counts(path):
        for _ in range(20):
            await asyncio.sleep(0.02)
        with Path(path).open("a") as file:  # noqa: ASYNC230
            file.write(f"{os.getpid()}\n")

    async def copies():
        await asyncio.sleep(0.1)
        child = os.fork()
        if child == 0:
            await asyncio.sleep(5)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])  # noqa: ASYNC222

    with App("test") as app:
        app.start_workers(1)
        neighbours = app.task(counts).map([ledger.path] * 10)
        assert app.task(copies).delay().get(timeout=SOON) == 1
        neighbours.get(timeout=SOON)
        assert len(ledger.lines()) == 10
