"""How many coroutines a process takes at once."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nbtasks import App
from nbtasks.worker.executing.room import FIRST, LEAST, IdleClock, Room

MOST = 100


@pytest.fixture
def room():
    """The room of a loop."""
    return Room(MOST)


def told(room, idle_share, times=1):
    """The slots after a loop that takes all it may has been looked at so often."""
    for _ in range(times):
        room.note(idle_share, room.slots)
    return room.slots


def test_a_loop_that_only_waits_soon_takes_as_many_as_it_may(room):
    assert room.slots == FIRST
    assert told(room, 0.9) == 2 * FIRST
    assert told(room, 0.9, 10) == MOST


def test_a_loop_that_has_no_time_left_takes_fewer_and_never_too_few(room):
    told(room, 0.9, 10)
    assert told(room, 0.02, 2) < MOST
    assert told(room, 0.02, 100) == LEAST


def test_a_loop_that_has_time_again_takes_more_step_by_step(room):
    told(room, 0.02, 100)
    assert told(room, 0.5) == LEAST + 1
    assert told(room, 0.5, 100) == MOST


def test_between_the_two_nothing_changes(room):
    assert told(room, 0.2, 100) == FIRST


def test_one_busy_moment_says_nothing(room):
    for _ in range(20):
        told(room, 0.02)
        told(room, 0.2)
    assert room.slots == FIRST


def test_a_loop_that_is_not_full_is_not_made_larger(room):
    assert not room.note(0.9, FIRST - 1)
    assert room.slots == FIRST


def test_what_runs_has_to_end_before_it_takes_fewer_still(room):
    told(room, 0.9, 10)
    for _ in range(50):
        room.note(0.0, MOST)
    assert room.slots == MOST * 3 // 4


def idle_shares():
    """The idle share of a loop that waits, and of one that works."""
    clock = IdleClock()
    loop = asyncio.SelectorEventLoop(clock)
    try:
        loop.run_until_complete(asyncio.sleep(0.1))
        waited = clock.idle_share()
        loop.call_soon(time.sleep, 0.1)
        loop.run_until_complete(asyncio.sleep(0))
        return waited, clock.idle_share()
    finally:
        loop.close()


def test_a_loop_is_idle_while_it_waits_and_not_while_it_works():
    # On a thread of its own: in the main thread a loop may run already, of a browser that tests have used.
    with ThreadPoolExecutor(1) as thread:
        waited, worked = thread.submit(idle_shares).result()
    assert 0.0 <= worked < waited <= 1.0


async def meet(host, port):
    """Task code: come to a meeting, and stay until everybody is there."""
    reader, writer = await asyncio.open_connection(host, port)
    said = await reader.readline()
    writer.close()
    return said.decode().strip()


class Meeting:
    """A server that answers when so many are connected at once."""

    def __init__(self, size):
        self._size, self._all_here = size, None
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,))
        self._thread.start()
        ready.wait()

    def _run(self, ready):
        self._loop.run_until_complete(self._open(ready))
        self._loop.run_forever()
        self._server.close()
        self._loop.run_until_complete(self._server.wait_closed())
        self._loop.close()

    async def _open(self, ready):
        self._all_here, self._here = asyncio.Event(), 0
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()
        ready.set()

    async def _serve(self, reader, writer):
        self._here += 1
        if self._here >= self._size:
            self._all_here.set()
        await self._all_here.wait()
        writer.write(b"all here\n")
        await writer.drain()
        writer.close()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def test_a_hundred_that_wait_for_each_other_all_run_at_once(home):
    meeting = Meeting(MOST)
    try:
        with App() as app:
            app.start_workers(1)
            group = app.task(meet).starmap([meeting.address] * MOST)
            assert group.get(timeout=40) == ["all here"] * MOST
    finally:
        meeting.close()
