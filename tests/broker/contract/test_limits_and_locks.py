"""Rate limits and locks, over all workers together."""

from __future__ import annotations

import itertools
import time

import pytest

from nbtasks.broker.verbs.delivery import Aside
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.locks import call_name, name_of_lock
from nbtasks.broker.verbs.permits import limit_of
from nbtasks.core.lock import Lock

from .bench import ADDRESS, SUCCESS, Beside, name, record

LIMIT = limit_of("fetch", "1/m")


def test_permits_are_for_the_time_that_has_passed(bench):
    permits = bench.line.permits()
    first = permits.take(LIMIT, 60.0, 5, 5, ADDRESS)
    assert first.permits == 1
    assert first.first_s <= 0
    assert 55 < first.again_s <= 60
    began, turns = time.monotonic(), []
    for _ in range(5):
        asked_s = time.monotonic() - began
        grant = permits.take(LIMIT, 60.0, 5, 5, ADDRESS)
        assert grant.permits == 0
        turns.append((asked_s + grant.again_s, time.monotonic() - began + grant.again_s))
    # They come again one after another, and soon after the next start: some may be revoked meanwhile.
    assert all(before[0] <= after[1] for before, after in itertools.pairwise(turns))
    assert 55 < turns[0][0] < turns[-1][1] < 63 + asked_s
    assert permits.take(limit_of("fetch", "9/s"), 60.0, 1, 1, ADDRESS).permits == 1


def test_who_is_alone_gets_no_more_than_the_next_tenth_of_a_second(bench):
    grant = bench.line.permits().take(LIMIT, 0.001, 5000, 5000, ADDRESS)
    assert 100 <= grant.permits <= 160
    assert -0.06 < grant.first_s <= 0
    assert bench.line.permits().take(LIMIT, 0.001, 3, 3, ADDRESS).permits <= 3


def test_who_waits_for_a_limit_is_found(bench):
    permits, batch = bench.line.permits(), bench.submitted(2, 2)
    assert permits.limited(ADDRESS, batch) is None
    (entry,) = bench.worker.take(1)
    permits.take(LIMIT, 60.0, 1, 1, ADDRESS)
    due_ms = round(bench.now() * 1000) + 60_000
    bench.worker.give(entry, [(0, 2, 1)], aside=Aside("m", due_ms, LIMIT))
    limited = permits.limited(ADDRESS, batch)
    assert (limited.rate, limited.lock) == ("1/m", "")
    assert 50 < limited.next_s <= 60
    assert permits.limited(ADDRESS, name()) is None


# -- locks

LOCK = Lock("a lock")
TWO = Lock("two at once", 2)


class Scene:
    """Four calls that need a lock, two workers and a client, each with a lease."""

    def __init__(self, bench, locks=(LOCK,)) -> None:
        self.bench, self.needed = bench, list(locks)
        self.locks = bench.line.locks()
        self.deliveries = {"w1/0": bench.worker, "w2/0": bench.other}
        self.takers = {one: delivery.call_locks() for one, delivery in self.deliveries.items()}
        self._numbers = itertools.count(1)
        for one in ("w1", "w2", "client"):
            self.renew(one)
        self.batch = bench.submitted(4, 1)
        self.entries = bench.worker.take(2)

    def renew(self, worker: str) -> None:
        self.bench.fleet.renew(worker, f"15000 {next(self._numbers)}", "", 60_000)

    def ask(self, entry: Entry, consumer: str = "w1/0"):
        return self.takers[consumer].take(entry, entry.first, "m", "a call", self.needed)

    def end(self, entry: Entry, consumer: str = "w1/0") -> None:
        report = Finish()
        report.results(entry.batch, entry.first, SUCCESS, record(entry.first, 1))
        for lock in self.needed:
            report.unlocked(lock.id, call_name(entry.batch, entry.first), consumer)
        report.done(entry)
        self.deliveries[consumer].finish(report)

    def acquire(self, who: str = "client/0/1", wait: bool = True) -> int | None:
        return self.locks.acquire(self.needed[0], who, who.rpartition("/")[0], "a script", wait)

    def release(self, who: str = "client/0/1") -> None:
        self.locks.release(self.needed, who, who.rpartition("/")[0])


def test_one_call_at_a_time_has_a_lock(bench):
    scene = Scene(bench)
    first, second = scene.entries
    assert scene.ask(first).token is not None
    turn = scene.ask(second)
    assert turn.token is None
    assert turn.waits
    assert [one.first for one in bench.worker.in_hand()] == [0], "who waits is in nobody's hands"
    held = scene.locks.occupancy(LOCK.id, 1, ADDRESS, call_name(scene.batch, 1))
    assert (held.waiting, held.before, held.count) == (1, 0, 1)
    (holder,) = held.holders
    assert (holder.name, holder.worker, holder.title) == (call_name(scene.batch, 0), "w1", "a call")
    assert holder.since_s < 60
    assert bench.line.gauges().lock_ids() == [LOCK.id]
    assert name_of_lock(LOCK.id) == "a lock"
    limited = bench.line.permits().limited(ADDRESS, scene.batch)
    assert (limited.lock, limited.index) == (LOCK.id, 1)


def test_calls_come_in_the_order_in_which_they_have_asked(bench):
    scene = Scene(bench)
    first, second = scene.entries
    scene.ask(first)
    scene.ask(second)
    third, late = bench.other.take(2)
    assert scene.ask(third, "w2/0").waits
    scene.end(first)
    # The lock is free, and promised: who comes now does not come before those who wait.
    assert scene.ask(late, "w2/0").waits
    order, tokens = [], []
    for _ in range(3):
        (entry,) = bench.other.take(1)
        tokens.append(scene.ask(entry, "w2/0").token)
        order.append(entry.first)
        scene.end(entry, "w2/0")
    assert order == [1, 2, 3]
    assert tokens == sorted(tokens)
    assert bench.left() == 0
    assert scene.locks.occupancy(LOCK.id, 1).count == 0
    assert scene.locks.see_to_lines() == 0


def test_as_many_hold_a_lock_as_it_says(bench):
    scene = Scene(bench, (TWO,))
    for entry in scene.entries:
        assert scene.ask(entry).token is not None
    (third,) = bench.other.take(1)
    assert scene.ask(third, "w2/0").waits
    scene.end(scene.entries[1])
    (again,) = bench.other.take(1)
    assert again.first == 2
    assert scene.ask(again, "w2/0").token is not None


def test_a_call_has_all_its_locks_or_none(bench):
    other = Lock("another")
    scene = Scene(bench, (LOCK, other))
    assert scene.locks.acquire(other, "client/0/1", "client/0", "a script", wait=False) is not None
    assert scene.ask(scene.entries[0]).waits
    assert scene.locks.occupancy(LOCK.id, 1).count == 0
    scene.locks.release([other], "client/0/1", "client/0")
    (again,) = bench.worker.take(1)
    assert scene.ask(again).token is not None
    assert scene.locks.occupancy(LOCK.id, 1).count == scene.locks.occupancy(other.id, 1).count == 1


def test_who_holds_the_entry_no_more_gets_no_lock(bench):
    scene = Scene(bench)
    entry = scene.entries[0]
    bench.worker.give(entry, [(0, 1, 1)])
    turn = scene.ask(entry)
    assert (turn.token, turn.waits) == (None, False)


def test_code_stands_in_the_same_line(bench):
    scene = Scene(bench)
    assert scene.ask(scene.entries[0]).token is not None
    assert scene.acquire(wait=False) is None
    assert scene.locks.occupancy(LOCK.id, 1).waiting == 0, "it was not to wait"
    assert scene.acquire() is None
    assert scene.locks.occupancy(LOCK.id, 1, name="client/0/1").before == 0
    assert scene.ask(scene.entries[1]).waits
    scene.end(scene.entries[0])
    token = scene.acquire()
    assert token is not None
    assert scene.locks.are_held([LOCK], "client/0/1", token)
    assert not scene.locks.are_held([LOCK], "client/0/1", token - 1)
    scene.release()
    scene.release()
    assert not scene.locks.are_held([LOCK], "client/0/1", token)
    (entry,) = [one for one in bench.other.take(10) if one.first == 1]
    assert scene.ask(entry, "w2/0").token is not None


def test_code_is_told_that_it_is_its_turn(bench):
    scene = Scene(bench)
    scene.ask(scene.entries[0])
    assert scene.acquire() is None
    waiting = bench.new_line().locks()
    turn = Beside(lambda: waiting.await_turn("client/0/1", 60, lambda: False))
    scene.end(scene.entries[0])
    turn.value()
    assert scene.acquire() is not None


def test_code_that_waits_is_asked_whether_it_still_does(bench):
    waiting = bench.new_line().locks()
    asked = []
    Beside(lambda: waiting.await_turn("client/0/9", 60, lambda: asked.append(1) or len(asked) > 1)).value()
    assert len(asked) == 2


def test_who_leaves_the_line_is_not_waited_for(bench):
    scene = Scene(bench)
    scene.ask(scene.entries[0])
    scene.acquire("client/0/1")
    scene.acquire("client/0/2")
    scene.release("client/0/1")
    scene.end(scene.entries[0])
    assert scene.acquire("client/0/2") is not None


@pytest.mark.parametrize("whose", ["w1/0", ""], ids=["a child", "a worker"])
def test_what_the_dead_have_held_is_given_back(bench, whose):
    scene = Scene(bench)
    scene.ask(scene.entries[0])
    assert scene.acquire() is None
    assert scene.locks.unlock("w1", whose, guard=True) == 0, "it lives"
    assert scene.locks.unlock("w1", whose) == 1
    assert scene.locks.unlock("w1", whose) == 0
    assert scene.acquire() is not None


def test_who_has_no_lease_holds_no_lock(bench):
    scene = Scene(bench)
    scene.ask(scene.entries[0])
    assert scene.acquire() is None
    bench.fleet.release("w1")
    scene.locks.unlock_all(["w1", "w2", "nobody"])
    assert scene.acquire() is not None


def test_lines_get_on_where_nobody_has_seen_to_it(bench):
    scene = Scene(bench)
    scene.ask(scene.entries[0])
    assert scene.acquire() is None
    assert scene.locks.see_to_lines() == 1
    bench.fleet.release("w1")
    scene.locks.see_to_lines()
    assert scene.acquire() is not None
