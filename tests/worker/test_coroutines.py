"""Coroutines that share one event loop: whatever one of them does, it pays for it alone."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import contextvars
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbtasks import App, TaskError, TaskRevokedError, TimeLimitExceeded

SOON = 60.0


@pytest.fixture(scope="module")
def loop_app(run_folder):
    """An App with one worker that has one child: all its coroutines share one event loop."""
    with App("loop", namespace="t-loop") as app:
        app.start_workers(1)
        yield app


async def wait_at(path):
    """Task code: wait until a gate is open."""
    end = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < end:
        await asyncio.sleep(0.005)


@pytest.fixture
def neighbours(loop_app, gate, ledger, eventually):
    """Ten calls that run in the same loop; ``neighbours()`` lets them end and says how they did."""

    path, started = gate.path, ledger.path

    @loop_app.task
    async def wait(i):
        with Path(started).open("a") as file:
            file.write(f"{i}\n")
        await wait_at(path)
        return i

    running = wait.map(range(10), quiet=True)
    eventually(lambda: len(ledger.lines()) == 10, "they run")

    def end():
        gate.open()
        assert running.get(timeout=SOON) == list(range(10))
        return len(ledger.lines())

    return end


def fail(error):
    """Task code: end what a program would end with."""
    if error == "argparse":
        argparse.ArgumentParser().parse_args(["--unknown"])
    raise {"exit": SystemExit, "interrupt": KeyboardInterrupt, "generator": GeneratorExit}[error]("out")


async def failing(error):
    """Task code: the same, a moment later."""
    await asyncio.sleep(0)
    fail(error)


async def in_callback(kind, error):
    """Task code: the same, in a callback that nobody waits for."""
    loop = asyncio.get_running_loop()
    if kind == "soon":
        loop.call_soon(fail, error)
    elif kind == "later":
        loop.call_later(0.01, fail, error)
    else:
        asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda _: fail(error))
    await asyncio.sleep(60)


async def in_part(kind, error):
    """Task code: the same, in a part of one kind or another."""
    if kind == "here":
        fail(error)
    elif kind == "gather":
        await asyncio.gather(asyncio.sleep(60), failing(error))
    elif kind == "task":
        await asyncio.create_task(failing(error))
    elif kind == "left":
        task = asyncio.create_task(failing(error))
        await asyncio.sleep(60)
        del task
    elif kind == "group":
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            group.create_task(failing(error))
    elif kind == "executor":
        await asyncio.get_running_loop().run_in_executor(None, fail, error)
    else:
        await in_callback(kind, error)


KINDS = ["here", "gather", "task", "left", "soon", "later", "done", "executor"]
if sys.version_info >= (3, 11):
    KINDS.append("group")


@pytest.mark.parametrize("error", ["exit", "interrupt", "argparse"])
def test_who_ends_a_program_ends_its_own_call(loop_app, neighbours, error):
    @loop_app.task
    async def end(kind):
        await in_part(kind, error)

    results = [end.delay(kind) for kind in KINDS]
    for result in results:
        with pytest.raises(TaskError, match="KeyboardInterrupt" if error == "interrupt" else "SystemExit"):
            result.get(timeout=SOON)
    assert neighbours() == 10


def test_a_generator_exit_ends_its_own_call(loop_app, neighbours):
    @loop_app.task
    async def end(kind):
        await in_part(kind, "generator")

    for kind in ("here", "gather", "task", "executor"):
        with pytest.raises(TaskError, match="GeneratorExit"):
            end.delay(kind).get(timeout=SOON)
    assert neighbours() == 10


def test_an_exit_that_is_caught_is_no_failure(loop_app, neighbours):
    @loop_app.task
    async def careful():
        async def sub():
            await asyncio.sleep(0)
            sys.exit(2)

        try:
            await asyncio.gather(sub())
        except SystemExit as error:
            first = error.code
        done, _ = await asyncio.wait([asyncio.create_task(sub())])
        return first, [type(task.exception()).__name__ for task in done]

    assert careful.delay().get(timeout=SOON) == (2, ["SystemExit"])
    assert neighbours() == 10


@pytest.mark.parametrize(
    "what", ["stop", "close", "shutdown", "factory", "executor", "handler", "cancel all"]
)
def test_the_loop_is_not_one_calls_to_end(loop_app, neighbours, what):
    @loop_app.task
    async def meddle():
        loop = asyncio.get_running_loop()
        if what == "stop":
            with contextlib.suppress(RuntimeError):
                loop.stop()
            loop.call_soon(loop.stop)
        elif what == "close":
            with contextlib.suppress(RuntimeError):
                loop.close()
        elif what == "shutdown":
            with contextlib.suppress(RuntimeError):
                await loop.shutdown_default_executor()
            with contextlib.suppress(RuntimeError):
                await loop.shutdown_asyncgens()
        elif what == "factory":
            with contextlib.suppress(RuntimeError):
                loop.set_task_factory(lambda *_, **__: sys.exit("no tasks"))
        elif what == "executor":
            executor = ThreadPoolExecutor(1)
            with contextlib.suppress(RuntimeError):
                loop.set_default_executor(executor)
            executor.shutdown()
        elif what == "handler":
            with contextlib.suppress(RuntimeError):
                loop.set_exception_handler(lambda *_: sys.exit("no handler"))
            loop.call_soon(lambda: 1 / 0)
        else:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        await asyncio.sleep(0.01)
        return "done"

    @loop_app.task
    async def use():
        await asyncio.create_task(asyncio.sleep(0))
        return await asyncio.to_thread(lambda: "used")

    assert meddle.delay().get(timeout=SOON) == "done"
    assert use.delay().get(timeout=SOON) == "used"
    assert neighbours() == 10


@pytest.mark.parametrize("how", ["catches", "loops", "shields", "everything", "cleans up", "blocks"])
def test_a_time_limit_cannot_be_swallowed(loop_app, neighbours, how, gate):
    @loop_app.task(time_limit=0.3)
    async def stubborn(path):
        end = time.monotonic() + 60
        if how == "blocks":
            time.sleep(60)
        while time.monotonic() < end and not Path(path).exists():
            try:
                if how == "shields":
                    await asyncio.shield(asyncio.sleep(60))
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if how == "catches":
                    return "swallowed"
                if how == "cleans up":
                    await asyncio.sleep(60)
                    raise
            except BaseException:
                assert how == "everything"
        return "swallowed"

    result = stubborn.delay(gate.path)
    with pytest.raises(TimeLimitExceeded, match=r"0\.3 s"):
        result.get(timeout=SOON)
    assert result.state == "FAILURE"
    runs = neighbours()
    # Where the loop itself was held, the process had to go: what ran beside it runs again.
    assert runs == 10 or how == "blocks"


def test_a_revoked_coroutine_that_does_not_listen_is_let_go(loop_app, neighbours, tmp_path, eventually, gate):
    @loop_app.task
    async def stubborn(started, path):
        Path(started).touch()
        while not Path(path).exists():
            with contextlib.suppress(asyncio.CancelledError):
                await wait_at(path)
        return "swallowed"

    started = tmp_path / "started"
    result = stubborn.delay(str(started), gate.path)
    eventually(started.exists, "it runs")
    result.revoke(terminate=True)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=SOON)
    eventually(lambda: not result.batch.running, "the worker has let go of it")
    assert neighbours() == 10


def test_a_blocking_call_without_a_limit_only_delays(loop_app):
    @loop_app.task
    async def block():
        time.sleep(1.5)
        return "blocked"

    @loop_app.task
    async def quick(i):
        return i

    first = block.delay()
    assert quick.map(range(5), quiet=True).get(timeout=SOON) == list(range(5))
    assert first.get(timeout=SOON) == "blocked"


def test_a_limit_holds_while_another_call_blocks_the_loop(loop_app, tmp_path, eventually):
    @loop_app.task(time_limit=0.3)
    async def wait(started):
        Path(started).touch()
        await asyncio.sleep(60)

    @loop_app.task
    async def block(path):
        with Path(path).open("a") as file:
            file.write("run\n")
        time.sleep(4)
        return "blocked"

    started, ran = tmp_path / "started", tmp_path / "ran"
    waiting = wait.delay(str(started))
    eventually(started.exists, "it runs")
    blocking = block.delay(str(ran))
    with pytest.raises(TimeLimitExceeded):
        waiting.get(timeout=SOON)
    assert blocking.get(timeout=SOON) == "blocked"
    assert ran.read_text().split() == ["run"]


def test_what_a_call_leaves_behind_is_nobody_elses(loop_app):
    @loop_app.task
    async def leave():
        async def late():
            await asyncio.sleep(0.05)
            print("late words")
            raise KeyboardInterrupt

        leave.task = asyncio.create_task(late())
        return "left"

    @loop_app.task
    async def quiet():
        await asyncio.sleep(0.2)
        return "quiet"

    assert leave.delay().get(timeout=SOON) == "left"
    after = quiet.delay()
    assert after.get(timeout=SOON) == "quiet"
    assert (after.stdout, after.stderr) == ("", "")


def test_an_async_generator_that_is_not_exhausted(loop_app, neighbours):
    @loop_app.task
    async def first():
        async def numbers():
            try:
                for i in range(10):
                    yield i
            finally:
                await asyncio.sleep(0)
                sys.exit("in the end")

        async for number in numbers():
            return number
        return None

    assert first.delay().get(timeout=SOON) == 0
    assert neighbours() == 10


def test_context_variables_stay_with_their_call(loop_app):
    def look(value):
        # The same variable for all of them, wherever they run.
        made = contextvars.ContextVar("seen_by_calls", default="nothing")
        seen = sys.modules.setdefault("seen_by_calls", made)
        before = seen.get()
        seen.set(value)
        return before

    async def look_async(value):
        return look(value)

    for function in (look, look_async):
        task = loop_app.task(function)
        assert [task.delay(i).get(timeout=SOON) for i in range(3)] == ["nothing"] * 3


def test_a_sync_task_may_have_a_loop_of_its_own(loop_app):
    @loop_app.task
    def own(i):
        async def sub():
            await asyncio.sleep(0)
            if i == 1:
                sys.exit("out")
            return i

        async def main():
            return (await asyncio.gather(sub()))[0]

        return asyncio.run(main())

    assert own.delay(0).get(timeout=SOON) == 0
    with pytest.raises(TaskError, match="SystemExit"):
        own.delay(1).get(timeout=SOON)
    assert own.delay(2).get(timeout=SOON) == 2
