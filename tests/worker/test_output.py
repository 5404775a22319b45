"""What calls write: bounded, and never shown with another call."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbtasks import App

SOON = 60.0


@pytest.fixture(scope="module")
def one(run_folder):
    """An App with one child."""
    with App("one", namespace="t-one-output") as app:
        app.start_workers(1)
        yield app


def test_a_flood_of_output_does_not_fill_the_disk(one):
    @one.task
    def flood():
        written, most = 0, 0
        print("first words", flush=True)
        block = b"x" * 999_999 + b"\n"
        while written < 300_000_000:
            written += os.write(1, block)
            most = max(most, os.fstat(1).st_blocks * 512)
            time.sleep(0.000_5)
        os.write(1, b"last words")
        return most

    result = flood.delay()
    assert result.get(timeout=SOON) < 300_000_000
    assert result.stdout.startswith("first words\nxxx")
    # A child that gets no time leaves it to its worker to empty the file, and the end may be gone with the rest.
    assert result.stdout.endswith(("x\nlast words", "bytes left out ...\n"))
    assert "bytes left out" in result.stdout
    assert len(result.stdout) < 200_000


def test_a_flood_of_a_subprocess(one):
    @one.task
    def flood():
        code = "import os\nfor _ in range(200): os.write(1, b'y' * 1_000_000)"
        subprocess.run([sys.executable, "-c", code], check=True)

    result = flood.delay()
    result.get(timeout=SOON)
    assert "bytes left out" in result.stdout
    assert len(result.stdout) < 200_000


def test_a_flood_of_prints_is_bounded_in_memory(one):
    @one.task
    def flood():
        for _ in range(100_000):
            sys.stdout.write("")
        print("z" * 50_000_000)
        for i in range(20_000):
            print(i)

    result = flood.delay()
    result.get(timeout=SOON)
    assert "characters left out" in result.stdout + result.stderr
    assert result.stdout.endswith("19999\n")
    assert len(result.stdout) < 100_000


def test_a_late_thread_speaks_for_its_own_call(one, gate, tmp_path, eventually):
    path, said = gate.path, str(tmp_path / "said")

    @one.task
    def leave(how):
        def late():
            print("at once", how)
            end = time.monotonic() + 60
            while not Path(path).exists() and time.monotonic() < end:
                time.sleep(0.005)
            print("late", how)
            sys.stderr.write("late\n")
            with Path(said).open("a") as file:
                file.write(f"{how}\n")

        if how == "pool":
            ThreadPoolExecutor(1).submit(late)
        elif how == "timer":
            threading.Timer(0, late).start()
        else:
            outer = threading.Thread(target=lambda: threading.Thread(target=late).start())
            outer.start()
            outer.join()
        time.sleep(0.2)

    @one.task
    def listen(release):
        if release:
            Path(path).touch()
            end = time.monotonic() + 60
            while Path(said).read_text().count("\n") < 3 if Path(said).exists() else True:
                assert time.monotonic() < end
                time.sleep(0.005)
        print("mine")

    results = [leave.delay(how) for how in ("pool", "timer", "thread")]
    for result, how in zip(results, ("pool", "timer", "thread"), strict=True):
        result.get(timeout=SOON)
        assert result.stdout == f"at once {how}\n"
    for release in (False, True, False):
        result = listen.delay(release)
        result.get(timeout=SOON)
        assert (result.stdout, result.stderr) == ("mine\n", "")


def test_streams_that_a_call_replaces_are_its_own(one):
    @one.task
    def spoil(how):
        if how == "close":
            sys.stdout.close()
        else:
            sys.stdout = sys.stderr = None

    @one.task
    def speak():
        print("spoken")
        sys.stdout.flush()
        sys.stdout.buffer.write(b"bytes\n")
        sys.stdout.buffer.flush()

    for how in ("close", "none"):
        spoil.delay(how).get(timeout=SOON)
        result = speak.delay()
        result.get(timeout=SOON)
        assert result.stdout == "spoken\nbytes\n"
