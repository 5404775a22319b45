"""Periodic tasks: each due time is fired once, whoever says it, or passed over once."""

from __future__ import annotations

import dataclasses
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from nbtasks.broker.brokererrors import FunctionMissing
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.due.periodic import DueRun, Periodic, RunChunk, id_of, run_id
from nbtasks.core.due.timetable import Timetable

from .bench import ADDRESS, FAILURE, KEY_ID, REVOKED, SUCCESS, TTL_MS

TASK = Periodic("sweep", Timetable.of(10, "UTC"), ADDRESS, "fn", chunks=(2, 1))
#: Later than any test.
NEVER_MS = 4_000_000_000_000


class Beats:
    """A periodic task, and two beats that see to it."""

    def __init__(self, bench) -> None:
        self.bench = bench
        self.store = bench.line.periodic_store(KEY_ID)
        self.frame = b""

    def put(
        self, *, task=TASK, frame=b"frame", first_ms=1000, function=b"code", client="", times="every 10"
    ) -> int | None:
        self.frame = frame
        return self.store.put(task.id, frame, times, task.function, function, client, first_ms, TTL_MS)

    def fire(
        self, due_ms, next_ms=NEVER_MS, *, batch=None, task=TASK, frame=None, store=None
    ) -> tuple[str, str]:
        chunks = (RunChunk("m", 0, 0, 2, b"first two calls"), RunChunk("m", 0, 2, 1, b"third call"))
        run = DueRun(task, batch or run_id(task.name, due_ms), b"label", chunks)
        version = hashlib.sha1(frame or self.frame, usedforsecurity=False).hexdigest()
        return (store or self.store).fire(version, due_ms, next_ms, run)

    def seen(self):
        return self.store.look(TASK.id)[1][0]

    def end(self, batch) -> None:
        report = Finish()
        report.results(batch, 0, SUCCESS * 3, b"record")
        self.bench.store.finish(report)


@pytest.fixture
def beats(bench):
    return Beats(bench)


def test_who_says_that_it_is_there_hears_when_it_did_so_before(beats):
    before, first = beats.store.say_there("abc", 30_000)
    assert before is None
    before, second = beats.store.say_there("abc", 30_000)
    assert before == first <= second
    assert beats.store.say_there("def", 30_000)[0] is None
    assert beats.store.say_there("abc", 0)[0] == second
    assert beats.store.say_there("abc", 30_000)[0] is None


def test_what_is_put_is_due(beats):
    assert beats.put() == 1000
    assert beats.store.frame(TASK.id) == b"frame"
    assert beats.store.frame("0" * 20) is None
    agenda = beats.store.agenda("b1", 1000, 10)
    assert agenda.elected
    assert abs(agenda.now_ms / 1000 - beats.bench.now()) < 60
    assert agenda.next_ms == 1000
    (due,) = agenda.tasks
    assert (due.id, due.due_ms, due.is_there, due.gone_since_ms) == (TASK.id, 1000, True, 0)
    assert due.version == hashlib.sha1(b"frame", usedforsecurity=False).hexdigest()


def test_a_due_time_is_fired_once(beats):
    beats.put()
    run = run_id("sweep", 1000)
    assert beats.fire(1000, 11_000) == ("OK", "")
    assert beats.fire(1000, 11_000)[0] == "LATE"
    found = beats.bench.take_all(beats.bench.worker)
    assert [(one.batch, one.first, one.count, one.frame) for one in found] == [
        (run, 0, 2, b"first two calls"),
        (run, 2, 1, b"third call"),
    ]
    seen = beats.seen()
    assert (seen.runs, seen.last, seen.next_ms, seen.frame) == (1, ((1000, run, 0),), 11_000, b"frame")
    beats.end(run)
    assert beats.seen().last == ((1000, run, SUCCESS[0]),)


def test_what_is_not_due_is_not_fired(beats):
    beats.put(first_ms=NEVER_MS)
    assert beats.store.agenda("b1", 1000, 10).elected is None
    assert beats.fire(NEVER_MS)[0] == "EARLY"
    assert beats.bench.left() == 0


def test_a_run_beside_the_timetable_moves_nothing(beats):
    beats.put(first_ms=NEVER_MS)
    assert beats.fire(None, None, batch="ab" * 10)[0] == "OK"
    assert beats.seen().next_ms == NEVER_MS
    assert beats.bench.left() == 2


def test_what_was_changed_or_removed_is_not_fired(beats):
    beats.put(frame=b"old")
    beats.put(frame=b"new")
    assert beats.fire(1000, frame=b"old")[0] == "CHANGED"
    assert beats.store.remove(TASK.id)
    assert not beats.store.remove(TASK.id)
    assert beats.fire(1000)[0] == "CHANGED"
    assert beats.store.look()[1] == []
    assert beats.store.agenda("b1", 1000, 10).next_ms is None


def test_code_has_to_come_along_where_the_server_has_it_not(beats):
    with pytest.raises(FunctionMissing):
        beats.put(function=b"")
    assert beats.store.look()[1] == []
    beats.put()
    assert beats.put(function=b"") == 1000


def test_another_version_keeps_the_due_time_where_it_is_due_at_the_same_times(beats):
    beats.put()
    other = dataclasses.replace(TASK, function="other")
    assert beats.put(task=other, frame=b"newer", first_ms=5000) == 1000
    assert beats.put(times="every 20", first_ms=5000) == 5000


def test_one_that_pauses_is_not_due(beats):
    beats.put()
    assert beats.store.pause(TASK.id)
    seen = beats.seen()
    assert seen.next_ms is None
    assert abs(seen.paused_ms / 1000 - beats.bench.now()) < 60
    assert beats.store.agenda("b1", 1000, 10).tasks == ()
    assert beats.put(frame=b"newer", first_ms=5000) is None, "another version pauses, too"
    assert beats.store.resume(TASK.id, 7000)
    assert (beats.seen().next_ms, beats.seen().paused_ms) == (7000, None)
    beats.store.resume(TASK.id, 9000)
    assert beats.seen().next_ms == 7000, "it went on already"
    assert not beats.store.pause("0" * 20)
    assert not beats.store.resume("0" * 20, 1)


def test_due_times_are_passed_over_once(beats):
    beats.put()
    assert beats.store.pass_over(TASK.id, 1000, 21_000, missed=2)
    assert not beats.store.pass_over(TASK.id, 1000, 31_000, missed=2)
    assert (beats.seen().next_ms, beats.seen().missed) == (21_000, 2)
    assert beats.store.pass_over(TASK.id, 21_000, None)
    assert beats.seen().next_ms is None
    assert not beats.store.pass_over("0" * 20, 1, 2)


def test_a_run_that_goes_on_is_in_the_way(beats):
    beats.put()
    assert beats.fire(1000, 2000)[0] == "OK"
    assert beats.fire(2000, 3000)[0] == "WAIT", "both were due before it began"
    assert beats.fire(None, None, batch="ab" * 10) == ("BUSY", run_id("sweep", 1000))
    beats.end(run_id("sweep", 1000))
    assert beats.fire(2000, 3000)[0] == "OK"
    assert beats.seen().overlapped == 0
    task = dataclasses.replace(TASK, overlaps=True)
    assert beats.fire(3000, 4000, task=task)[0] == "OK"


def test_one_beat_is_elected_and_another_takes_over_when_it_is_silent(beats, eventually):
    beats.put()
    assert beats.store.agenda("b1", 300, 10).elected
    assert beats.store.agenda("b1", 300, 10).elected
    assert beats.store.agenda("b2", 300, 10).elected is False
    eventually(lambda: beats.store.agenda("b2", 300, 10).elected, "the other one is elected")


def test_one_that_ends_with_a_client_says_whether_that_is_there(beats, eventually):
    beats.put(client="c1")
    assert not beats.store.agenda("b1", 1000, 10).tasks[0].is_there
    beats.store.say_there("c1", 60_000)
    assert beats.store.agenda("b1", 1000, 10).tasks[0].is_there
    assert beats.seen().is_there
    assert not beats.store.remove(TASK.id, "c2")
    assert beats.store.pass_over(TASK.id, 1000, 1500, is_gone=True)
    assert beats.store.agenda("b1", 1000, 10).tasks[0].gone_since_ms > 0
    beats.store.say_there("c1", 1)
    eventually(lambda: not beats.seen().is_there, "it was silent")
    assert beats.store.remove(TASK.id, "c1")


def test_who_has_come_back_is_gone_no_more(beats):
    """Else it would be taken for one that was gone all the time, when it is silent for a moment once more."""
    beats.put(client="c1")
    assert beats.store.pass_over(TASK.id, 1000, 1500, is_gone=True)
    beats.store.say_there("c1", 60_000)
    assert beats.fire(1500, 1600)[0] == "OK"
    assert beats.store.agenda("b1", 1000, 10).tasks[0].gone_since_ms == 0
    assert beats.store.pass_over(TASK.id, 1600, 1700, is_gone=True)
    assert beats.put(client="c1") == 1700
    assert beats.store.agenda("b1", 1000, 10).tasks[0].gone_since_ms == 0


def test_many_who_fire_at_once_fire_it_once(beats):
    beats.put()
    stores = [beats.bench.new_line().periodic_store(KEY_ID) for _ in range(4)]
    for due_ms in range(1000, 1010):
        with ThreadPoolExecutor(len(stores)) as pool:
            came = [
                one.result()[0]
                for one in [pool.submit(beats.fire, due_ms, due_ms + 1, store=store) for store in stores]
            ]
        assert sorted(came) == ["LATE", "LATE", "LATE", "OK"]
        beats.end(run_id("sweep", due_ms))
    assert beats.seen().runs == 10


def test_a_due_time_that_comes_again_is_no_other_run(beats):
    """The server's clock went back, and then the timetable was changed."""
    beats.put()
    assert beats.fire(1000, 2000)[0] == "OK"
    beats.end(run_id("sweep", 1000))
    assert beats.put(times="every 20", first_ms=1000) == 1000
    assert beats.fire(1000, 2000)[0] == "OK"
    assert beats.seen().runs == 1
    assert beats.bench.left() == 2, "those of the first time"


def test_a_run_that_begins_later_is_queued_when_it_is_due(beats):
    now_ms = beats.store.look()[0]
    beats.put(first_ms=now_ms - 10)
    chunks = (RunChunk("m", 3_600_000, 0, 3, b"three calls"),)
    run = DueRun(TASK, run_id("sweep", now_ms - 10), b"label", chunks)
    version = hashlib.sha1(b"frame", usedforsecurity=False).hexdigest()
    assert beats.store.fire(version, now_ms - 10, NEVER_MS, run)[0] == "OK"
    assert beats.bench.left() == 0
    (later,) = beats.bench.line.delayed_calls().listed(ADDRESS)
    assert round(later.due_at * 1000) == now_ms - 10 + 3_600_000


def test_code_of_a_periodic_task_is_kept_where_no_batch_needs_it(beats):
    beats.put()
    housekeeping = beats.bench.line.housekeeping()
    housekeeping.sweep_batches(0)
    assert beats.bench.store.function("fn") == b"code"
    assert beats.fire(1000)[0] == "OK"
    beats.bench.store.forget(run_id("sweep", 1000))
    housekeeping.sweep_batches(0)
    assert beats.put(function=b"") == NEVER_MS


def test_who_waits_for_calls_is_woken_by_a_run(beats):
    beats.put()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(beats.bench.worker.wait, 60_000)
        assert beats.fire(1000)[0] == "OK"
        assert waiting.result(60)[0].batch == run_id("sweep", 1000)


def test_how_runs_have_ended_is_seen(beats):
    beats.put()
    states = [SUCCESS * 3, SUCCESS + FAILURE + REVOKED, REVOKED + FAILURE * 2]
    for k, codes in enumerate(states):
        assert beats.fire(1000 + k, 1001 + k)[0] == "OK"
        report = Finish()
        report.results(run_id("sweep", 1000 + k), 0, codes, b"record")
        beats.bench.store.finish(report)
    beats.bench.store.forget(run_id("sweep", 1000))
    assert [code for _, _, code in beats.seen().last] == [REVOKED[0], FAILURE[0], 255]


def test_all_are_found_that_there_are(beats):
    names = {f"sweep {k}" for k in range(230)}
    for k, one in enumerate(sorted(names)):
        beats.put(task=dataclasses.replace(TASK, name=one), first_ms=NEVER_MS - k)
    found = beats.store.look()[1]
    assert {one.id for one in found} == {id_of(one) for one in names}
    assert len(found) == 230


def test_keys_have_periodic_tasks_of_their_own(beats):
    beats.put()
    other = beats.bench.line.periodic_store("0b" * 4)
    assert other.key_id == "0b" * 4
    assert other.look()[1] == []
    assert other.agenda("b1", 1000, 10).next_ms is None


def test_only_the_last_runs_are_kept(beats):
    beats.put()
    for k in range(35):
        assert beats.fire(1000 + k, 1001 + k)[0] == "OK"
        beats.end(run_id("sweep", 1000 + k))
    seen = beats.seen()
    assert (seen.runs, len(seen.last), seen.last[0][0]) == (35, 30, 1034)
