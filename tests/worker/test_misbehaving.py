"""Objects that raise when they are only looked at: before a call begins, or when it has returned."""

from __future__ import annotations

import builtins
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from nbtasks import App, ConfigError, NotPicklable, Retry, current_call, progress
from nbtasks.core.context import report_state

SOON = 60.0
POOLS = ["prefork", "threads", "coroutines"]


class Odd:
    """Raises in one of its methods, or in all of them."""

    def __init__(self, where, error=RuntimeError):
        self.__dict__.update(where=where, error=error)

    def _raise(self, name):
        if self.where in (name, "all"):
            raise self.error("odd")

    def __repr__(self):
        self._raise("repr")
        return "<Odd>"

    def __str__(self):
        self._raise("str")
        return "odd"

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self._raise("getattr")
        raise AttributeError(name)

    def __reduce__(self):
        self._raise("reduce")
        return Odd, ("nothing",)

    def __len__(self):
        self._raise("len")
        return 0

    def __bool__(self):
        self._raise("bool")
        return False

    def __eq__(self, other):
        self._raise("eq")
        return self is other

    def __hash__(self):
        self._raise("hash")
        return 1

    def __del__(self):
        self._raise("del")


class OddError(Exception):
    """An exception that raises in one of its methods, or in all of them."""

    def __init__(self, where, error=RuntimeError):
        super().__init__(where)
        self.where, self.error = where, error

    def _raise(self, name):
        if self.where in (name, "all"):
            raise self.error("odd")

    def __repr__(self):
        self._raise("repr")
        return "<OddError>"

    def __str__(self):
        self._raise("str")
        return "odd"

    def __reduce__(self):
        self._raise("reduce")
        return OddError, ("nothing",)

    def __eq__(self, other):
        self._raise("eq")
        return self is other

    __hash__ = None

    def __bool__(self):
        self._raise("bool")
        return False


class Links(Exception):
    """An exception whose attributes are code."""

    @property
    def __cause__(self):
        return Links("one more")

    @property
    def __traceback__(self):
        raise SystemExit("no traceback")

    @property
    def args(self):
        raise KeyboardInterrupt


class Closed(Exception):
    """An exception that lets nobody look at it."""

    def __getattribute__(self, name):
        raise SystemExit(name)


class Notes(Exception):
    """An exception with notes that are none."""

    __notes__ = property(lambda self: sys.exit("no notes"))


class Text(str):
    """A text that is no text."""

    __slots__ = ()

    def __getitem__(self, what):
        raise RuntimeError("no part of it")

    def __len__(self):
        return 10**30

    def __str__(self):
        return self


class NoCountdown(Retry):
    """A Retry that is none."""

    def __init__(self):
        pass


def boom(*_):
    """Code of a user's that ends a program."""
    raise SystemExit("on arrival")


class OnArrival:
    """Cannot be read where it arrives."""

    def __reduce__(self):
        return boom, ()


@pytest.fixture(scope="module", params=POOLS)
def run(request, run_folder):
    """``run(function, *args)`` runs it in a worker with one child that logs all; returns its result's handle."""
    pool = request.param
    with App(pool, namespace=f"t-odd-{pool}") as app:
        app.start_workers(1, loglevel="info", **({"pool": "threads"} if pool == "threads" else {}))

        def submit(function, *args, **options):
            if pool != "coroutines":
                return app.task(function, **options).delay(*args)

            async def later(*args):
                return function(*args)

            return app.task(later, name=function.__name__, **options).delay(*args)

        submit.pool = pool
        submit.pid = submit(os.getpid).get(timeout=SOON)
        yield submit


@pytest.fixture(autouse=True)
def same_process(run):
    """No child has died for it."""
    yield
    assert run(os.getpid).get(timeout=SOON) == run.pid


METHODS = ["repr", "str", "getattr", "len", "bool", "eq", "hash", "del", "all"]


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_values(run, error):
    def give(where, error):
        return Odd(where, error)

    results = {where: run(give, where, error) for where in [*METHODS, "reduce"]}
    for where, result in results.items():
        if where in ("reduce", "all"):
            with pytest.raises(NotPicklable):
                result.get(timeout=SOON)
        else:
            assert result.get(timeout=SOON).where == "nothing"


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_errors(run, error):
    def fail(where, error):
        raise OddError(where, error)

    for result in [run(fail, where, error) for where in ["repr", "str", "reduce", "eq", "bool", "all"]]:
        found = result.get(timeout=SOON, propagate=False)
        assert type(found).__name__ == "OddError" or "OddError" in str(found)
        assert result.state == "FAILURE"


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_errors_that_are_retried(run, error):
    def fail(where, error):
        raise OddError(where, error)

    wheres = ["repr", "str", "reduce", "all"]
    results = [run(fail, where, error, retries=1, default_retry_delay=0.01) for where in wheres]
    for result in results:
        result.get(timeout=SOON, propagate=False)
        assert (result.state, result.retries) == ("FAILURE", 1)


def test_an_error_that_nobody_can_look_at(run):
    def fail():
        raise Closed("closed")

    once, twice = run(fail), run(fail, retries=1, default_retry_delay=0.01)
    for result, retries in ((once, 0), (twice, 1)):
        result.get(timeout=SOON, propagate=False)
        assert (result.state, result.retries) == ("FAILURE", retries)


def test_a_result_that_is_nested_too_deeply(run):
    def nest():
        value = []
        for _ in range(100_000):
            value = [value]
        return value

    with pytest.raises(NotPicklable, match="nested too deeply"):
        run(nest).get(timeout=SOON)


def test_numbers_of_progress_that_raise(run):
    class Number:
        def __init__(self, error):
            self.error = error

        def __float__(self):
            raise self.error

        __len__ = __iter__ = keys = __float__

    def work(error):
        progress(Number(error), Number(error), Number(error))
        report_state(current_call(), "", {"current": Number(error), "total": Number(error)})
        report_state(current_call(), "", Number(error))
        return "done"

    for error in (RuntimeError, SystemExit, KeyboardInterrupt):
        assert run(work, error).get(timeout=SOON) == "done"


def test_errors_with_odd_links(run):
    def fail(kind):
        if kind == "links":
            raise Links("code")
        if kind == "notes":
            raise Notes("noted")
        if kind == "chain":
            last = None
            for i in range(100_000):
                link = ValueError(i)
                link.__cause__ = last
                last = link
            raise last
        if kind == "circle":
            one, other = ValueError("one"), ValueError("other")
            one.__cause__, other.__cause__ = other, one
            raise one
        if kind == "group":
            raise builtins.BaseExceptionGroup("several", [Links("code"), SystemExit("out"), OddError("all")])
        if kind == "cause":
            raise ValueError("above") from OddError("all", SystemExit)
        raise type("Meta", (type,), {"__name__": property(boom)})("Named", (Exception,), {})("named")

    kinds = ["links", "notes", "chain", "circle", "cause"]
    if sys.version_info >= (3, 11):
        kinds.append("group")
    for result in [run(fail, kind) for kind in kinds]:
        assert isinstance(result.get(timeout=SOON, propagate=False), BaseException)
        assert result.state == "FAILURE"
        assert isinstance(result.traceback, str)


def test_an_argument_that_cannot_be_read(run):
    def take(value):
        return value

    result = run(take, OnArrival())
    result.get(timeout=SOON, propagate=False)
    assert result.state == "FAILURE"
    assert "SystemExit" in str(result.result)


def test_a_result_that_cannot_be_read_costs_only_who_asks(run):
    def give():
        return OnArrival()

    with pytest.raises(BaseException, match="on arrival"):
        run(give).get(timeout=SOON)


def test_texts_that_are_none(run):
    def write():
        print("before")
        try:
            sys.stdout.write(Text("odd"))
            sys.stdout.write(5)
        except TypeError:
            sys.stdout.write("refused")
        return "done"

    result = run(write)
    assert result.get(timeout=SOON) == "done"
    assert result.stdout == "before\noddrefused"


@pytest.mark.parametrize(
    "countdown",
    [float("inf"), float("nan"), float("-inf"), 10**400, 1e300, -5, "soon", "0.01", [], True, "odd"],
)
def test_odd_countdowns(run, countdown):
    def again(tries):
        raise Retry("once more", Odd("all") if countdown == "odd" else countdown, max_retries=1)

    result = run(again, 1)
    error = result.get(timeout=SOON, propagate=False)
    assert result.state == "FAILURE"
    if countdown in (-5, "0.01", float("-inf"), True):
        assert result.retries == 1
    else:
        assert isinstance(error, (ConfigError, TypeError)), error
        assert result.retries == 0


def test_odd_retries(run):
    def again(kind):
        raise {
            "no init": NoCountdown(),
            "most": Retry("x", 0, max_retries="many"),
            "below": Retry("x", 0, max_retries=-1),
            "cause": Retry("x", 0, cause=OddError("all"), max_retries=0),
        }[kind]

    for kind in ("no init", "most", "below", "cause"):
        result = run(again, kind, max_retries=1, default_retry_delay=0.01)
        result.get(timeout=SOON, propagate=False)
        assert result.state == "FAILURE", kind


def test_a_callable_whose_attributes_are_code(run):
    class Callable:
        def __call__(self):
            return "called"

        def __getattr__(self, name):
            if name in ("_is_coroutine_marker", "_is_coroutine_mark", "__wrapped__", "__code__"):
                raise SystemExit(name)
            raise AttributeError(name)

    result = run(Callable().__call__)
    result.get(timeout=SOON, propagate=False)
    assert result.ready()


def test_a_module_that_ends_its_program(run, tmp_path, monkeypatch):
    name = f"ends_{tmp_path.name[-8:].replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "import os, sys\nif os.getpid() != int(os.environ['ENDS_NOT_IN']):\n    sys.exit('no options given')\n"
        "def work():\n    return 'worked'\n"
    )
    monkeypatch.setenv("ENDS_NOT_IN", str(os.getpid()))
    monkeypatch.syspath_prepend(str(tmp_path))
    module = __import__(name)

    def call():
        import os as here

        here.environ.setdefault("ENDS_NOT_IN", "0")
        return module.work()

    result = run(call)
    result.get(timeout=SOON, propagate=False)
    assert result.ready()
    assert Path(tmp_path, f"{name}.py").exists()


def test_what_a_call_puts_into_its_own_record(run):
    def spoil():
        import time

        from nbtasks import current_call

        call = current_call()
        call.output, call.args, call.report, call.time_limit, call.name = 5, None, None, "soon", ["name"]
        time.sleep(0.3)
        return "done"

    result = run(spoil)
    result.get(timeout=SOON, propagate=False)
    assert result.ready()


#: What a call may do to its process that would fail the next ones.
SPOILS = {
    "signals": "signal.signal = signal.setitimer = signal.pthread_sigmask = None",
    "deleted": "del signal.signal, threading.Lock",
    "threads": "threading.Thread = threading.Lock = threading.Condition = threading.Event = None",
    "streams": "sys.stdout = sys.stderr = None",
    "files": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (3, r.getrlimit(r.RLIMIT_NOFILE)[1]))",
    "closed": "os.close(1); os.close(2)",
    "null": "fd = os.open(os.devnull, os.O_WRONLY); os.dup2(fd, 1); os.dup2(fd, 2); os.close(fd)",
}


@pytest.mark.parametrize("how", SPOILS)
def test_what_a_call_does_to_its_process_does_not_fail_the_next(run, how):
    def spoil(code):
        exec(code, {"signal": signal, "threading": threading, "sys": sys, "os": os})

    def use():
        thread = threading.Thread(target=signal.pthread_sigmask, args=(signal.SIG_BLOCK, ()))
        thread.start()
        thread.join()
        with open(os.devnull):  # noqa: PTH123
            sys.stdout.reconfigure(line_buffering=True)
            print("spoken")
        # Where calls run side by side nobody can tell whose it is: there it must not fail.
        os.write(1, b"written" + os.linesep.encode())
        os.write(2, b"to both" + os.linesep.encode())
        return callable(signal.signal)

    run(spoil, SPOILS[how]).get(timeout=SOON)
    for options in ({}, {"time_limit": 10.0, "soft_time_limit": 5.0}):
        result = run(use, **options)
        assert result.get(timeout=SOON) is True
        assert "spoken" in result.stdout
        if run.pool == "prefork":
            assert "written" in result.stdout
            assert "to both" in result.stdout
