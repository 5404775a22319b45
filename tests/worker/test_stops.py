"""Whatever a call does to the signals of its process: it can be stopped, its worker ended, and nobody else pays."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from nbtasks import App, SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded

#: What a deaf call has until its process is killed, and how much longer a test waits on a busy machine.
DEAF_S, PATIENCE = 2.0, 10
SOON = 3 * DEAF_S * PATIENCE

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")

#: Deeds that make a call deaf, each for its kind; then it goes on for a minute.
DEEDS = {
    "ignores TERM": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "ignores all": "[signal.signal(n, signal.SIG_IGN) for n in signal.valid_signals() - {9, 19, 17}]",
    "takes all over": "[signal.signal(n, lambda *_: None) for n in signal.valid_signals() - {9, 19, 17}]",
    "blocks all": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "takes the timer": "signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 3600)",
    "dumps on signals": "[faulthandler.register(n, open(os.devnull, 'w')) for n in (10, 12, 14, 15)]",
    "patches sleep": "time.sleep = lambda seconds: 1 / 0",
    "patches the clock": "time.monotonic = time.time = time.perf_counter = lambda: 0.0",
    "leaves its group": "os.setpgid(0, os.getpgid(os.getppid()))",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "stops its parent": "os.kill(os.getppid(), signal.SIGSTOP)",
    "ignores its children": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "starts a thread": "threading.Thread(target=threading.Event().wait).start()",
    "exits slowly": "atexit.register(time.sleep, 60)",
}

PRELUDE = "import atexit, faulthandler, os, signal, threading, time"
#: Calls that catch what shall stop them, rest on their way out, or keep the interpreter's lock.
OTHERS = CATCH, LINGER, DEAF = "catches all", "lingers", "is deaf"
ALL = {**DEEDS, CATCH: CATCH, LINGER: LINGER, DEAF: DEAF}


def deed(code):
    """Task code: do a deed and return."""
    exec(f"{PRELUDE}\n{code}", {})
    return os.getpid()


def stubborn(code, path):
    """Task code: do a deed, say so, and go on for a minute; whatever is raised is caught if the deed is ``catch``."""
    rest, clock = time.sleep, time.monotonic
    if code == DEAF:
        Path(path).touch()
        sum(range(10**12))
    if code not in OTHERS:
        Path(path).touch()
        deed(code)
    Path(path).touch()
    end = clock() + 60
    while clock() < end:
        try:
            rest(0.01)
        except BaseException:
            if code != CATCH:
                raise
        finally:
            if code == LINGER and clock() > end - 59.9:
                rest(60)


def meet(folder, n):
    """Task code: wait until it runs in so many processes."""
    Path(folder, str(os.getpid())).touch()
    end = time.monotonic() + 60
    while len(os.listdir(folder)) < n and time.monotonic() < end:  # noqa: PTH208 - it is small
        time.sleep(0.01)
    return len(os.listdir(folder))  # noqa: PTH208 - it is small


def state():
    """Task code: what a call finds that depends on those before it."""
    ours = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD)}
    began = time.monotonic()
    time.sleep(0.01)
    masks = [
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(("SigI", "SigB"))
    ]
    return (
        [getattr(handler, "__qualname__", handler) for handler in ours.values()],
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        signal.getitimer(signal.ITIMER_REAL),
        0 < time.monotonic() - began < 60,
        masks,
    )


@pytest.fixture(scope="module")
def lasting(run_folder):
    """An App with a child for each deed, and one more; for tests that end calls only."""
    with App("lasting", namespace="t-stops") as app:
        app.start_workers(len(ALL) + 1)
        yield app


@pytest.fixture(scope="module")
def single(run_folder):
    """An App with one child."""
    with App("single", namespace="t-stops-one") as app:
        app.start_workers(1)
        yield app


@pytest.fixture
def many(home):
    """An App as the lasting one; its worker ends in the test."""
    with App("test") as app:
        app.start_workers(len(ALL) + 1)
        yield app


def begun(app, tmp_path, eventually, names, **options):
    """Begin a call for each deed; return name -> handle."""
    task = app.task(stubborn, **options)
    handles = {name: task.delay(ALL[name], str(tmp_path / name)) for name in names}
    eventually(lambda: all((tmp_path / name).exists() for name in names), "all of them run")
    return handles


def errors(handles):
    """Wait for all calls; return name -> class of what they have raised."""
    found = {}
    for name, handle in handles.items():
        value = handle.get(timeout=SOON, propagate=False)
        found[name] = type(value)
    return found


def all_run(app, n, within):
    """Wait until all children of a worker run calls."""
    with tempfile.TemporaryDirectory() as folder:
        found = app.task(meet).starmap([(folder, n)] * n, chunk=1).get(timeout=within)
    assert min(found) >= n


@pytest.mark.long
def test_calls_are_revoked_whatever_they_do(lasting, tmp_path, eventually):
    handles = begun(lasting, tmp_path, eventually, ALL)
    for handle in handles.values():
        handle.revoke(terminate=True)
    assert errors(handles) == dict.fromkeys(ALL, TaskRevokedError)
    all_run(lasting, len(ALL) + 1, SOON)


@pytest.mark.long
def test_hard_limits_hold_whatever_calls_do(lasting, tmp_path, eventually):
    handles = begun(lasting, tmp_path, eventually, ALL, time_limit=1.0)
    assert errors(handles) == dict.fromkeys(ALL, TimeLimitExceeded)
    for handle in handles.values():
        assert str(handle.get(propagate=False)) == f"call {handle.id} ran longer than its time limit of 1 s"
    all_run(lasting, len(ALL) + 1, SOON)


def test_soft_limits_come_whatever_calls_do(lasting, tmp_path, eventually):
    # What Python cannot hear while it is in C code it hears at the next step; what is caught is caught.
    names = [
        name
        for name in ALL
        if name not in {"ignores all", "takes all over", CATCH, LINGER, DEAF, "stops itself"}
    ]
    handles = begun(lasting, tmp_path, eventually, names, soft_time_limit=1.0)
    assert errors(handles) == dict.fromkeys(names, SoftTimeLimitExceeded)


@pytest.mark.parametrize(
    ("cold", "deaf"),
    [
        pytest.param(False, False, id="warm", marks=pytest.mark.long),
        pytest.param(False, True, id="warm-deaf", marks=pytest.mark.long),
        pytest.param(True, True, id="cold", marks=pytest.mark.long),
    ],
)
def test_a_worker_ends_whatever_calls_have_done(cold, deaf, many, tmp_path, eventually):
    names = [name for name in DEEDS if "STOP" not in ALL[name]]
    if not deaf:
        # What C code has done to signals in a moment is not seen: such a child is killed 15 s later.
        names.remove("dumps on signals")
    task = many.task(deed)
    for handle in [task.delay(ALL[name]) for name in names]:
        handle.get(timeout=SOON)
    if cold:
        begun(many, tmp_path, eventually, ["stops its parent", "stops itself", CATCH, DEAF])
    else:
        task.delay(ALL["stops its parent"]).get(timeout=SOON)
        # It is in the middle of a call when the worker is told to end.
        mark = tmp_path / "stopped"
        task.delay(f"open({str(mark)!r}, 'w'); {ALL['stops itself']}")
        eventually(mark.exists, "it runs")
    supervisor = many.local_workers.pid
    assert many.local_workers.stop(cold, timeout_s=SOON)
    assert not runs(supervisor)


def test_the_next_call_finds_a_sane_process(home):
    with App("test") as app:
        app.start_workers(1)
        look, act = app.task(state), app.task(deed)
        before = look.delay().get(timeout=SOON)
        found = {}
        for name, code in DEEDS.items():
            if "os." not in code:
                act.delay(code).get(timeout=SOON)
                found[name] = look.delay().get(timeout=SOON)
        assert found == dict.fromkeys(found, before)


def test_a_timer_of_one_call_does_not_hit_the_next(single):
    def sets_a_timer():
        def ring(*_):
            raise ValueError("the timer of another call")

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.2)

    def waits():
        time.sleep(0.5)
        return "well"

    single.task(sets_a_timer).delay().get(timeout=SOON)
    assert single.task(waits, time_limit=0.3 * PATIENCE).delay().get(timeout=SOON) == "well"
    single.task(sets_a_timer).delay().get(timeout=SOON)
    with pytest.raises(TimeLimitExceeded):
        single.task(waits, time_limit=0.3).delay().get(timeout=SOON)


def runs(pid):
    """Whether a process is alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- calls side by side


def blocks(path):
    """Task code: block in C code for a minute."""
    Path(path).touch()
    time.sleep(60)


def holds(path):
    """Task code: keep the interpreter's lock for long."""
    Path(path).touch()
    sum(range(10**12))


def catches(path):
    """Task code: catch what shall stop it."""
    Path(path).touch()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(BaseException):
            time.sleep(0.01)


async def holds_its_loop(path):
    """Task code: the same in an event loop."""
    holds(path)


async def swallows(path):
    """Task code: not be cancelled."""
    Path(path).touch()  # noqa: ASYNC240
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


def patient(path, gate):
    """Task code: note each execution and wait at a gate."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.01)
    return "well"


async def patient_coroutine(path, gate):
    """Task code: the same in an event loop."""
    with Path(path).open("a") as file:  # noqa: ASYNC230
        file.write(f"{os.getpid()}\n")
    while not Path(gate).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)
    return "well"


@pytest.mark.parametrize("timer", ["ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"])
def test_no_timer_is_left(timer, single):
    def sets(timer):
        number = {"ITIMER_REAL": 14, "ITIMER_VIRTUAL": 26, "ITIMER_PROF": 27}[timer]
        signal.signal(number, lambda *_: os._exit(7))
        signal.setitimer(getattr(signal, timer), 0.1)

    def works():
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass
        return os.getpid()

    pid = single.task(works).delay().get(timeout=SOON)
    single.task(sets).delay(timer).get(timeout=SOON)
    assert single.task(works).delay().get(timeout=SOON) == pid


@pytest.mark.parametrize(
    ("pool", "deaf", "neighbour", "end"),
    [
        pytest.param("threads", blocks, patient, "revoked", marks=pytest.mark.long),
        ("threads", blocks, patient, "late"),
        pytest.param("threads", holds, patient, "late", marks=pytest.mark.long),
        pytest.param("threads", holds, patient, "revoked", marks=pytest.mark.long),
        pytest.param("threads", catches, patient, "revoked", marks=pytest.mark.long),
        pytest.param("threads", catches, patient, "late", marks=pytest.mark.long),
        pytest.param("prefork", holds_its_loop, patient_coroutine, "revoked", marks=pytest.mark.long),
        pytest.param("prefork", holds_its_loop, patient_coroutine, "late", marks=pytest.mark.long),
        pytest.param("prefork", swallows, patient_coroutine, "revoked", marks=pytest.mark.long),
        ("prefork", swallows, patient_coroutine, "late"),
    ],
)
def test_calls_side_by_side_are_stopped_and_their_neighbours_are_not_charged(
    end, pool, deaf, neighbour, home, tmp_path, ledger, gate, eventually
):
    with App("test") as app:
        app.start_workers(1, pool=pool, threads=8)
        beside = [app.task(neighbour).delay(ledger.path, gate.path) for _ in range(4)]
        eventually(lambda: len(ledger.lines()) == 4, "the neighbours run")
        options = {"time_limit": 0.5} if end == "late" else {}
        handle = app.task(deaf, **options).delay(str(tmp_path / "deaf"))
        eventually((tmp_path / "deaf").exists, "it runs")
        if end == "revoked":
            handle.revoke(terminate=True)
        error = TaskRevokedError if end == "revoked" else TimeLimitExceeded
        with pytest.raises(error):
            handle.get(timeout=SOON)
        gate.open()
        assert [one.get(timeout=SOON) for one in beside] == ["well"] * 4
        # Whoever was hit once more would be charged: at the third time a call is given up.
        assert app.task(len).delay("abc").get(timeout=SOON) == 3


@pytest.mark.parametrize(
    ("pool", "end"),
    [
        ("prefork", "late"),
        pytest.param("prefork", "revoked", marks=pytest.mark.long),
        pytest.param("threads", "late", marks=pytest.mark.long),
        pytest.param("threads", "revoked", marks=pytest.mark.long),
    ],
)
def test_a_result_that_does_not_come_out_is_stopped(pool, end, home, tmp_path, eventually):
    class Endless:
        def __init__(self, path):
            self.path = path

        def __reduce__(self):
            Path(self.path).touch()
            while True:
                time.sleep(0.1)

    def gives(path):
        return Endless(path)

    def raises(path):
        error = ValueError()
        error.endless = Endless(path)
        raise error

    async def gives_later(path):
        return Endless(path)

    with App("test") as app:
        app.start_workers(3 if pool == "prefork" else 1, pool=pool)
        options = {"time_limit": 0.5} if end == "late" else {}
        tasks = [app.task(task, **options) for task in (gives, gives_later, raises)]
        paths = [tmp_path / str(number) for number in range(len(tasks))]
        handles = [task.delay(str(path)) for task, path in zip(tasks, paths, strict=True)]
        eventually(lambda: all(path.exists() for path in paths), "results are packed")
        if end == "revoked":
            for handle in handles:
                handle.revoke(terminate=True)
        error = TaskRevokedError if end == "revoked" else TimeLimitExceeded
        assert errors(dict(enumerate(handles))) == dict.fromkeys(range(len(tasks)), error)
        assert app.task(len).delay("abc").get(timeout=SOON) == 3


def test_what_a_stopped_call_was_stopped_for_is_not_told_of_the_next(single):
    class Odd:
        def __reduce__(self):
            return int, ("no number",)

    with pytest.raises(TimeLimitExceeded):
        single.task(time.sleep, time_limit=0.2).delay(60).get(timeout=SOON)
    with pytest.raises(ValueError, match="invalid literal"):
        single.task(len).delay([Odd()]).get(timeout=SOON)


def test_who_is_stopped_goes_on(app):
    def stops():
        server = os.getppid()
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for pid in [*(int(pid) for pid in children if int(pid) != os.getpid()), server, os.getpid()]:
            os.kill(pid, signal.SIGSTOP)
        return len(children)

    assert app.task(stops).delay().get(timeout=SOON) == 2
    all_run(app, 2, SOON)


def test_a_stopped_supervisor_ends_all_the_same(app):
    supervisor = app.local_workers.pid
    os.kill(supervisor, signal.SIGSTOP)
    assert app.local_workers.stop(timeout_s=SOON)
    assert not runs(supervisor)


def test_a_worker_ends_whatever_a_module_does_that_it_has_imported(project, eventually):
    Path("jobs.py").write_text("import nbtasks\napp = nbtasks.App('x', include=['clinging'])\n")
    Path("clinging.py").write_text(
        "import atexit, signal, time\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "atexit.register(time.sleep, 300)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "nbtasks", "worker", "-A", "jobs", "-P", "solo", "-l", "info"],
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        while "ready" not in worker.stderr.readline():
            assert worker.poll() is None
        worker.terminate()
        assert worker.wait(SOON) == 0
