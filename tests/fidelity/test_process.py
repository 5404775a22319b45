"""What a task does to its process, and what it starts: as in a program of its own, and nothing of it reaches others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from nbtasks import App, Retry, TaskError, TimeLimitExceeded, WorkerLostError, current_call, progress

SOON = 60.0

#: How a call may be run: in the main thread, in a thread, in the event loop.
WAYS = ("inline", "thread", "coroutine")


class Ways:
    """Runs a function as a call, in each way; the function sees nothing of the difference."""

    def __init__(self, inline, threads) -> None:
        self._inline = inline
        self._threads = threads

    def __call__(self, way, function, *args):
        if way == "thread":
            return self._threads.task(function).delay(*args)
        if way == "inline":
            return self._inline.task(function).delay(*args)

        async def coroutine(*args):
            return function(*args)

        return self._inline.task(coroutine).delay(*args)


@pytest.fixture(scope="module")
def inline(run_folder):
    """An App whose worker has one child: what one call leaves, the next one would find."""
    with App("process", namespace="t-process") as app:
        app.start_workers(1)
        yield app


@pytest.fixture(scope="module")
def run(inline):
    """A :class:`Ways`."""
    with App("process-threads", namespace="t-process-threads") as threads:
        threads.start_workers(1, pool="threads")
        yield Ways(inline, threads)


# --- streams --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_what_is_no_text_is_an_error_of_that_write(run, way):
    def write(name):
        stream, told = getattr(sys, name), []
        for wrong in (b"raw", bytearray(b"raw"), memoryview(b"raw"), 5, None, ["a"], ("a",), 1.5):
            for attempt in (stream.write, lambda one: stream.writelines([one])):
                try:
                    attempt(wrong)
                except TypeError as error:
                    told.append(str(error) == f"write() argument must be str, not {type(wrong).__name__}")
        try:
            stream.buffer.write("text")
        except TypeError as error:
            told.append("bytes-like" in str(error))
        print("told", file=stream)
        return told

    for name in ("stdout", "stderr"):
        result = run(way, write, name)
        assert result.get(timeout=SOON) == [True] * 17
        assert getattr(result, name) == "told\n"


def test_a_write_that_is_none_fails_its_own_call_only(inline):
    @inline.task
    def write(number):
        if number == 3:
            sys.stdout.write(b"raw")
        return number, current_call().attempt

    found = write.map(range(8)).get(timeout=SOON, propagate=False)
    assert isinstance(found.pop(3), TypeError)
    assert found == [(number, 1) for number in range(8) if number != 3]


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_is_what_pythons_is(run, way):
    def look():
        out = sys.stdout
        seen = (out.mode, out.name, out.encoding, out.fileno(), out.isatty(), out.writable(), out.closed)
        print("text", end="|")
        out.buffer.write(b"bytes|")
        out.buffer.raw.write(bytearray("ä|", "utf-8")[:1])
        out.buffer.write(memoryview("ä|".encode())[1:])
        out.writelines(["one|", "two|"])
        print("\ud800 kept", end="|")
        sys.__stdout__.write("dunder")
        sys.__stderr__.write("error")
        return seen

    result = run(way, look)
    assert result.get(timeout=SOON) == ("w", "<stdout>", "utf-8", 1, False, True, False)
    assert result.stdout == "text|bytes|ä|one|two|\ud800 kept|dunder"
    assert result.stderr == "error"


@pytest.mark.parametrize("way", WAYS)
def test_what_a_call_does_to_its_streams_is_for_itself(run, way, tmp_path):
    def spoil(how, path):
        if how == "close":
            sys.stdout.close()
            told = [sys.stdout.closed]
        elif how == "detach":
            below = sys.stdout.detach()
            below.write(b"below\n")
            told = [True]
        elif how == "encoding":
            sys.stdout.reconfigure(encoding="ascii", errors="strict", line_buffering=True)
            told = [sys.stdout.encoding == "ascii"]
        elif how == "method":
            sys.stdout.write = sys.stderr.write
            return [True]
        elif how == "original":
            sys.__stdout__.close()
            sys.__stdout__ = sys.__stderr__ = None
            return [True]
        else:
            sys.stdout = open(path, "w") if how == "file" else None  # noqa: SIM115, PTH123
            sys.stderr = sys.stdout
            print("into it")
            return [True]
        try:
            print("ä")
        except ValueError:
            told.append(True)
        return told

    def speak():
        print("spökén")
        print("to both", file=sys.stderr, flush=True)
        sys.__stdout__.write("dunder\n")
        return sys.stdout.encoding, sys.stdout.closed

    for how in ("close", "detach", "encoding", "method", "original", "file", "none"):
        spoiled = run(way, spoil, how, str(tmp_path / "file"))
        assert all(spoiled.get(timeout=SOON)), how
        assert spoiled.stdout == ("below\n" if how == "detach" else ""), how
        spoken = run(way, speak)
        assert spoken.get(timeout=SOON) == ("utf-8", False), how
        assert (spoken.stdout, spoken.stderr) == ("spökén\ndunder\n", "to both\n"), how


@pytest.mark.parametrize("way", WAYS)
def test_what_a_calls_threads_print_and_report_is_the_calls(run, way, gate, eventually):
    path = gate.path

    def work():
        import _thread
        import contextlib
        import io
        import logging
        import threading
        import time
        from concurrent.futures import ThreadPoolExecutor
        from multiprocessing.pool import ThreadPool

        ids, ended = [], threading.Event()

        def part(name):
            print(name)
            progress(len(ids), 5, name)
            ids.append(current_call().id)

        def last():
            part("raw")
            ended.set()

        thread = threading.Thread(target=part, args=("thread",))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(part, "pool").result()
        with ThreadPool(1) as other:
            other.map(part, ["other"])
        _thread.start_new_thread(last, ())
        ended.wait(30)
        handler = logging.StreamHandler()
        logging.getLogger("of.a.task").addHandler(handler)
        logging.getLogger("of.a.task").warning("logged")
        logging.getLogger("of.a.task").removeHandler(handler)
        with contextlib.redirect_stdout(io.StringIO()) as kept:
            print("redirected")
        end = time.monotonic() + 60
        while not os.path.exists(path) and time.monotonic() < end:  # noqa: PTH110
            time.sleep(0.01)
        return set(ids) == {current_call().id}, kept.getvalue()

    result = run(way, work)
    # In the event loop the call that blocks it is seen to make progress, too.
    eventually(
        lambda: result.progress is not None and result.progress.message == "raw",
        "its last thread has reported",
    )
    gate.open()
    assert result.get(timeout=SOON) == (True, "redirected\n")
    assert result.stdout == "thread\npool\nother\nraw\n"
    assert result.stderr == "logged\n"


# --- what a call starts ---------------------------------------------------------------------------------------

#: Prints the signals of a program that are not as the system has them, and its mask.
SIGNALS = """
import signal
numbers = [s for s in signal.Signals if s not in (signal.SIGKILL, signal.SIGSTOP)]
odd = {s.name for s in numbers if signal.getsignal(s) not in (signal.SIG_DFL, signal.default_int_handler)}
print(sorted(odd - {"SIGPIPE", "SIGXFSZ", "SIGXFZ"}), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), end=" ")
print(signal.set_wakeup_fd(-1), signal.getitimer(signal.ITIMER_REAL), signal.getitimer(signal.ITIMER_PROF))
"""


@pytest.mark.parametrize("way", WAYS)
def test_what_a_call_starts_has_the_signals_of_any_program(run, way):
    def start():
        import asyncio
        import pty
        import shlex
        import threading

        command, told = [sys.executable, "-c", SIGNALS], {}
        told["subprocess"] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        told["shell"] = os.popen(shlex.join(command)).read()
        reading, writing = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, writing, 1)]
        os.waitpid(os.posix_spawn(command[0], command, os.environ, file_actions=actions), 0)
        os.close(writing)
        told["spawn"] = os.read(reading, 65536).decode()
        pid, terminal = pty.fork()
        if not pid:
            os.execv(command[0], command)
        shown = b""
        while b"\n" not in shown:
            shown += os.read(terminal, 65536)
        told["pty"] = shown.decode().replace("\r", "")
        os.waitpid(pid, 0)

        async def with_asyncio():
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, stdout=pipe)
            return (await process.communicate())[0].decode()

        thread = threading.Thread(target=lambda: told.update(asyncio=asyncio.run(with_asyncio())))
        thread.start()
        thread.join()
        told["interrupted"] = []
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(["sleep", "60"])
            process.send_signal(number)
            told["interrupted"].append(process.wait(30))
        return told

    told = run(way, start).get(timeout=SOON)
    assert told.pop("interrupted") == [-signal.SIGINT, -signal.SIGTERM]
    assert told == dict.fromkeys(told, "[] [] -1 (0.0, 0.0) (0.0, 0.0)\n")


@pytest.mark.parametrize("way", ["inline", *(pytest.param(way, marks=pytest.mark.long) for way in WAYS[1:])])
def test_pools_of_processes_in_a_call_end(run, way):
    def work(how):
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context(how)
        with context.Pool(2) as pool:
            first = pool.map(abs, [-1, -2])
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            return first, list(executor.map(abs, [-3, -4]))

    for how in ("fork", "spawn", "forkserver"):
        assert run(way, work, how).get(timeout=SOON) == ([1, 2], [3, 4]), how


# --- ends of a call -------------------------------------------------------------------------------------------


class Enough(BaseException):
    """Not an Exception, as some libraries have them."""


@pytest.mark.parametrize("way", WAYS)
def test_an_exception_that_is_no_exception_comes_back_as_it_is(run, way):
    def end(kind, *args):
        raise kind(*args)

    for kind in (Enough, BaseException):
        with pytest.raises(BaseException, match="said") as caught:
            run(way, end, kind, "said", 5).get(timeout=SOON)
        assert (type(caught.value).__name__, caught.value.args) == (kind.__name__, ("said", 5))
        assert caught.traceback[-1].name == "end"
    for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):
        with pytest.raises(TaskError, match=f"{kind.__name__}: said"):
            run(way, end, kind, "said").get(timeout=SOON)


def test_endless_recursion_hurts_its_own_call(inline):
    @inline.task
    def sink(number, through_c):
        if number == 2:
            sys.setrecursionlimit(10**6)

            def deeper(_=None):
                return list(map(deeper, [0])) if through_c else deeper()

            deeper()
        return number, current_call().attempt, sys.getrecursionlimit()

    for through_c in (False, True):
        found = sink.starmap([(number, through_c) for number in range(5)]).get(timeout=SOON, propagate=False)
        error = found.pop(2)
        if isinstance(error, WorkerLostError):
            assert "SIGSEGV" in str(error)
        else:
            assert isinstance(error, (RecursionError, MemoryError))
        assert found == [(number, 1, 1000) for number in (0, 1, 3, 4)]


# --- what a call changes of its process -----------------------------------------------------------------------


def surroundings():
    """Return what a call finds of its process."""
    import asyncio
    import builtins
    import decimal
    import faulthandler
    import gc
    import locale
    import multiprocessing
    import resource
    import socket
    import threading
    import time
    import warnings

    mask = os.umask(0o077)
    os.umask(mask)
    try:
        loop = asyncio.get_event_loop_policy().get_event_loop() is not None
    except RuntimeError:
        loop = False
    handled = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE)]
    return {
        "folder": os.getcwd(),  # noqa: PTH109
        "environ": (
            os.environ.get("OF_A_TASK"),
            os.environ.get("HOME"),
            type(os.environ).__name__,
            os.getenv("TZ"),
        ),
        "zone": time.tzname,
        "mask": mask,
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": (str(decimal.Decimal(1) / 7), decimal.DefaultContext.prec),
        "signals": [str(one) for one in handled],
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "timers": [signal.getitimer(one) for one in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)],
        "limits": (
            sys.getrecursionlimit(),
            resource.getrlimit(resource.RLIMIT_CORE),
            sys.getswitchinterval(),
        ),
        "hooks": [
            one.__name__
            for one in (sys.excepthook, sys.displayhook, threading.excepthook, sys.unraisablehook)
        ],
        "builtins": (builtins.print is print, print.__name__, open.__name__, len.__name__),
        "warnings": [str(one) for one in warnings.filters],
        "timeout": socket.getdefaulttimeout(),
        "gc": (gc.isenabled(), gc.get_threshold()),
        "trace": (sys.gettrace(), sys.getprofile(), threading.gettrace()),
        "faulthandler": faulthandler.is_enabled(),
        "argv": list(sys.argv),
        "stdin": getattr(sys.stdin, "name", None),
        "processes": multiprocessing.get_start_method(allow_none=True),
        "loop": loop,
        "streams": (type(sys.stdout).__name__, type(sys.__stdout__).__name__),
    }


#: What a call may change. What is changed by assignment may be looked for once in a millisecond only.
CHANGES = {
    "folder": "os.chdir('/')",
    "folder by descriptor": "fd = os.open('/', os.O_RDONLY); os.fchdir(fd); os.close(fd)",
    "environ": "os.environ['OF_A_TASK'] = '1'; os.environ.update(HOME='/nowhere'); os.putenv('OF_A_TASK', '2')",
    "cleared": "os.environ.clear()",
    "replaced": "os.environ = {}",
    "zone": "os.environ['TZ'] = 'Asia/Tokyo'; time.tzset()",
    "mask": "os.umask(0)",
    "locale": "locale.setlocale(locale.LC_ALL, 'C')",
    "category": "locale.setlocale(category=locale.LC_NUMERIC, locale='POSIX'); locale.setlocale(locale.LC_TIME, 'C')",
    "decimal": "decimal.getcontext().prec = 5; decimal.setcontext(decimal.Context(prec=3))",
    "defaults": "decimal.DefaultContext.prec = 7; time.sleep(0.01)",
    "signals": "[signal.signal(s, print) for s in (signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM, signal.SIGPROF)]",
    "ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(signal.SIGPIPE, signal.SIG_DFL)",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
    "timers": "signal.signal(signal.SIGPROF, print); signal.setitimer(signal.ITIMER_PROF, 0.01, 0.01)",
    "alarm": "signal.signal(signal.SIGALRM, print); signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)",
    "recursion": "sys.setrecursionlimit(9999)",
    "cores": "resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))",
    "hooks": "sys.excepthook = sys.displayhook = threading.excepthook = print; time.sleep(0.002)",
    "builtins": "builtins.print = builtins.len = repr; del builtins.input",
    "rare builtins": "builtins.sorted = None; time.sleep(0.01)",
    "warnings": "warnings.simplefilter('error'); warnings.filterwarnings('ignore', 'x')",
    "no warnings": "warnings.resetwarnings()",
    "timeout": "socket.setdefaulttimeout(0.01)",
    "gc": "gc.disable(); gc.set_threshold(5)",
    "trace": "no = lambda *_: None; sys.settrace(no); sys.setprofile(no); threading.settrace(no); time.sleep(0.002)",
    "faulthandler": "faulthandler.disable()",
    "dump": "faulthandler.dump_traceback_later(0.3, exit=True)",
    "argv": "sys.argv[:] = ['else']; sys.argv.append('more'); time.sleep(0.002)",
    "stdin": "sys.stdin = None; time.sleep(0.002)",
    "processes": "multiprocessing.set_start_method('spawn')",
    "loop": "asyncio.run(asyncio.sleep(0))",
    "policy": "asyncio.set_event_loop(asyncio.new_event_loop())",
}


def change(what):
    """Change something; returns an error that this has raised."""
    import importlib

    names = {name: importlib.import_module(name) for name in NAMES}
    try:
        exec(CHANGES[what], names)
    except Exception as error:  # noqa: BLE001
        return repr(error)
    return None


NAMES = (
    "asyncio", "builtins", "decimal", "faulthandler", "gc", "locale", "multiprocessing", "os", "resource", "signal",
    "socket", "sys", "threading", "time", "warnings",
)  # fmt: skip


@pytest.mark.parametrize("chunk", [None, 1])
def test_what_a_call_changes_of_its_process_does_not_reach_the_next(inline, chunk):
    def one(what):
        return surroundings() if what is None else change(what)

    task = inline.task(one)
    before = task.delay(None).get(timeout=SOON)
    plan = [part for what in CHANGES for part in (what, None)]
    found = task.map(plan, chunk=chunk or len(plan)).get(timeout=SOON)
    for what, error, after in zip(CHANGES, found[::2], found[1::2], strict=True):
        assert error is None, what
        assert after == before, what


@pytest.mark.parametrize("way", ["thread", "coroutine"])
def test_what_a_call_changes_is_put_back_when_it_was_alone(run, way):
    def look():
        seen = run(way, surroundings).get(timeout=SOON)
        # A pool of an earlier call has chosen it; that is put back when nothing runs here.
        del seen["processes"]
        return seen

    before = look()
    for what in (
        "folder",
        "environ",
        "locale",
        "decimal",
        "mask",
        "recursion",
        "warnings",
        "timeout",
        "hooks",
    ):
        assert run(way, change, what).get(timeout=SOON) is None
        assert look() == before, what


def test_what_a_call_changes_is_put_back_as_soon_as_its_end_is_told(run, gate):
    path = gate.path

    def change_and_stay():
        import time

        from nbtasks.signals import task_postrun

        own = current_call().id

        def stay(task_id=None, **_):
            end = time.monotonic() + 60
            while task_id == own and not os.path.exists(path) and time.monotonic() < end:  # noqa: PTH110
                time.sleep(0.01)

        task_postrun.connect(stay, weak=False)
        os.environ["OF_A_TASK"] = "1"

    def look():
        return os.environ.get("OF_A_TASK")

    # The thread that has run it is still busy with it when the next one comes.
    assert run("thread", change_and_stay).get(timeout=SOON) is None
    assert run("thread", look).get(timeout=SOON) is None
    gate.open()


def spoil(name):
    """Replace a built-in function by one that fails in the thread that tells, and go on until it has done so there."""
    import builtins
    import threading
    import time

    function, told = getattr(builtins, name), []

    def spoilt(*args, **kwargs):
        if threading.current_thread().name == "nbtasks-reporter":
            told.append(name)
            raise TypeError(name)
        return function(*args, **kwargs)

    setattr(builtins, name, spoilt)
    end = time.monotonic() + 30
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    return bool(told)


@pytest.mark.parametrize("name", ["len", "sorted", "bytes"])
def test_while_a_call_replaces_a_built_in_function_nothing_is_lost(inline, gate, eventually, name):
    """What has ended before is told by a thread beside it, and so is what comes after it."""
    path = gate.path

    def work(number):
        if number == 4:
            return spoil(name)
        if number == 2 and current_call().attempt == 1:
            raise Retry("again", 0.0)
        return number

    async def wait():
        import asyncio

        progress(1, 2, "waits")
        while not os.path.exists(path):  # noqa: ASYNC110, ASYNC240, PTH110
            await asyncio.sleep(0.01)

    # The first one's result is sent at once, the others wait for more.
    assert inline.task(work).map(range(6), chunk=6).get(timeout=SOON) == [0, 1, 2, 3, True, 5]
    waiting = inline.task(wait).delay()
    eventually(lambda: waiting.progress is not None, "it tells how far it is while it runs")
    gate.open()
    waiting.get(timeout=SOON)


def test_what_a_module_changes_when_it_is_imported_stays(inline, tmp_path):
    name = f"changing_{os.getpid()}"
    (tmp_path / f"{name}.py").write_text(
        "import os, sys\nos.environ['OF_A_MODULE'] = 'yes'\nsys.setrecursionlimit(1234)\n"
    )

    @inline.task
    def use(folder):
        if folder:
            sys.path.append(folder)
            __import__(name)
            sys.path.remove(folder)
        found = os.environ.get("OF_A_MODULE"), sys.getrecursionlimit()
        os.environ["OF_A_MODULE"] = "no"
        return found

    assert use.delay(str(tmp_path)).get(timeout=SOON) == ("yes", 1234)
    assert use.delay(None).get(timeout=SOON) == ("yes", 1234)

    @inline.task
    def forget():
        import importlib

        @importlib.import_module("types").coroutine
        def nothing():
            yield

        os.environ.pop("OF_A_MODULE")
        sys.setrecursionlimit(1000)

    forget.delay().get(timeout=SOON)


def test_a_handler_of_one_call_is_not_run_in_the_time_limit_of_the_next(inline):
    @inline.task(time_limit=20)
    def wait(number):
        import time

        def ring(*_):
            raise LookupError(f"the alarm of {number}")

        if number % 2 == 0:
            signal.signal(signal.SIGALRM, ring)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            return "set"
        time.sleep(0.15)
        return "slept"

    assert wait.map(range(6), chunk=6).get(timeout=SOON) == ["set", "slept"] * 3

    @inline.task(time_limit=0.3)
    def late():
        import time

        time.sleep(60)

    with pytest.raises(TimeLimitExceeded):
        late.delay().get(timeout=SOON)


def test_figures_of_one_call_are_not_the_nexts(inline):
    pytest.importorskip("matplotlib")

    @inline.task
    def plot(number):
        import matplotlib as mpl

        mpl.use("agg")
        from matplotlib import pyplot as plt

        plt.plot([number])
        return len(plt.gca().lines), len(plt.get_fignums())

    assert plot.map(range(3), chunk=1).get(timeout=SOON) == [(1, 1)] * 3


def test_figures_of_calls_side_by_side_are_each_its_own(inline):
    pytest.importorskip("matplotlib")

    @inline.task
    async def plot(number):
        import asyncio

        from matplotlib import pyplot as plt

        for _ in range(5):
            plt.plot([number])
            await asyncio.sleep(0.02)
        await asyncio.to_thread(plt.title, f"number {number}")
        return len(plt.gca().lines), plt.get_fignums(), plt.gca().get_title()

    @inline.task
    def plot_two(number):
        from matplotlib import pyplot as plt

        plt.figure()
        plt.figure(7)
        plt.figure(1)
        plt.close(7)
        return plt.get_fignums(), plt.gcf().number

    import matplotlib as mpl

    mpl.use("agg")
    slow, fast = plot.map(range(6)), plot_two.map(range(6))
    assert slow.get(timeout=SOON) == [(5, [1], f"number {n}") for n in range(6)]
    assert fast.get(timeout=SOON) == [([1], 1)] * 6
    assert plot.delay(9).get(timeout=SOON) == (5, [1], "number 9")


# --- processes of a call know the notebook's functions and classes --------------------------------------------

NESTED = """
import multiprocessing, pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

FACTOR = 10

@dataclass
class Row:
    value: int

def times(n):
    return n * FACTOR

def row(n):
    return Row(times(n))

def put(queue, n):
    queue.put(row(n))

def with_pool(how):
    with multiprocessing.get_context(how).Pool(2) as pool:
        found = pool.map(row, [1, 2])
        return [one == Row(value) for one, value in zip(found, (10, 20))], pool.apply(times, (3,))

def with_executor(how):
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(how)) as executor:
        found = list(executor.map(row, [1, 2]))
        return [type(one) is Row and one.value for one in found]

def with_process(how):
    context = multiprocessing.get_context(how)
    queue = context.SimpleQueue()
    process = context.Process(target=put, args=(queue, 4))
    process.start()
    found = queue.get()
    process.join()
    return found == Row(40), process.exitcode

def with_locals(how):
    shift = 5
    def local(n):
        return n + shift
    with multiprocessing.get_context(how).Pool(2) as pool:
        return pool.map(local, [1, 2]), pool.map(lambda n: n * shift, [1, 2])

def plainly():
    return pickle.loads(pickle.dumps((row, Row(3)))) == (row, Row(3))
"""


# Not in a coroutine: it would block the loop that others wait for, and they would be given away and come back.
@pytest.mark.parametrize("way", ["inline", pytest.param("thread", marks=pytest.mark.long)])
def test_processes_of_a_call_know_the_notebook(run, way, notebook):
    notebook.run(NESTED)
    for how in ("fork", "spawn", "forkserver"):
        names = ("with_pool", "with_executor", "with_process", "with_locals")
        results = {name: run(way, notebook[name], how) for name in names}
        found = {name: result.get(timeout=SOON) for name, result in results.items()}
        assert found == {
            "with_pool": ([True, True], 30),
            "with_executor": [10, 20],
            "with_process": (True, 0),
            "with_locals": ([6, 7], [5, 10]),
        }, how
    assert run(way, notebook["plainly"]).get(timeout=SOON) is True


# --- what cannot be told --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["output", "parts", "seconds", "progress", "retry"])
def test_what_cannot_be_told_fails_its_own_call(run, way, what):
    def spoil(what):
        import time

        from nbtasks.core.errors import Retry

        call = current_call()

        class Kept:
            def kept(self):
                return [[object()]]

            take_live = kept

        if what == "output":
            call.output = Kept()
        elif what == "seconds":
            # As a library does that makes time stand still.
            time.perf_counter = lambda: 1j
        elif what == "progress":
            call.report(call, object(), {1}, b"bytes")
            time.sleep(0.3)
        else:
            print("text")
            call.output._head.append([object()])
            call.output._live.append([object()])
            if what == "retry":
                raise Retry("again", 0.0)
            time.sleep(0.3)
        return call.attempt

    def work():
        return current_call().attempt

    spoilt = run(way, spoil, what)
    others = [run(way, work) for _ in range(3)]
    assert [other.get(timeout=SOON) for other in others] == [1, 1, 1]
    found = spoilt.get(timeout=SOON, propagate=False)
    assert found == 1 or isinstance(found, Exception)


# --- CPUs -----------------------------------------------------------------------------------------------------

MATH = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def test_children_share_the_cpus(home, monkeypatch):
    for name in MATH:
        monkeypatch.delenv(name, raising=False)

    def look():
        return [os.environ.get(name) for name in MATH]

    children = len(os.sched_getaffinity(0)) * 2
    with App("math") as app:
        app.start_workers(children)
        task = app.task(look)
        assert task.delay().get(timeout=SOON) == ["1"] * 5
        app.start_workers(children, env={"OMP_NUM_THREADS": "7"})
        # The others go by what is said for OpenMP.
        assert task.delay().get(timeout=SOON) == ["7", None, None, None, "1"]
        app.stop_workers()
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        try:
            app.start_workers()
            assert len(app.workers()) == 1
            assert app.workers()[0].concurrency == 1
        finally:
            os.sched_setaffinity(0, before)


def test_what_the_notebook_changes_after_the_start_is_named(project, tmp_path_factory, monkeypatch):
    import time

    from nbtasks.jupyter.panel.workerslist import workers_panel

    def look():
        return os.getcwd(), os.environ.get("OF_THE_NOTEBOOK")  # noqa: PTH109

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with App("setting") as app:
        app.start_workers(1)
        task, (worker,) = app.task(look), app.workers()
        assert worker.changes == ""
        app.start_workers(1)
        assert app.workers()[0].id == worker.id
        monkeypatch.chdir(elsewhere)
        monkeypatch.setenv("OF_THE_NOTEBOOK", "1")
        (worker,) = app.workers()
        named = (
            f"the working folder ({elsewhere}, theirs is {project}) and environment variable OF_THE_NOTEBOOK"
        )
        assert worker.changes == named
        assert named in workers_panel([worker], time.time(), lambda batch, index: batch).notes[0]
        assert task.delay().get(timeout=SOON) == (str(project), None)
        app.start_workers(1)
        assert task.delay().get(timeout=SOON) == (str(elsewhere), "1")
        assert all(one.changes == "" for one in app.workers())
