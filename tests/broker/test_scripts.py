"""A script that is cut off after any of its writes, as a crash does, loses nothing and doubles nothing that is seen."""

from __future__ import annotations

import time

import pytest

from nbtasks.broker.redis.keys import GROUP, Keys
from nbtasks.broker.redis.lanes import Lanes
from nbtasks.broker.redis.link import Link
from nbtasks.broker.redis.redisconsumers import RedisConsumers
from nbtasks.broker.redis.redisdelivery import RedisDelivery
from nbtasks.broker.redis.redisordering import RedisOrdering
from nbtasks.broker.redis.redispermits import RedisPermits
from nbtasks.broker.redis.redisstore import RedisStore
from nbtasks.broker.redis.redissubmission import RedisSubmission
from nbtasks.broker.redis.rediswithdrawal import RedisWithdrawal
from nbtasks.broker.redis.scripts import SCRIPTS
from nbtasks.broker.verbs.delivery import Aside
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.permits import limit_of
from nbtasks.core.lanenames import LANES

KEYS = Keys("cut")
ADDRESS = "default@3.11.k"
#: Later than what is due.
NOW = 1_000
BATCH = "ab12" * 5
N = 4
DONE = b"\x05"
#: Commands that a crash may come after. The others only read.
WRITES = [
    "DEL",
    "HSET",
    "HDEL",
    "HSETNX",
    "HINCRBY",
    "SET",
    "SETRANGE",
    "SADD",
    "PERSIST",
    "PEXPIRE",
    "XADD",
    "XDEL",
    "XTRIM",
    "XACK",
    "XGROUP",
    "XREADGROUP",
    "ZADD",
    "ZREM",
]
READS = (
    *("HGET", "HMGET", "HEXISTS", "GETRANGE", "EXISTS", "GET", "PTTL", "TIME", "XLEN", "XRANGE", "XREVRANGE"),
    *("XPENDING", "XINFO", "SMEMBERS", "ZRANGE", "ZREVRANGE", "ZRANGEBYSCORE", "ZCARD"),
    *("HKEYS", "ZSCORE", "HGETALL", "HLEN", "ZRANK"),
)
CUT = """
local left, real = {left}, redis
local writes = {{{writes}}}
local function cut(how)
  return function(name, ...)
    if writes[name] then
      if left == 0 then error('cut off') end
      left = left - 1
    end
    return real[how](name, ...)
  end
end
local redis = setmetatable({{call = cut('call'), pcall = cut('pcall')}}, {{__index = real}})
"""


class CutLink(Link):
    """A connection on which one script ends after so many writes."""

    def __init__(self, url: str) -> None:
        super().__init__(url, url)
        self.cut_name, self.writes = "", 0

    def script(self, name, keys, args, eager=False):
        """Run it; as much of it as was asked for."""
        if name != self.cut_name:
            return super().script(name, keys, args, eager)
        head = CUT.format(left=self.writes, writes=", ".join(f"{word} = true" for word in WRITES))
        source = head.encode() + SCRIPTS[name].source
        reply = self.pipeline([("EVAL", source, len(keys), *keys, *args)])[0]
        if isinstance(reply, Exception):
            assert "cut off" in str(reply), reply
            raise Cut
        return reply


class Cut(Exception):
    """The server has crashed in the middle of a script."""


@pytest.fixture(scope="module")
def one_server(run_folder):
    """A server for all tests here; each empties it."""
    import tempfile

    from .conftest import Server

    with tempfile.TemporaryDirectory(prefix="s", dir=run_folder) as folder:
        from pathlib import Path

        server = Server(Path(folder))
        yield server
        server.stop()


class Bench:
    """One batch of four calls, a worker, and what can be seen of them."""

    def __init__(self, server) -> None:
        self.raw = server.client()
        self.raw.flushall()
        self.link = CutLink(server.url)
        self.store = RedisStore(self.link, KEYS)
        self.submission = RedisSubmission(self.link, KEYS)
        self.lanes = Lanes(self.link, KEYS, [ADDRESS])
        self.worker = RedisDelivery(self.lanes, "w1/0")
        self.other = RedisDelivery(self.lanes, "w2/0")
        self.worker.prepare()

    def flush(self) -> Flush:
        """The submit of a batch with two chunks, one of them delayed by nothing worth waiting for."""
        flush = Flush()
        flush.batch(BATCH, N, ADDRESS, "fn", b"function", b"label", 60_000)
        flush.chunk(BATCH, ADDRESS, "m", 0, 0, 2, b"the chunk from 0 on")
        flush.chunk(BATCH, ADDRESS, "m", 0, 2, 2, b"the chunk from 2 on")
        return flush

    def finish(self, entry: Entry) -> None:
        """Report all calls of an entry as ended."""
        report = Finish()
        report.results(BATCH, entry.first, DONE * entry.count, b"record %d+%d" % (entry.first, entry.count))
        report.done(entry)
        self.worker.finish(report)

    def work_off(self) -> list[tuple[int, int]]:
        """Run everything that is held or queued, as workers do; returns the calls in the order of execution."""
        ran = []
        while entries := [*self.worker.in_hand(), *self.other.take(10)]:
            for entry in entries:
                states = self.store.states(BATCH, entry.first, entry.count)
                ran += [entry.first + k for k in range(entry.count) if not states[k]]
                by = self.worker if entry.id in {one.id for one in self.worker.in_hand()} else self.other
                report = Finish()
                report.results(
                    BATCH, entry.first, DONE * entry.count, b"record %d+%d" % (entry.first, entry.count)
                )
                report.done(entry)
                by.finish(report)
        return ran

    def check_end(self) -> None:
        """Every call has its record, nothing is left, and the batch goes when its time is over."""
        assert self.store.states(BATCH, 0, N) == DONE * N
        covered = {
            index
            for first, count in self.store.ranges(BATCH)
            if self.store.record(BATCH, first, count) == b"record %d+%d" % (first, count)
            for index in range(first, first + count)
        }
        assert covered == set(range(N))
        for lane in LANES:
            name = KEYS.lane(ADDRESS, lane)
            assert self.raw.xlen(name) == 0
            assert self.raw.xpending(name, GROUP)["pending"] == 0
        assert self.raw.hlen(KEYS.cuts(ADDRESS)) == 0
        assert self.raw.zcard(KEYS.delayed(ADDRESS)) == 0
        # What heals a batch that ended at the moment of a crash.
        sweep = Finish()
        sweep.counted(BATCH)
        self.worker.finish(sweep)
        assert self.raw.pttl(KEYS.batch(BATCH)) > 0
        assert self.raw.pttl(KEYS.states(BATCH)) > 0


def every_cut(one_server, script, before, act):
    """Run ``act`` with a script cut after each number of writes, recover, and check; returns how many there were."""
    writes = 0
    while True:
        bench = Bench(one_server)
        facts = before(bench)
        bench.link.cut_name, bench.link.writes = script, writes
        try:
            act(bench, facts)
            cut = False
        except Cut:
            cut = True
        bench.link.cut_name = ""
        if cut:
            yield bench, facts
        bench.link.close()
        bench.raw.close()
        if not cut:
            assert writes > 0
            return
        writes += 1


def submitted(bench):
    bench.submission.submit("s1", 1, bench.flush())


def taken(bench):
    submitted(bench)
    return bench.worker.take(10)


def test_submit(one_server):
    for bench, _ in every_cut(
        one_server,
        "submit",
        lambda bench: None,
        lambda bench, _: bench.submission.submit("s1", 1, bench.flush()),
    ):
        submitted(bench)
        assert set(bench.work_off()) == set(range(N))
        bench.check_end()


def test_submit_repeated_by_a_new_session(one_server):
    """The client has found that the server lost its flush."""
    for bench, _ in every_cut(
        one_server,
        "submit",
        lambda bench: None,
        lambda bench, _: bench.submission.submit("s1", 1, bench.flush()),
    ):
        bench.submission.submit("s2", 1, bench.flush())
        assert set(bench.work_off()) == set(range(N))
        bench.check_end()


@pytest.mark.parametrize("repeated", [True, False], ids=["repeated", "delivered again"])
def test_finish(one_server, repeated):
    for bench, entries in every_cut(
        one_server, "finish", taken, lambda bench, entries: bench.finish(entries[0])
    ):
        if repeated:
            bench.finish(entries[0])
        bench.work_off()
        bench.check_end()


@pytest.mark.parametrize("repeated", [True, False], ids=["repeated", "delivered again"])
def test_the_last_finish(one_server, repeated):
    def all_but_one(bench):
        entries = taken(bench)
        bench.finish(entries[0])
        return entries[1]

    for bench, entry in every_cut(
        one_server, "finish", all_but_one, lambda bench, entry: bench.finish(entry)
    ):
        if repeated:
            bench.finish(entry)
        bench.work_off()
        bench.check_end()
        assert bench.raw.hget(KEYS.batch(BATCH), "d") is not None


@pytest.mark.parametrize("repeated", [True, False], ids=["repeated", "delivered again"])
def test_a_retry(one_server, repeated):
    def again(bench, entries):
        entry = entries[0]
        report = Finish()
        for index in range(entry.first, entry.first + entry.count):
            report.again(BATCH, ADDRESS, "m", 0, index, 1, 2, b"chunk %d" % index)
        report.done(entry)
        bench.worker.finish(report)

    for bench, entries in every_cut(one_server, "finish", taken, again):
        if repeated:
            again(bench, entries)
        bench.link.script("promote", [KEYS.root], [ADDRESS, NOW, 200])
        assert set(bench.work_off()) == set(range(N))
        bench.check_end()


@pytest.mark.parametrize("repeated", [True, False], ids=["repeated", "delivered again"])
@pytest.mark.parametrize("kept", [None, (0, 1)], ids=["all of it", "a part"])
@pytest.mark.parametrize("aside", [None, Aside("m", 0, "fetch:10/s")], ids=["now", "for later"])
def test_give(one_server, aside, kept, repeated):
    pieces = [(0, 2, 1)] if kept is None else [(1, 1, 1)]

    def give(bench, entries):
        bench.worker.give(entries[0], pieces, kept, aside=aside)

    for bench, entries in every_cut(one_server, "give", taken, give):
        if repeated:
            give(bench, entries)
        if aside is not None:
            bench.link.script("promote", [KEYS.root], [ADDRESS, NOW, 200])
        assert set(bench.work_off()) == set(range(N))
        bench.check_end()


def test_what_was_put_aside_comes_into_its_lane_uncharged_and_is_announced(one_server):
    bench = Bench(one_server)
    first, second = taken(bench)
    for entry in (first, second):
        assert bench.worker.give(entry, [(entry.first, 2, 3)], aside=Aside("h", 0, "fetch:10/s"))
    assert bench.raw.xlen(KEYS.control) >= 1
    assert bench.link.script("promote", [KEYS.root], [ADDRESS, NOW, 200]) == [2, -1]
    again = bench.other.take(10)
    assert {(one.lane, one.first, one.count, one.attempt) for one in again} == {
        ("h", 0, 2, 3),
        ("h", 2, 2, 3),
    }
    bench.link.close()
    bench.raw.close()


LIMIT = limit_of("fetch", "10/s")


def test_permit(one_server):
    """Cut off, it has given permits that nobody has heard of, or none."""
    for bench, _ in every_cut(
        one_server,
        "permit",
        taken,
        lambda bench, _: RedisPermits(bench.link, KEYS).take(LIMIT, 0.01, 3, 4, ADDRESS),
    ):
        assert RedisPermits(bench.link, KEYS).take(LIMIT, 0.01, 3, 4, ADDRESS).permits <= 3
        assert set(bench.work_off()) == set(range(N))
        bench.check_end()


def test_who_is_alone_gets_no_more_than_the_next_tenth_of_a_second(one_server):
    bench = Bench(one_server)
    grant = RedisPermits(bench.link, KEYS).take(LIMIT, 0.001, 5000, 5000, ADDRESS)
    # And what was missed just before, see the script.
    assert grant.permits == 151
    assert grant.first_s == pytest.approx(-0.05, abs=1e-5)
    bench.link.close()
    bench.raw.close()


@pytest.mark.parametrize(
    "value", ["nonsense", "9e30 9e30", "99999999999999999 99999999999999999", b"\xff", "-1 0"]
)
def test_a_limit_that_somebody_has_changed_holds_nothing_up_for_long(one_server, value):
    bench = Bench(one_server)
    bench.raw.set(KEYS.limit(LIMIT), value)
    grant = RedisPermits(bench.link, KEYS).take(LIMIT, 0.1, 5, 5, ADDRESS)
    assert grant.permits or grant.again_s < 2.2
    bench.raw.delete(KEYS.limit(LIMIT))
    bench.raw.hset(KEYS.limit(LIMIT), "a", "b")
    assert RedisPermits(bench.link, KEYS).take(LIMIT, 0.1, 5, 5, ADDRESS).permits
    bench.link.close()
    bench.raw.close()


def test_who_waits_for_a_limit_is_found_among_others(one_server):
    bench = Bench(one_server)
    permits = RedisPermits(bench.link, KEYS)
    others = {f"m cd34 0 1 1\n{number}": 1.0 for number in range(250)}
    bench.raw.zadd(KEYS.delayed(ADDRESS), others)
    assert permits.limited(ADDRESS, BATCH) is None
    entry = taken(bench)[0]
    permits.take(LIMIT, 60.0, 1, 1, ADDRESS)
    bench.worker.give(entry, [(0, 2, 1)], aside=Aside("m", 60_000, LIMIT))
    limited = permits.limited(ADDRESS, BATCH)
    assert limited.rate == "10/s"
    assert 59 < limited.next_s <= 60
    assert permits.limited(ADDRESS, "cd34") is None
    bench.link.close()
    bench.raw.close()


def forget_gift(bench, entry):
    """The server has lost the end of its file: the entry is whole again, and what was given of it is gone."""
    bench.raw.delete(KEYS.cuts(ADDRESS), KEYS.lane(ADDRESS, "M"))
    bench.worker.prepare()


def test_a_gift_that_the_server_forgot_is_made_up_for_at_the_end(one_server):
    bench = Bench(one_server)
    entry = taken(bench)[0]
    bench.worker.give(entry, [(1, 1, 1)], (0, 1))
    forget_gift(bench, entry)
    report = Finish()
    report.results(BATCH, 0, DONE, b"record 0+1")
    report.done(entry, (0, 1))
    bench.worker.finish(report)
    assert set(bench.work_off()) == {1, 2, 3}
    bench.check_end()
    bench.link.close()


def test_a_gift_that_the_server_forgot_is_made_up_for_with_the_next_one(one_server):
    bench = Bench(one_server)
    entry = taken(bench)[0]
    bench.worker.give(entry, [(1, 1, 1)], (0, 1))
    forget_gift(bench, entry)
    bench.worker.give(entry, [(0, 1, 1)], end=1)
    assert set(bench.work_off()) == set(range(N))
    bench.check_end()
    bench.link.close()


def test_promote(one_server):
    def delayed(bench):
        flush = Flush()
        flush.batch(BATCH, N, ADDRESS, "fn", b"function", b"label", 60_000)
        flush.chunk(BATCH, ADDRESS, "m", 1, 0, 2, b"the chunk from 0 on")
        flush.chunk(BATCH, ADDRESS, "m", 1, 2, 2, b"the chunk from 2 on")
        bench.submission.submit("s1", 1, flush)

    def promote(bench, _):
        bench.link.script("promote", [KEYS.root], [ADDRESS, NOW, 200])

    for bench, _ in every_cut(one_server, "promote", delayed, promote):
        promote(bench, None)
        assert set(bench.work_off()) == set(range(N))
        bench.check_end()


def test_orphans(one_server):
    """Entries that were delivered to nobody; one had a part given away before."""

    def orphaned(bench):
        entries = taken(bench)
        bench.worker.give(entries[0], [(1, 1, 1)], (0, 1))
        for entry in entries:
            bench.raw.xack(KEYS.lane(ADDRESS, "m"), GROUP, entry.id)

    for bench, _ in every_cut(
        one_server, "orphans", orphaned, lambda bench, _: RedisConsumers(bench.lanes).adopt_orphans()
    ):
        RedisConsumers(bench.lanes).adopt_orphans()
        assert set(bench.work_off()) == set(range(N))
        bench.check_end()


def test_take(one_server):
    """Some of what is taken is a copy of what was worked off, and ends here."""

    def half_done(bench):
        entries = taken(bench)
        bench.finish(entries[0])
        for entry in entries:
            fields = {"b": BATCH, "i": entry.first, "n": entry.count, "a": 1, "x": "", "d": b"again"}
            copy = bench.raw.xadd(KEYS.lane(ADDRESS, "h"), fields)
            # As after a crash that lost the delivery of an entry that had been cut.
            bench.raw.hset(KEYS.cuts(ADDRESS), f"h/{copy.decode()}", f"{entry.first} {entry.count}")

    for bench, _ in every_cut(one_server, "take", half_done, lambda bench, _: bench.worker.take(10)):
        assert set(bench.work_off()) == {2, 3}
        bench.check_end()


def test_revoke(one_server):
    for bench, _ in every_cut(
        one_server, "revoke", submitted, lambda bench, _: bench.submission.revoke(BATCH, b"order", 1)
    ):
        assert bench.submission.revoke(BATCH, b"order", 1)
        assert bench.raw.xlen(KEYS.control) >= 1
        assert bench.store.standing(BATCH, 0, 2) == (bytes(2), {1: b"order"})
        bench.work_off()
        bench.check_end()


def test_withdraw(one_server):
    """Some calls are final before a worker has come for them; one entry has a call that is not."""

    def revoked(bench):
        submitted(bench)
        report = Finish()
        report.results(BATCH, 0, DONE * 3, b"record 0+3")
        bench.worker.finish(report)

    def withdraw(bench, _):
        assert RedisWithdrawal(bench.link, KEYS, ADDRESS, BATCH, N, (time.time(), None)).run()

    for bench, _ in every_cut(one_server, "withdraw", revoked, withdraw):
        withdraw(bench, None)
        assert bench.raw.xlen(KEYS.lane(ADDRESS, "m")) == 1
        assert bench.work_off() == [3]
        assert bench.store.states(BATCH, 0, N) == DONE * N
        bench.raw.close()


def test_withdraw_delayed(one_server):
    def revoked(bench):
        flush = bench.flush()
        due_ms = round((time.time() + 60) * 1000)
        flush.chunk(BATCH, ADDRESS, "m", due_ms, 0, 2, b"the chunk from 0 on")
        flush.chunk(BATCH, ADDRESS, "m", due_ms, 2, 2, b"the chunk from 2 on")
        bench.submission.submit("s1", 1, flush)
        report = Finish()
        report.results(BATCH, 0, DONE * 2, b"record 0+2")
        bench.worker.finish(report)

    def withdraw(bench, _):
        since = (time.time(), time.time() + 60)
        assert RedisWithdrawal(bench.link, KEYS, ADDRESS, BATCH, 2 * N, since).run()

    for bench, _ in every_cut(one_server, "withdraw_delayed", revoked, withdraw):
        withdraw(bench, None)
        (left,) = bench.raw.zrange(KEYS.delayed(ADDRESS), 0, -1)
        assert left.endswith(b"the chunk from 2 on")


def test_order(one_server):
    """Who begins in the middle of it reads what is kept."""
    order = lambda bench, _: RedisOrdering(bench.link, KEYS).give([b"order"], "pack.fetch", b"kept")  # noqa: E731
    for bench, _ in every_cut(one_server, "order", lambda bench: None, order):
        told = bench.raw.xlen(KEYS.control)
        assert RedisOrdering(bench.link, KEYS).task_limits() == [b"kept"] or not told
        order(bench, None)
        assert RedisOrdering(bench.link, KEYS).task_limits() == [b"kept"]
        assert bench.raw.xlen(KEYS.control) >= 1


def test_every_script_is_cut_here_or_has_one_write():
    cut = {"submit", "finish", "give", "promote", "orphans", "take", "revoke", "withdraw", "withdraw_delayed"}
    cut |= {"permit", "order"}
    # In test_lock_scripts.py.
    cut |= {"lock_for_call", "lock_for_code", "lock_release", "lock_of_dead", "lock_turns"}
    # In test_periodic_scripts.py.
    cut |= {"periodic_fire", "periodic_put", "periodic_remove", "say_there"}
    #: They write nothing, or what they write is the same each time.
    others = {
        "adopt",
        "bound_events",
        "elect",
        "forget_call",
        "forget_consumer",
        "in_hand",
        "limited",
        "prepare",
        "renew",
        "time",
        "pulses",
        "lapse",
    }
    others |= {
        "answer",
        "delayed",
        "set_ahead",
        "stock",
        "vouch",
        "fallout",
        "lock_holders",
        "claim",
        "references",
    }
    others |= {"periodic_due", "periodic_look", "periodic_pass", "periodic_pause"}
    assert cut | others == set(SCRIPTS)


def test_writes_that_the_scripts_use_are_known():
    import re

    known = {*WRITES, *READS}
    calls = re.compile(r"(?:redis\.p?call|strict\.at)\(['\"](\w+)|strict\.call\([^,]+, '(\w+)")
    found = (match for script in SCRIPTS.values() for match in calls.finditer(script.source.decode()))
    used = {match[1] or match[2] for match in found}
    assert used <= known
