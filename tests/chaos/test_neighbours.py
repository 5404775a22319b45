"""Calls that misbehave, beside others in the same process: these lose nothing, and none of them hangs."""

from __future__ import annotations

import os

import pytest

from nbtasks import NbtasksError

#: Seconds until a call that misbehaves has ended: its limit, and what it gets to stop by itself, ten times over.
SOON_S = 30.0

#: What a coroutine may do to its event loop. ``never()`` ends by nothing but its time limit.
DEEDS = {
    "exit": "sys.exit(1)",
    "exit in gather": "await asyncio.gather(asyncio.sleep(60), later(sys.exit))",
    "exit in a task": "asyncio.create_task(later(sys.exit)); await asyncio.sleep(60)",
    "exit in a callback": "asyncio.get_running_loop().call_soon(sys.exit); await asyncio.sleep(60)",
    "interrupt in a task": "asyncio.create_task(later(interrupt)); await asyncio.sleep(60)",
    "interrupt in a thread": "await asyncio.to_thread(interrupt)",
    "options": "await asyncio.gather(later(argparse.ArgumentParser().parse_args, ['--no']))",
    "stop": "asyncio.get_running_loop().stop(); await asyncio.sleep(60)",
    "cancel": "[task.cancel() for task in asyncio.all_tasks()]; await asyncio.sleep(60)",
    "deaf": "await never()",
}


async def work(index, salt, seconds, ledger):
    """Task code: as load.work, in an event loop."""
    import asyncio
    import os
    import time
    import zlib
    from pathlib import Path

    from nbtasks import current_call

    call = current_call()
    for kind in "SE":
        with Path(ledger).open("a") as file:  # noqa: ASYNC230 - a line, as in load.work
            file.write(f"{kind} {call.batch}:{index} {call.attempt} {os.getpid()} {time.monotonic()}\n")
        if kind == "S":
            await asyncio.sleep(seconds)
    return zlib.crc32(f"{salt}:{index}".encode())


async def misbehave(deed):
    """Task code: do something to the event loop."""
    import argparse
    import asyncio
    import sys
    import time

    def interrupt():
        raise KeyboardInterrupt

    async def later(action, *args):
        await asyncio.sleep(0.001)
        action(*args)

    async def never():
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    space = {"asyncio": asyncio, "sys": sys, "argparse": argparse, "time": time}
    space |= {"interrupt": interrupt, "later": later, "never": never}
    exec(f"async def act():\n    {deed}", space)
    await space["act"]()


def follow(app, matrix, chance, ledger, n, seconds):
    """Submit ``n`` calls with known answers that share an event loop with whatever else runs there."""
    salt = chance.randrange(2**31)
    items = [(index, salt, chance.uniform(0, 2 * seconds), ledger.path) for index in range(n)]
    return matrix.follow(app.task(work).starmap(items, on_error="keep"), salt)


def have_sent(app, task):
    """Have the server know both functions: it keeps them, with the modules that they bring, whatever calls leave."""
    followed = app.task(work).starmap([(0, 0, 0.0, os.devnull)])
    for handle in (followed, task.delay("pass")):
        handle.get(timeout=SOON_S)
        handle.forget()


@pytest.mark.long
@pytest.mark.parametrize(
    ("n", "times"), [(300, 3), pytest.param(5000, 40, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_coroutines_beside_some_that_misbehave(n, times, idle_app, machine, matrix, faults, chance, ledger):
    machine(idle_app, concurrency=2)
    task = idle_app.task(misbehave, time_limit=0.3)
    have_sent(idle_app, task)
    matrix.warm_up(idle_app)
    load = follow(idle_app, matrix, chance, ledger, n, 0.1)
    deeds = list(DEEDS.values()) * times
    chance.shuffle(deeds)
    results = [task.delay(deed) for deed in deeds]
    for _ in results:
        faults.note("misbehave", [])
    for result in results:
        assert isinstance(result.get(timeout=SOON_S * times, propagate=False), BaseException)
        result.forget()
    load.wait()
    row = "calls that end their program, stop or do not leave the event loop that they share with others"
    matrix.close(idle_app, row)


@pytest.mark.long
def test_coroutines_beside_some_that_block_their_loop(idle_app, machine, matrix, faults, chance, ledger):
    """Where the loop itself is held beyond a time limit, its process goes, and the others run again uncharged."""
    one = machine(idle_app, concurrency=2)
    task = idle_app.task(misbehave, time_limit=0.3)
    have_sent(idle_app, task)
    matrix.warm_up(idle_app)
    load = follow(idle_app, matrix, chance, ledger, 200, 0.2)
    for _ in range(4):
        fault = faults.note("block", one.children())
        result = task.delay("time.sleep(60)")
        assert "TimeLimitExceeded" in type(result.get(timeout=SOON_S, propagate=False)).__name__
        result.forget()
        fault.until += SOON_S
    load.wait()
    matrix.close(
        idle_app, "calls that block the event loop that they share with others beyond their time limit"
    )


class Trap:
    """Raises whenever it is looked at."""

    def __init__(self, error):
        self.__dict__["error"] = error

    def _spring(self, *_):
        raise self.__dict__["error"]("looked at")

    __repr__ = __str__ = __reduce__ = __len__ = __bool__ = __eq__ = __hash__ = __del__ = _spring


class TrapError(Exception):
    """The same for what a call raises."""

    def __init__(self, error):
        super().__init__("trap")
        self.error = error

    def _spring(self, *_):
        raise self.error("looked at")

    __repr__ = __str__ = __reduce__ = __eq__ = __bool__ = _spring
    __hash__ = None


def set_trap(error, how):
    """Task code: end in a way that harms who looks."""
    from nbtasks import Retry

    if how == "value":
        return Trap(error)
    if how == "retry":
        raise Retry("again", float("inf"))
    raise TrapError(error)


@pytest.mark.long
@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.long)])
def test_calls_beside_some_whose_ends_raise(pool, idle_app, machine, matrix, faults, chance):
    machine(idle_app, concurrency=2, loglevel="info", pool=pool)
    matrix.warm_up(idle_app)
    load = matrix.submit(idle_app, 600, chunk=10)
    task = idle_app.task(set_trap, default_retry_delay=0.01)
    ends = [(error, how) for error in (ValueError, SystemExit) for how in ("value", "error", "retry")] * 10
    chance.shuffle(ends)
    results = [task.apply_async(end, **({"retries": 1} if end[1] == "error" else {})) for end in ends]
    for result, (_, how) in zip(results, ends, strict=True):
        faults.note("misbehave", [])
        error = result.get(timeout=SOON_S, propagate=False)
        assert isinstance(error, NbtasksError if how != "error" else Exception)
        result.forget()
    load.wait()
    matrix.close(idle_app, f"calls whose results and errors raise when they are looked at ({pool})")
