"""Locks of code: blocks in tasks, in notebooks and scripts, functions with ``@locked``, each in any process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import nbtasks
from nbtasks import App, ConfigError, LockLost, TimeoutError, WouldDeadlock, locked

from .conftest import forget, held

SOON = 90.0


@pytest.fixture(scope="module")
def crew(run_folder):
    """An App with three children, for tests that kill nothing."""
    with App("code locks", namespace="t-code-locks") as app:
        app.start_workers(3)
        yield app


HOLDER = """
import sys, time
from nbtasks import App
with App("other", namespace=sys.argv[1]) as app:
    with app.lock(sys.argv[2]) as hold:
        print(hold.token, flush=True)
        time.sleep(120)
"""


@pytest.fixture
def holder(crew):
    """Starts a process that holds a lock, and ends with the test."""
    started = []

    def start(name):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, crew.connection.namespace, name], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_block_of_one_process_waits_for_that_of_another(crew, holder, eventually):
    process, token = holder("between processes")
    with pytest.raises(
        TimeoutError, match=r"'between processes' was not free within 0 s: held by .*pid \d+ for \d+ s"
    ):
        crew.lock("between processes", timeout=0).__enter__()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"within 0\.3 s"), crew.lock("between processes", timeout=0.3):
        pytest.fail("two hold it")
    assert time.monotonic() - began >= 0.3
    taken = []

    def wait():
        with crew.lock("between processes") as hold:
            taken.append(hold.token)

    waiting = threading.Thread(target=wait)
    waiting.start()
    process.send_signal(signal.SIGINT)
    waiting.join(SOON)
    assert taken[0] > token


@pytest.mark.long
def test_a_lock_of_a_client_that_was_killed_is_free_when_its_lease_has_ended(crew, holder):
    process, _ = holder("killed")
    process.kill()
    with crew.lock("killed", timeout=SOON):
        pass


@pytest.mark.long
def test_it_is_free_where_no_worker_lives(idle_app, monkeypatch):
    code = HOLDER.replace('App("other", namespace=sys.argv[1])', "App()")
    process = subprocess.Popen([sys.executable, "-c", code, "", "alone"], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.kill()
    process.communicate()
    with idle_app.lock("alone", timeout=SOON):
        pass


def test_calls_and_code_share_a_lock(crew, entries, gate, eventually):
    with crew.lock("shared"):
        call = crew.task(held, locks="shared").delay(entries.path, 0)
        told = eventually(call.why_pending, "it waits")
        assert "waits for lock 'shared', held by " in told
        assert f"pid {os.getpid()} for " in told
    call.get(timeout=SOON)
    # And the other way round.
    running = crew.task(held, locks="shared").delay(entries.path, 1, 0.0, gate.path)
    eventually(lambda: 1 in entries.pids(), "it runs")
    with pytest.raises(TimeoutError, match=r"held by \S*held\["), crew.lock("shared", timeout=0.1):
        pytest.fail("two hold it")
    gate.open()
    running.get(timeout=SOON)


def test_code_in_tasks_takes_turns_and_is_freed_with_its_process(app, entries, gate, eventually):
    def works(ledger, index, gate):
        from nbtasks import current_app

        with current_app.lock("in a task") as hold:
            held(ledger, index, 0.0, gate)
            return hold.token

    task = app.task(works)
    first = task.delay(entries.path, 0, gate.path)
    pids = eventually(entries.pids, "it runs")
    second = task.delay(entries.path, 1, gate.path)
    eventually(lambda: second.state == "STARTED", "it waits in its slot")
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: 1 in entries.pids(), "the other one has it at once")
    gate.open()
    assert second.get(timeout=SOON) < first.get(timeout=SOON)
    assert entries.most({pids[0]}) == 1


def test_a_task_takes_a_lock_before_anything_of_its_process_has_made_an_app(project):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SCRIPT], capture_output=True, text=True, timeout=SOON, check=False
    )
    assert done.stdout.split() == ["True", "True"], done.stderr


IN_A_SCRIPT = """
import nbtasks
app = nbtasks.App("script")

@app.task
def block():
    from nbtasks import current_app
    with current_app.lock("a") as hold:
        return hold.token > 0

@app.task
def decorated():
    from nbtasks import locked
    return locked("a")(lambda: True)()

with app:
    app.start_workers(2)
    print(block.delay().get(timeout=60), decorated.delay().get(timeout=60))
"""


def in_another_thread(what):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(what).result(SOON)


def test_a_block_may_end_in_another_thread_than_it_has_begun_in(crew):
    lock = crew.lock("two threads")
    lock.__enter__()
    in_another_thread(lambda: lock.__exit__(None, None, None))
    with crew.lock("two threads", timeout=0) as hold:
        assert not hold.is_lost


def test_where_several_hold_a_lock_by_one_object_it_is_not_guessed_whose_block_ends(crew):
    places = crew.semaphore("two of one object", 2)
    with places:
        in_another_thread(places.__enter__)
        with pytest.raises(ConfigError, match=r"have each say app\.lock\('two of one object'\)"):
            in_another_thread(lambda: asyncio.run(places.__aexit__(None)))


def test_code_that_waits_where_its_own_thread_holds_the_lock_is_told_so(crew):
    async def main():
        async def other():
            with crew.lock("of one thread"):
                pytest.fail("two hold it")

        async with crew.lock("of one thread"):
            with pytest.raises(WouldDeadlock, match="another cell or coroutine of this thread"):
                await asyncio.create_task(other())
        # Where there is a place left, it is nobody's matter who holds the others.
        async with crew.semaphore("two of one thread", 2):
            return await asyncio.create_task(takes_one())

    async def takes_one():
        with crew.semaphore("two of one thread", 2) as hold:
            return hold.token

    assert asyncio.run(main())
    with crew.lock("of one thread", timeout=0) as hold:
        assert not hold.is_lost


def test_a_lock_says_that_it_is_held_for_a_block(crew):
    with pytest.raises(AttributeError, match=r"held for a block, with app\.lock"):
        crew.lock("words").acquire()


def test_a_call_that_is_revoked_while_it_waits_for_a_lock_leaves_the_line(crew, eventually):
    def waits():
        from nbtasks import current_app

        with current_app.lock("revoked in the line"):
            return 1

    with crew.lock("revoked in the line"):
        call = crew.task(waits).delay()
        eventually(lambda: call.state == "STARTED", "it waits in its slot")
        call.revoke(terminate=True)
        locks = crew.session.line.locks()
        eventually(lambda: not locks.occupancy("revoked%20in%20the%20line", 1).waiting, "the line is empty")
    assert crew.task(waits).delay().get(timeout=SOON) == 1


def test_so_many_hold_a_semaphore_at_once(crew):
    inside, most = [], []

    def work():
        with crew.semaphore("three", 3):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert max(most) <= 3
    assert len(most) == 9


def test_coroutines_wait_without_holding_up_their_loop(crew):
    inside, most, ticks = [], [], []

    async def work():
        async with crew.lock("async") as hold:
            inside.append(hold)
            most.append(len(inside))
            await asyncio.sleep(0.02)
            inside.pop()

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.005)

    async def main():
        ticking = asyncio.create_task(tick())
        await asyncio.gather(*(work() for _ in range(8)))
        ticking.cancel()
        async with crew.lock("async"):
            late = asyncio.create_task(work())
            await asyncio.sleep(0.1)
            late.cancel()
            with pytest.raises(asyncio.CancelledError):
                await late
        async with crew.lock("async", timeout=SOON):
            pass

    asyncio.run(main())
    assert max(most) == 1
    assert len(ticks) > 8


def test_it_is_free_after_an_exception_and_is_not_reentrant(crew):
    lock = crew.lock("plain", timeout=0)
    with pytest.raises(ZeroDivisionError), lock:
        1 / 0  # noqa: B018
    with lock as hold:
        assert not hold.is_lost
        with pytest.raises(WouldDeadlock, match=r"is held already by this code.*not reentrant"), lock:
            pytest.fail("it is held twice")
        with pytest.raises(WouldDeadlock), crew.semaphore("plain", 5):
            pytest.fail("it is held twice")
    with lock:
        pass


def test_a_call_cannot_take_its_own_lock_once_more(crew):
    def again():
        from nbtasks import current_app

        with current_app.lock("own"):
            return 1

    with pytest.raises(WouldDeadlock, match="is held already"):
        crew.task(again, locks="own").delay().get(timeout=SOON)


def test_a_lock_that_was_lost_is_told_at_the_end_of_the_block(crew, eventually):
    def forgets():
        with crew.lock("forgotten") as hold:
            forget(crew, "forgotten")
            eventually(lambda: hold.is_lost, "it is noticed")

    with pytest.raises(LockLost, match="lock 'forgotten' was lost before its block has ended"):
        forgets()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_no_part_in_it(crew):
    with crew.lock("forked"):
        pid = os.fork()
        if not pid:
            # It leaves the block, and gives nothing back.
            try:
                crew.lock("forked").__exit__(None)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        with pytest.raises(TimeoutError), App("x", connection=crew.connection).lock("forked", timeout=0):
            pytest.fail("it is free")


def test_a_decorated_function_is_a_task_that_holds_the_lock_in_any_order(crew, entries):
    @crew.task(name="below")
    @locked("decorated", capacity=2)
    def below(ledger, index):
        return held(ledger, index, 0.02)

    @locked("decorated", capacity=2)
    @crew.task(name="above")
    def above(ledger, index):
        return held(ledger, index, 0.02)

    assert below.locks == above.locks == (("decorated", 2),)
    assert crew.tasks["above"] is above
    calls = [one.delay(entries.path, 2 * n + k) for n in range(6) for k, one in enumerate((below, above))]
    assert all(call.get(timeout=SOON) for call in calls)
    assert entries.most() <= 2
    both = locked("a")(locked("b", capacity=3)(crew.task(abs)))
    assert both.locks == (("b", 3), ("a", 1))
    assert locked("b", capacity=2)(both).locks == (("b", 2), ("a", 1))


def test_a_decorated_function_that_is_no_task_takes_it_where_it_runs(crew, entries):
    @locked("plain function")
    def write(ledger, index):
        held(ledger, index, 0.02)
        return index

    @crew.task
    def uses(ledger, index):
        return write(ledger, index)

    @locked("plain function")
    async def aside(ledger, index):
        held(ledger, index, 0.0)
        return index

    assert write.__name__ == "write"
    crew.set_current()
    results = uses.starmap([(entries.path, n) for n in range(6)])
    assert write(entries.path, 10) == 10
    assert asyncio.run(aside(entries.path, 11)) == 11
    assert results.get(timeout=SOON) == list(range(6))
    assert entries.most() == 1
    assert len(entries.entered()) == 8


def test_a_class_of_tasks_says_what_its_calls_hold(crew, entries):
    class Polite(nbtasks.Task):
        max_concurrency = 1
        concurrency_key = staticmethod(lambda ledger, index: f"host {index % 2}")

    @crew.task(base=Polite, name="polite")
    def fetch(ledger, index):
        return held(ledger, index, 0.01)

    assert len([call.get(timeout=SOON) for call in [fetch.delay(entries.path, n) for n in range(8)]]) == 8
    assert entries.most() <= 2

    class Bound(nbtasks.Task):
        max_concurrency = 1

        def concurrency_key(self, url):
            return url

    with pytest.raises(ConfigError, match="make it a static method"):
        crew.task(base=Bound)(abs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda app: app.lock(""), "lock: '' is not a name"),
        (lambda app: app.lock(3), "lock: 3 is not a name"),
        (lambda app: app.semaphore("x", 0), "capacity: 0 is not a whole number"),
        (lambda app: app.lock("x", timeout="soon"), "soon"),
        (lambda app: locked(3), "locked: 3 is not a name"),
        (lambda app: locked("x")(3), "3 is neither a task nor a function"),
        (lambda app: locked("x")(int), "for a class of tasks say its locks as an attribute"),
    ],
)
def test_what_cannot_be_a_lock_is_refused(crew, make, message):
    with pytest.raises(ConfigError, match=message):
        make(crew)


def test_an_eager_app_has_locks_of_its_own():
    with App(eager=True) as app:
        lock = app.lock("eager", timeout=0.1)
        with lock as hold, pytest.raises(WouldDeadlock), lock:
            pytest.fail(f"it is held twice: {hold}")
        assert app.task(abs, locks="eager", max_concurrency=1).delay(-1).get() == 1
