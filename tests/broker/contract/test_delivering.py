"""Entries are in one pair of hands at a time, and none is lost on the way from one to another."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from nbtasks import BrokerUnavailable
from nbtasks.broker.carriers.carriedline import CarriedLine
from nbtasks.broker.verbs.delivery import Aside
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.permits import limit_of
from nbtasks.core.lanenames import LANES, returned

from .bench import ADDRESS, OTHER, SUCCESS, TTL_MS, Beside, calls, chunk, name, record


def test_each_entry_is_taken_once(bench):
    bench.submitted(20, 1)
    taken = [*bench.worker.take(7), *bench.other.take(7), *bench.worker.take(100)]
    assert sorted(one.first for one in taken) == list(range(20))
    assert bench.worker.take(5) == bench.other.take(5) == []


def test_whoever_asks_what_was_queued_waits_for_it(bench):
    if isinstance(bench.line, CarriedLine):
        pytest.skip("somebody else asks here, too")
    references = bench.new_line().references(bench.addresses)
    assert references.queued(0) == {}
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(references.queued, 30_000)
        assert not wait([asked], timeout=0.3).done, "it has answered that there is nothing"
        bench.submitted(3, 1)
        found = asked.result(30)
    while more := references.queued(0):
        found = {address: found.get(address, 0) + number for address, number in more.items()}
    assert found == {ADDRESS: 3}


def test_as_many_are_taken_as_are_wanted(bench):
    bench.submitted(5, 1)
    assert calls(bench.worker.take(2)) == [(0, 1), (1, 1)]
    assert calls(bench.worker.take(2)) == [(2, 1), (3, 1)]


def test_what_is_of_a_higher_priority_goes_first_and_returned_work_before_it(bench):
    for lane in "lmh":
        bench.submitted(2, 1, lane=lane)
    entries = bench.take_all(bench.worker)
    assert [one.lane for one in entries] == list("hhmmll")
    for lane in "lmh":
        for one in entries:
            if one.lane == lane:
                assert bench.worker.give(one, [(one.first, one.count, one.attempt)])
    for lane in "lmh":
        bench.submitted(1, lane=lane)
    assert [one.lane for one in bench.take_all(bench.worker, 1)] == list("HHhMMmLLl")


def test_one_take_brings_entries_of_one_lane(bench):
    for lane in "lm":
        bench.submitted(2, 1, lane=lane)
    assert {one.lane for one in bench.worker.take(10)} == {"m"}


def test_priority_is_across_queues(bench):
    bench.addresses.append(OTHER)
    bench.worker.extend()
    low, high = bench.submitted(1, lane="m"), bench.submitted(1, lane="h", address=OTHER)
    entries = bench.take_all(bench.worker)
    assert [(one.batch, one.address) for one in entries] == [(high, OTHER), (low, ADDRESS)]


def test_a_queue_that_is_served_later_has_what_came_before(bench):
    batch = bench.submitted(2, 1, address=OTHER)
    assert bench.worker.take(10) == []
    bench.addresses.append(OTHER)
    bench.worker.extend()
    bench.worker.prepare()
    assert {one.batch for one in bench.take_all(bench.worker)} == {batch}


def test_who_waits_is_brought_what_comes(bench):
    waiting = Beside(lambda: bench.worker.wait(20_000))
    bench.submitted(1)
    (entry,) = waiting.value()
    assert calls([entry]) == [(0, 1)]
    assert bench.worker.in_hand()[0].id == entry.id
    assert bench.other.take(1) == []


def test_of_several_that_wait_one_is_brought_at_a_time(bench):
    bench.submitted(2, 1, lane="l")
    bench.submitted(2, 1, lane="h")
    found = [bench.worker.wait(5_000) for _ in range(4)]
    assert [[one.lane.lower() for one in entries] for entries in found] == [["h"], ["h"], ["l"], ["l"]]
    assert len(bench.worker.in_hand()) == 4


def test_who_waits_in_vain_is_told_so(bench):
    assert bench.worker.wait(20) == []


def test_of_those_who_wait_one_gets_it(bench):
    waiting = [Beside(lambda one=one: one.wait(3_000)) for one in (bench.worker, bench.other)]
    batch = bench.submitted(1)
    found = [one.value() for one in waiting]
    assert sorted(map(len, found)) == [0, 1]
    assert next(itertools.chain.from_iterable(found)).batch == batch


def test_a_report_goes_along_with_the_wait(bench):
    batch = bench.submitted(2, 1)
    first, report, told = bench.worker.take(1)[0], Finish(), []
    report.results(batch, 0, SUCCESS, record(0, 1))
    report.done(first)
    (second,) = bench.worker.wait(5_000, report, lambda: told.append(bench.store.states(batch, 0, 1)))
    assert told == [SUCCESS]
    assert calls([second]) == [(1, 1)]
    assert calls(bench.worker.in_hand()) == [(1, 1)]


def test_an_entry_ends_when_it_is_reported(bench):
    bench.submitted(4, 2)
    first, second = bench.worker.take(10)
    assert bench.end(bench.worker, first) == 2
    assert bench.end(bench.worker, first) == 0
    assert calls(bench.worker.in_hand()) == [(2, 2)]
    assert bench.left() == 1
    bench.end(bench.worker, second)
    assert bench.left() == 0


def test_what_a_consumer_holds_stays_its_own_whoever_asks(bench):
    bench.submitted(4, 2)
    bench.worker.take(1)
    again = bench.delivery(bench.worker.consumer)
    assert calls(again.in_hand()) == [(0, 2)]
    assert all(one.suspect for one in again.in_hand())
    assert calls(bench.other.take(10)) == [(2, 2)]
    assert bench.line.consumers([ADDRESS]).counts() == {"w1/0": 1, "w2/0": 1}
    assert bench.line.consumers([OTHER]).counts() == {}


def test_a_dead_ones_entries_are_given_back_on_its_behalf(bench):
    bench.submitted(4, 2)
    first, second = bench.worker.take(10)
    dead = bench.other.on_behalf_of("w1/0", of_dead="w1")
    assert dead.consumer == "w1/0"
    assert calls(dead.in_hand()) == [(0, 2), (2, 2)]
    assert dead.give(first, [(0, 2, 1)])
    # It comes back in the middle of that.
    bench.fleet.renew("w1", "15000 1", "", 60_000)
    assert not dead.give(second, [(2, 2, 1)])
    assert calls(bench.worker.in_hand()) == [(2, 2)]
    assert calls(bench.other.take(10)) == [(0, 2)]
    assert bench.other.on_behalf_of("w1/0").give(second, [(2, 2, 1)])
    assert bench.worker.in_hand() == []


def test_a_consumer_is_forgotten_that_holds_nothing(bench):
    bench.submitted(4, 2)
    bench.worker.take(1)
    bench.other.take(1)
    bench.end(bench.worker, bench.worker.in_hand()[0])
    bench.other.on_behalf_of("w1/0").forget()
    bench.worker.on_behalf_of("w2/0").forget()
    assert bench.line.consumers([ADDRESS]).counts() == {"w2/0": 1}
    assert calls(bench.other.in_hand()) == [(2, 2)]


def test_calls_are_given_to_whoever_takes_them(bench):
    bench.submitted(4, 4)
    (entry,) = bench.worker.take(1)
    assert bench.worker.give(entry, [(1, 2, 1), (3, 1, 5)], kept=(0, 1))
    found = bench.other.take(10)
    assert [(one.first, one.count, one.attempt, one.lane) for one in found] == [
        (1, 2, 1, returned("m")),
        (3, 1, 5, returned("m")),
    ]
    assert {one.frame for one in found} == {entry.frame}
    assert found[1].suspect, "it was tried before"
    assert calls(bench.worker.in_hand()) == [(0, 1)]
    assert bench.worker.give(entry, [(1, 2, 1), (3, 1, 5)], kept=(0, 1)), "said again, it is done"
    assert bench.left() == 3


def test_what_is_given_wholly_is_in_hand_no_more(bench):
    bench.submitted(4, 2)
    first, second = bench.worker.take(10)
    assert bench.worker.give(first, [(0, 2, 1)])
    assert not bench.worker.give(first, [(0, 2, 1)])
    assert bench.worker.give(second, [])
    assert bench.left() == 1
    assert not bench.other.give(second, [(2, 2, 1)]), "it never had that"


def test_what_a_child_has_given_its_supervisor_does_not_give_again(bench):
    """Its list is of a moment before: the child was stopped between giving calls and saying so."""
    batch = bench.submitted(4, 2)
    entry = bench.worker.take(1)[0]
    assert bench.worker.give(entry, [(1, 1, 1)], (0, 1))
    assert bench.worker.give(entry, [(0, 2, 1)])
    assert sorted(bench.work_off()) == [(batch, index) for index in range(4)]
    assert bench.left() == 0


def test_what_a_supervisor_has_given_its_child_does_not_keep(bench):
    batch = bench.submitted(4, 2)
    entry = bench.worker.take(1)[0]
    assert bench.worker.give(entry, [(1, 1, 1)], (0, 1))
    bench.worker.give(entry, [], (0, 2))
    assert calls(bench.worker.in_hand()) == [(0, 1)]
    assert sorted(bench.work_off()) == [(batch, index) for index in range(4)]


def test_a_part_that_was_kept_ends_by_itself(bench):
    batch = bench.submitted(4, 4)
    (entry,) = bench.worker.take(1)
    bench.worker.give(entry, [(2, 2, 1)], (0, 2))
    report = Finish()
    report.results(batch, 0, SUCCESS * 2, record(0, 2))
    report.done(entry, (0, 2))
    bench.worker.finish(report)
    assert bench.worker.in_hand() == []
    assert calls(bench.other.take(10)) == [(2, 2)]


def test_what_is_put_aside_comes_at_its_time_and_uncharged(bench):
    batch = bench.submitted(2, 2)
    (entry,) = bench.worker.take(1)
    now, limit = bench.now(), limit_of("fetch", "10/s")
    assert bench.worker.give(entry, [(0, 2, 3)], aside=Aside("h", round(now * 1000) + 60_000, limit))
    assert bench.left() == 0
    assert bench.worker.in_hand() == []
    (listed,) = bench.line.delayed_calls().listed(ADDRESS)
    assert (listed.batch, listed.first, listed.count, listed.limit) == (batch, 0, 2, limit)
    moved, next_s = bench.queues.promote(ADDRESS, now)
    assert moved == 0
    assert 59 < next_s <= 60
    assert bench.queues.promote(ADDRESS, now + 61) == (1, None)
    (again,) = bench.other.take(10)
    assert (again.lane, again.first, again.count, again.attempt) == ("h", 0, 2, 3)


def test_copies_of_what_was_worked_off_end_when_they_are_taken(bench):
    batch, flush = bench.submitted(2, 2), Flush()
    (entry,) = bench.worker.take(1)
    bench.end(bench.worker, entry)
    # A client that has found the server without it.
    flush.batch(batch, 2, ADDRESS, "fn", b"function", b"label", TTL_MS)
    flush.chunk(batch, ADDRESS, "m", 0, 0, 2, chunk(batch, 0))
    bench.submission.submit(name(), 1, flush)
    assert bench.left() == 1
    assert bench.other.take(10) == []
    assert bench.left() == 0
    assert bench.copies == [(ADDRESS, batch, chunk(batch, 0))]


def test_calls_of_a_batch_that_nobody_knows_end_when_they_are_taken(bench):
    batch = bench.submitted(2, 2)
    bench.store.forget(batch)
    assert bench.worker.wait(2_000) == []
    assert bench.left() == 0
    assert [one[1] for one in bench.copies] == [batch]


def test_revoked_calls_end_without_a_word(bench):
    batch = bench.submitted(2, 2)
    bench.revoke(batch, [0, 1])
    assert bench.worker.take(10) == []
    assert bench.copies == []
    assert bench.left() == 0


def test_what_was_taken_is_looked_at_again(bench):
    batch = bench.submitted(6, 2)
    first, second, third = bench.worker.take(10)
    bench.store.finish(report_of(batch, 0, 2))
    bench.store.finish(report_of(batch, 2, 1))
    assert [(one.first, one.suspect) for one in bench.worker.living([first, second, third])] == [
        (2, True),
        (4, False),
    ]
    assert bench.worker.living([]) == []
    assert calls(bench.worker.in_hand()) == [(2, 2), (4, 2)]


def report_of(batch, first, count):
    report = Finish()
    report.results(batch, first, SUCCESS * count, record(first, count))
    return report


def test_what_is_taken_for_the_first_time_has_not_begun(bench):
    bench.submitted(2, 2)
    (entry,) = bench.worker.take(1)
    assert not bench.worker.may_have_begun(entry)
    bench.worker.give(entry, [(0, 2, 1)])
    (again,) = bench.other.take(1)
    assert not bench.other.may_have_begun(again)


def test_what_may_have_begun_comes_back_in_doubt(bench):
    batch = bench.submitted(2, 2)
    (entry,) = bench.worker.take(1)
    report, now = Finish(), bench.now()
    report.doubt(entry, round(now * 1000) + 5_000, [(1, 1)])
    bench.worker.finish(report)
    assert bench.worker.in_hand() == []
    assert bench.queues.promote(ADDRESS, now + 6) == (1, None)
    (again,) = bench.other.take(1)
    assert (again.batch, again.first, again.count, again.doubt) == (batch, 1, 1, "3")
    assert bench.other.may_have_begun(again)


def test_to_prepare_changes_nothing_where_nothing_was_lost(bench):
    bench.submitted(4, 2)
    (entry,) = bench.worker.take(1)
    bench.worker.prepare()
    bench.other.prepare(bench.now())
    assert calls(bench.worker.in_hand()) == [(0, 2)]
    assert not bench.worker.may_have_begun(entry)
    assert calls(bench.other.take(10)) == [(2, 2)]
    assert bench.line.consumers([ADDRESS]).adopt_orphans() == 0


def test_what_is_due_is_queued_before_it_is_prepared(bench):
    now = bench.now()
    bench.submitted(2, 2, due_ms=round(now * 1000) + 1_000)
    bench.worker.prepare(now + 2)
    assert bench.left() == 1


def test_a_wait_is_cut_short(bench):
    line = bench.new_line()
    waiting = Beside(lambda: line.delivery([ADDRESS], "w3/0").wait(20_000))
    bench.submitted(1)
    waiting.value()
    again = Beside(lambda: line.delivery([ADDRESS], "w3/0").wait(round(line.block_s * 1000)))
    while not again.is_over:
        line.abort()
    with pytest.raises(BrokerUnavailable):
        again.value()
    assert calls(line.delivery([ADDRESS], "w3/0").in_hand()) == [(0, 1)], "the line is made anew"
    assert line.connections >= 2


def test_numbers_of_a_queue(bench):
    bench.submitted(6, 1)
    bench.worker.take(2)
    batch = bench.submitted(4, 4, lane="h")
    (entry,) = bench.other.take(1)
    bench.other.give(entry, [(3, 1, 1)], (1, 2))
    assert bench.queues.length(ADDRESS, LANES) == 8
    assert bench.queues.length(ADDRESS, "m") == 6
    assert bench.queues.waiting(ADDRESS, LANES) == 5
    assert bench.queues.waiting(OTHER, LANES) == bench.queues.length(OTHER, LANES) == 0
    assert bench.queues.in_hand(ADDRESS, {batch: 4}) == {batch: {1, 2}}
    assert bench.queues.in_hand(ADDRESS, {}) == {}
    (depth,) = bench.line.gauges().queues()
    assert (depth.address, depth.waiting, depth.running, depth.delayed) == (ADDRESS, 5, 3, 0)
    assert depth.oldest_s >= 0
