"""Running calls are stopped with the signal that ``revoke(signal=...)`` names."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from nbtasks import App, ConfigError, group


def lasting(path, own=None, listens=True):
    """Run until it is stopped, and write down what it sees of that."""
    import signal

    def note(word):
        with Path(path).open("a") as file:
            file.write(f"{word}\n")

    def handle(number, frame):
        note(signal.Signals(number).name)
        raise SystemExit

    if own:
        signal.signal(getattr(signal, own), handle)
    try:
        note("begun")
        while True:
            try:
                time.sleep(0.02)
            except BaseException as error:
                note("keyboard" if isinstance(error, KeyboardInterrupt) else "stopped")
                if listens:
                    raise
    finally:
        note("finally")


@pytest.fixture(scope="module")
def one(run_folder):
    """An App with one child."""
    with App("signals", namespace="t-stop-signals") as app:
        app.start_workers(1)
        yield app


def seen_of(app, path, said, eventually, **more):
    """Stop a call; return what it has seen of it."""
    path.unlink(missing_ok=True)
    call = app.task(lasting).delay(str(path), **more)
    eventually(lambda: path.exists() and path.read_text(), "it runs")
    call.revoke(terminate=True, **said)
    assert call.state == "REVOKED"
    # Its process, or the next one, is free.
    assert app.task(lambda: 5).delay().get(timeout=60) == 5
    assert call.state == "REVOKED"
    return path.read_text().split()


@pytest.mark.parametrize(
    ("said", "own", "seen"),
    [
        ({}, None, ["begun", "stopped", "finally"]),
        ({"signal": "SIGTERM"}, None, ["begun", "stopped", "finally"]),
        ({"signal": "SIGKILL"}, None, ["begun"]),
        ({"signal": 9}, None, ["begun"]),
        ({"signal": signal.SIGKILL}, "SIGTERM", ["begun"]),
        ({"signal": "SIGINT"}, None, ["begun", "keyboard", "finally"]),
        ({"signal": "int"}, None, ["begun", "keyboard", "finally"]),
        ({"signal": "SIGTERM"}, "SIGTERM", ["begun", "SIGTERM", "stopped", "finally"]),
        ({"signal": "SIGUSR1"}, "SIGUSR1", ["begun", "SIGUSR1", "stopped", "finally"]),
        ({"signal": "SIGUSR1"}, "SIGUSR2", ["begun", "stopped", "finally"]),
    ],
)
def test_it_comes_to_the_call(one, tmp_path, eventually, said, own, seen):
    assert seen_of(one, tmp_path / "seen", said, eventually, own=own) == seen


@pytest.mark.parametrize("said", ["SIGINT", "SIGTERM"])
def test_who_does_not_listen_is_killed(one, tmp_path, eventually, said):
    seen = seen_of(one, tmp_path / "seen", {"signal": said}, eventually, listens=False)
    assert seen == ["begun", "keyboard" if said == "SIGINT" else "stopped"]


def test_without_terminate_it_goes_on(one, gate):
    def waits(path):
        while not Path(path).exists():
            time.sleep(0.02)
        return "done"

    call = one.task(waits).delay(gate.path)
    other = one.task(lambda: 1).delay()
    other.revoke(signal="SIGKILL")
    assert other.state == "REVOKED"
    gate.open()
    assert call.get(timeout=60) == "done"


def test_maps_and_workflows(one, tmp_path, eventually):
    run, paths = one.task(lasting), [tmp_path / "a", tmp_path / "b"]
    for submit in (
        lambda: run.map([str(paths[0])]),
        lambda: group(run.s(str(paths[0])), run.s(str(paths[1]), listens=True)).delay(),
        (run.s(str(paths[0])) | run.si(str(paths[1]))).delay,
    ):
        handle = submit()
        eventually(paths[0].exists, "it runs")
        handle.revoke(terminate=True, signal="SIGKILL")
        assert one.task(lambda: 5).delay().get(timeout=60) == 5
        assert paths[0].read_text().split() == ["begun"]
        paths[0].unlink()


@pytest.mark.parametrize("bad", ["SIGFOO", "SIGSTOP", "SIGCHLD", 0, -9, 99, True, 2.5, "", b"SIGKILL"])
def test_a_bad_one_is_refused_at_the_call(one, bad):
    call = one.task(lambda: 1).delay()
    for handle in (call, one.task(len).map([[1]]), one.task(lambda: 1).apply()):
        for terminate in (True, False):
            with pytest.raises(ConfigError, match=r"signal=.*SIGKILL"):
                handle.revoke(terminate=terminate, signal=bad)
    assert call.get(timeout=60) == 1
