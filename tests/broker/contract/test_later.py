"""Calls that are due later, and calls that nobody is to run any more."""

from __future__ import annotations

from nbtasks.broker.verbs.delivery import Aside
from nbtasks.broker.verbs.permits import limit_of
from nbtasks.core.lanenames import LANES

from .bench import ADDRESS, OTHER, calls, name

MINUTE_MS = 60_000


def in_ms(bench, ms: int) -> int:
    return round(bench.now() * 1000) + ms


def test_a_call_is_queued_when_it_is_due(bench):
    now = bench.now()
    later = bench.submitted(2, 1, due_ms=in_ms(bench, 2 * MINUTE_MS))
    soon = bench.submitted(1, due_ms=in_ms(bench, MINUTE_MS), lane="h")
    assert bench.worker.take(10) == []
    moved, next_s = bench.queues.promote(ADDRESS, now)
    assert moved == 0
    assert 55 < next_s < 65
    moved, next_s = bench.queues.promote(ADDRESS, now + 61)
    assert moved == 1
    assert 55 < next_s < 65
    assert [(one.batch, one.lane, one.attempt) for one in bench.worker.take(10)] == [(soon, "h", 1)]
    assert bench.queues.promote(ADDRESS, now + 125) == (2, None)
    assert {one.batch for one in bench.worker.take(10)} == {later}
    assert bench.queues.promote(ADDRESS, now + 1000) == (0, None)


def test_what_was_due_before_it_was_sent_is_queued_at_the_next_look(bench):
    bench.submitted(1, due_ms=1)
    assert bench.queues.promote(ADDRESS, bench.now()) == (1, None)
    assert len(bench.worker.take(10)) == 1


def test_two_hundred_are_queued_at_a_time(bench):
    bench.submitted(250, 1, due_ms=1)
    now = bench.now()
    assert bench.queues.promote(ADDRESS, now)[0] == 200
    assert bench.queues.promote(ADDRESS, now)[0] == 50
    assert len(bench.take_all(bench.worker, 1000)) == 250


def test_queues_have_their_own_times(bench):
    bench.submitted(1, due_ms=1, address=OTHER)
    assert bench.queues.promote(ADDRESS, bench.now()) == (0, None)
    assert bench.queues.promote(OTHER, bench.now()) == (1, None)


def test_what_is_due_later_is_listed(bench):
    batch = bench.submitted(3, 2, due_ms=in_ms(bench, MINUTE_MS))
    listed = bench.line.delayed_calls().listed(ADDRESS)
    assert sorted((one.batch, one.first, one.count, one.limit) for one in listed) == [
        (batch, 0, 2, ""),
        (batch, 2, 1, ""),
    ]
    assert all(abs(one.due_at - bench.now() - 60) < 30 for one in listed)
    assert bench.line.delayed_calls().listed(OTHER) == []
    (depth,) = bench.line.gauges().queues()
    assert (depth.waiting, depth.delayed, depth.oldest_s) == (0, 2, None)


def test_what_has_ended_while_it_waited_for_its_time_ends_when_it_is_taken(bench):
    batch = bench.submitted(2, 2, due_ms=in_ms(bench, MINUTE_MS))
    bench.revoke(batch, [0, 1])
    bench.queues.promote(ADDRESS, bench.now() + 61)
    assert bench.worker.take(10) == []
    assert bench.left() == 0


# -- withdrawing


def withdraw(bench, batch, n, due=False):
    now = bench.now()
    return bench.line.withdrawal(ADDRESS, batch, n, (now - 5, now if due else None)).run()


def test_calls_that_have_ended_leave_the_queue(bench):
    batch, other = bench.submitted(6, 2), bench.submitted(2, 2)
    bench.revoke(batch, [0, 1, 2, 3])
    assert withdraw(bench, batch, 6)
    assert bench.left() == 2
    found = bench.take_all(bench.worker)
    assert sorted((one.batch, one.first) for one in found) == sorted([(batch, 4), (other, 0)])


def test_what_a_worker_has_in_hand_is_not_withdrawn(bench):
    batch = bench.submitted(4, 2)
    (entry,) = bench.worker.take(1)
    bench.revoke(batch, range(4))
    assert withdraw(bench, batch, 4)
    assert calls(bench.worker.in_hand()) == [(entry.first, entry.count)]
    assert bench.left() == 1


def test_calls_that_are_due_later_are_withdrawn(bench):
    batch = bench.submitted(4, 2, due_ms=in_ms(bench, MINUTE_MS))
    bench.revoke(batch, [0, 1])
    now = bench.now()
    assert bench.line.withdrawal(ADDRESS, batch, 4, (now - 5, now + 55)).run()
    assert [(one.first, one.count) for one in bench.line.delayed_calls().listed(ADDRESS)] == [(2, 2)]


def test_returned_work_is_withdrawn(bench):
    batch = bench.submitted(2, 2)
    (entry,) = bench.worker.take(1)
    bench.worker.give(entry, [(0, 1, 1), (1, 1, 1)])
    bench.revoke(batch, [0, 1])
    assert withdraw(bench, batch, 2)
    assert bench.left() == 0


# -- what lies where


def test_each_call_that_has_not_ended_is_found_in_its_queue(bench):
    batch, delayed = bench.submitted(8, 2), bench.submitted(2, 2, due_ms=in_ms(bench, MINUTE_MS))
    first, second, third = bench.worker.take(3)
    bench.worker.give(first, [(1, 1, 1)], (0, 1))
    bench.end(bench.worker, second)
    bench.worker.give(third, [(4, 2, 1)], aside=Aside("m", in_ms(bench, MINUTE_MS), limit_of("a", "1/s")))
    unknown, stock = name(), bench.line.stock()
    look = stock.look(ADDRESS, [batch, delayed, unknown])
    assert sorted(found for one in look.found[batch] for found in range(one[0], one[0] + one[1])) == [
        0,
        1,
        4,
        5,
        6,
        7,
    ]
    assert look.found[delayed] == [(0, 2)]
    assert look.found[unknown] == []
    assert look.at_once
    assert stock.look(OTHER, [batch]).found == {batch: []}
    assert stock.known([batch, unknown]) == [True, False]
    assert bench.queues.length(ADDRESS, LANES) == 3
