"""The scripts of periodic tasks: each due time is fired once, whoever says it, and wherever the server crashes."""

from __future__ import annotations

import time

import pytest

from nbtasks.broker.redis.keys import GROUP, Keys
from nbtasks.broker.redis.redisfinish import finish as report_to
from nbtasks.broker.redis.redisperiodicstore import RedisPeriodicStore
from nbtasks.broker.verbs.finish import Finish
from nbtasks.core.due.periodic import DueRun, Periodic, RunChunk, run_id
from nbtasks.core.due.timetable import Timetable

from .test_scripts import DONE, Cut, CutLink, one_server  # noqa: F401 - a fixture

KEYS = Keys("cut")
KEY_ID = "0a" * 4
ADDRESS = f"default@3.11.{KEY_ID}"
TASK = Periodic("sweep", Timetable.of(10, "UTC"), ADDRESS, "fn", chunks=(2, 1))
TTL = 60_000


class Bench:
    """A periodic task on a server, and what can be seen of it."""

    def __init__(self, server) -> None:
        self.raw = server.client()
        self.raw.flushall()
        self.link = CutLink(server.url)
        self.store = RedisPeriodicStore(self.link, KEYS, KEY_ID)
        self.raw.xgroup_create(KEYS.lane(ADDRESS, "m"), GROUP, "0", mkstream=True)

    def put(self, *, task=TASK, frame=b"frame", first_ms=1000, function=b"code", client="") -> int | None:
        return self.store.put(task.id, frame, "every 10", task.function, function, client, first_ms, TTL)

    @property
    def version(self) -> str:
        return self.raw.hget(KEYS.periodic(KEY_ID, TASK.id), "v").decode()

    def fire(self, due_ms, next_ms=11_000, *, batch=None, task=TASK) -> str:
        chunks = (RunChunk("m", 0, 0, 2, b"first two calls"), RunChunk("m", 0, 2, 1, b"third call"))
        run = DueRun(task, batch or run_id(task.name, due_ms), b"label", chunks)
        return self.store.fire(self.version, due_ms, next_ms, run)[0]

    def queued(self) -> list[tuple[str, str]]:
        """(batch, first call) of each entry that is queued."""
        entries = self.raw.xrange(KEYS.lane(ADDRESS, "m"))
        return [(fields[b"b"].decode(), fields[b"i"].decode()) for _, fields in entries]

    def due_ms(self) -> float | None:
        return self.raw.zscore(KEYS.due(KEY_ID), TASK.id)

    def end(self, batch) -> None:
        """All calls of a run end."""
        report = Finish()
        report.results(batch, 0, DONE * 3, b"record")
        report_to(self.link, KEYS, report)

    def uses(self) -> int:
        return int(self.raw.hget(f"{KEYS.root}fu", "fn") or 0)


@pytest.fixture
def bench(one_server):  # noqa: F811
    return Bench(one_server)


def every_cut(server, script, before, act):
    """Run ``act`` with a script cut after each number of writes; yield the bench each time."""
    writes = 0
    while True:
        made = Bench(server)
        before(made)
        made.link.cut_name, made.link.writes = script, writes
        try:
            act(made)
        except Cut:
            made.link.cut_name = ""
            yield made
        else:
            assert writes > 0
            return
        writes += 1


def test_wherever_a_crash_cuts_it_off_a_due_time_is_neither_lost_nor_fired_as_another_run(one_server):  # noqa: F811
    run = run_id("sweep", 1000)
    for bench in every_cut(one_server, "periodic_fire", Bench.put, lambda bench: bench.fire(1000)):
        assert bench.fire(1000) in {"OK", "LATE"}
        # An entry may be there twice: the first result of its calls counts.
        assert set(bench.queued()) == {(run, "0"), (run, "2")}
        assert bench.due_ms() == 11_000
        assert bench.store.look(TASK.id)[1][0].last == ((1000, run, 0),)
        bench.end(run)
        assert bench.uses() >= 1
        assert bench.raw.pttl(KEYS.batch(run)) > 0
        assert bench.raw.pttl(KEYS.function("fn")) == -1


def test_wherever_a_crash_cuts_it_off_what_is_put_is_there_with_its_code(one_server):  # noqa: F811
    for bench in every_cut(one_server, "periodic_put", lambda bench: None, Bench.put):
        bench.put()
        assert bench.due_ms() == 1000
        assert bench.uses() >= 1
        assert bench.fire(1000) == "OK"


def test_wherever_a_crash_cuts_it_off_what_is_removed_is_due_no_more(one_server):  # noqa: F811
    for bench in every_cut(
        one_server, "periodic_remove", Bench.put, lambda bench: bench.store.remove(TASK.id)
    ):
        bench.store.remove(TASK.id)
        assert bench.due_ms() is None
        assert bench.store.look() == (pytest.approx(time.time() * 1000, abs=60_000), [])


def test_wherever_a_crash_cuts_it_off_a_client_that_was_there_is_known(one_server):  # noqa: F811
    def say(bench):
        return bench.store.say_there("abc", 30_000)

    said = []
    for bench in every_cut(one_server, "say_there", lambda bench: said.append(say(bench)[1]), say):
        assert say(bench)[0] >= said[-1]


def test_code_is_kept_as_long_as_a_periodic_task_or_a_run_needs_it(bench):
    bench.put()
    assert bench.fire(1000) == "OK"
    assert bench.uses() == 2
    assert bench.store.remove(TASK.id)
    assert bench.raw.pttl(KEYS.function("fn")) == -1
    bench.end(run_id("sweep", 1000))
    assert bench.uses() == 0
    assert bench.raw.pttl(KEYS.function("fn")) > 0
    assert not bench.store.remove(TASK.id)


def test_another_version_keeps_the_next_due_time_and_lets_go_of_the_code_before(bench):
    import dataclasses

    bench.put()
    newer = dataclasses.replace(TASK, function="other")
    assert bench.put(task=newer, frame=b"newer", first_ms=5000) == 1000
    assert bench.uses() == 0
    assert int(bench.raw.hget(f"{KEYS.root}fu", "other")) == 1
    bench.store.pause(TASK.id)
    assert bench.put(task=newer, frame=b"newest", first_ms=5000) is None


def test_code_that_the_server_has_lost_is_no_run(bench):
    bench.put()
    bench.raw.delete(KEYS.function("fn"))
    assert bench.fire(1000) == "NOFN"
    assert bench.queued() == []


def test_a_due_time_is_left_out_while_the_run_before_goes_on(bench):
    now = round(time.time() * 1000)
    bench.put(first_ms=now - 30)
    assert bench.fire(now - 30, now + 2) == "OK"
    time.sleep(0.01)
    # It comes after the run before has begun.
    fence = int(bench.raw.hget(KEYS.periodic(KEY_ID, TASK.id), "cu"))
    bench.raw.zadd(KEYS.due(KEY_ID), {TASK.id: fence + 1})
    assert bench.fire(fence + 1, fence + 2) == "BUSY"
    assert bench.store.look(TASK.id)[1][0].overlapped == 1
    assert bench.fire(None, batch="ab" * 10) == "BUSY"
    bench.end(run_id("sweep", now - 30))
    assert bench.fire(fence + 2, fence + 3_000) == "OK"


def test_what_others_have_put_there_is_passed_over(bench):
    bench.raw.zadd(KEYS.due(KEY_ID), {"garbage": 5, "ab" * 10: 6, TASK.id: 7})
    bench.raw.set(KEYS.periodic(KEY_ID, "ab" * 10), "no hash")
    agenda = bench.store.agenda("b1", 300, 10)
    assert {one.id for one in agenda.tasks} == {"ab" * 10, TASK.id}
    assert bench.store.pass_over(TASK.id, 7, None)
    assert bench.due_ms() is None
    assert not bench.store.pass_over(TASK.id, 7, None)
    bench.raw.delete(KEYS.due(KEY_ID))
    bench.raw.set(KEYS.due(KEY_ID), "no set")
    assert bench.store.look()[1] == []
    assert bench.store.agenda("b1", 300, 10).tasks == ()
