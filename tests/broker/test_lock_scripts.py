"""The scripts of locks, cut off after any of their writes: never do two hold one, and nobody waits for ever."""

from __future__ import annotations

import pytest

from nbtasks.broker.redis.redislocks import RedisCallLocks, RedisLocks
from nbtasks.broker.verbs.entry import Entry
from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.broker.verbs.locks import call_name
from nbtasks.core.lock import Lock

from .test_scripts import ADDRESS, BATCH, DONE, KEYS, Bench, N, every_cut, one_server

__all__ = ["one_server"]
LOCK = Lock("a lock")
CONSUMERS = ("w1/0", "w2/0")


class Scene:
    """Four calls that need one lock, two workers with a lease, and code of a client that wants the lock as well."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.locks = RedisLocks(bench.link, KEYS)
        self.takers = {one: RedisCallLocks(bench.lanes, one) for one in CONSUMERS}
        self.deliveries = dict(zip(CONSUMERS, (bench.worker, bench.other), strict=True))
        for name in ("w1", "w2", "client"):
            bench.raw.set(KEYS.lease(name), "15000 1")
        flush = Flush()
        flush.batch(BATCH, N, ADDRESS, "fn", b"function", b"label", 60_000)
        for index in range(N):
            flush.chunk(BATCH, ADDRESS, "m", 0, index, 1, b"the chunk from %d on" % index)
        bench.submission.submit("s1", 1, flush)
        self.entries = bench.worker.take(2)

    def ask(self, entry: Entry, consumer: str = "w1/0"):
        return self.takers[consumer].take(entry, entry.first, "m", "a call", [LOCK])

    def end(self, entry: Entry, consumer: str = "w1/0") -> None:
        report = Finish()
        report.results(BATCH, entry.first, DONE, b"record %d+1" % entry.first)
        report.unlocked(LOCK.id, call_name(BATCH, entry.first), consumer)
        report.done(entry)
        self.deliveries[consumer].finish(report)

    def holders(self) -> set[bytes]:
        return set(self.bench.raw.hkeys(KEYS.lock_holders(LOCK.id)))

    def see_to_line(self) -> None:
        self.bench.link.script("lock_turns", [KEYS.root], [LOCK.id])

    def work_off(self) -> None:
        """Run everything, as workers do that take turns; who holds the lock when it begins ends first."""
        for _ in range(40):
            self.locks.see_to_lines()
            # What waits for one that was called and has not come would take some seconds.
            for consumer, delivery in self.deliveries.items():
                for entry in [*delivery.in_hand(), *delivery.take(1)]:
                    if self.bench.store.states(BATCH, entry.first, 1) != b"\0":
                        self.end(entry, consumer)
                        continue
                    turn = self.ask(entry, consumer)
                    assert len(self.holders()) <= 1
                    if turn.token is not None:
                        self.end(entry, consumer)
        self.check_end()

    def check_end(self) -> None:
        self.bench.check_end()
        assert not self.holders()
        for kind in ("lq", "lt"):
            assert not self.bench.raw.exists(f"{KEYS.root}{kind}:{LOCK.id}"), kind
        # After a crash it may be noted that they hold what they do not.
        assert self.locks.unlock("w1") == self.locks.unlock("w2") == 0
        assert not self.bench.raw.exists(KEYS.locks_of("w1"), KEYS.locks_of("w2"))
        self.locks.see_to_lines()
        assert not self.bench.raw.exists(KEYS.lines)


def scene(bench: Bench) -> Scene:
    return Scene(bench)


def one_holds(bench: Bench) -> Scene:
    made = Scene(bench)
    assert made.ask(made.entries[0]).token is not None
    return made


def one_holds_and_others_wait(bench: Bench) -> Scene:
    made = one_holds(bench)
    assert made.ask(made.entries[1]).waits
    (entry,) = bench.other.take(1)
    assert made.ask(entry, "w2/0").waits
    return made


def test_a_lock_that_is_free(one_server):
    for _, made in every_cut(one_server, "lock_for_call", scene, lambda _, made: made.ask(made.entries[0])):
        made.work_off()


def test_a_lock_that_is_taken(one_server):
    for _, made in every_cut(
        one_server, "lock_for_call", one_holds, lambda _, made: made.ask(made.entries[1])
    ):
        made.work_off()


@pytest.mark.parametrize("repeated", [True, False], ids=["repeated", "delivered again"])
def test_the_end_of_a_call_that_others_wait_for(one_server, repeated):
    for _, made in every_cut(
        one_server, "finish", one_holds_and_others_wait, lambda _, made: made.end(made.entries[0])
    ):
        if repeated:
            made.end(made.entries[0])
        made.work_off()


@pytest.mark.parametrize("whose", ["w1/0", ""], ids=["a child", "a worker"])
def test_the_death_of_one_that_others_wait_for(one_server, whose):
    for _, made in every_cut(
        one_server, "lock_of_dead", one_holds_and_others_wait, lambda _, made: made.locks.unlock("w1", whose)
    ):
        made.locks.unlock("w1", whose)
        made.work_off()


def test_a_holder_without_a_lease(one_server):
    def dies(_, made):
        made.bench.raw.delete(KEYS.lease("w1"))
        made.see_to_line()

    for bench, made in every_cut(one_server, "lock_turns", one_holds_and_others_wait, dies):
        made.see_to_line()
        bench.raw.set(KEYS.lease("w1"), "15000 2")
        made.work_off()


def test_code_that_waits_for_a_lock_stands_in_the_same_line(one_server):
    def take(made):
        return made.locks.acquire(LOCK, "client/0/1", "client/0", "a script", wait=True)

    for bench, made in every_cut(
        one_server, "lock_for_code", one_holds_and_others_wait, lambda _, made: take(made)
    ):
        assert take(made) is None
        made.end(made.entries[0])
        assert take(made) is None, "others were first"
        made.locks.release([LOCK], "client/0/1", "client/0")
        made.work_off()
        token = take(made)
        assert token is not None
        assert take(made) > token, "asked again, it has a new token"
        assert made.locks.are_held([LOCK], "client/0/1", take(made))
        made.locks.release([LOCK], "client/0/1", "client/0")
        assert not bench.raw.keys(f"{KEYS.root}l[kqtw]:*")


def test_code_that_gives_a_lock_back(one_server):
    def holds(bench):
        made = Scene(bench)
        assert made.locks.acquire(LOCK, "client/0/1", "client/0", "a script", wait=False)
        assert made.ask(made.entries[0]).waits
        return made

    def give_back(_, made):
        made.locks.release([LOCK], "client/0/1", "client/0")

    for bench, made in every_cut(one_server, "lock_release", holds, give_back):
        give_back(bench, made)
        made.work_off()


def test_a_queue_without_workers_does_not_keep_a_lock_from_others(one_server):
    """One was called and does not come: after some seconds others have their turn, and it keeps its place."""
    bench = Bench(one_server)
    made = one_holds_and_others_wait(bench)
    made.end(made.entries[0])
    called = f"{KEYS.root}lt:{LOCK.id}"
    (name,) = bench.raw.hkeys(called)
    capacity, ticket, _, address = bench.raw.hget(called, name).split()
    # As it is some seconds later.
    bench.raw.hset(called, name, b"%b %b 1 %b" % (capacity, ticket, address))
    token = made.locks.acquire(LOCK, "client/0/1", "client/0", "a script", wait=True)
    assert token is None, "two of a queue are before it"
    made.see_to_line()
    assert made.locks.acquire(LOCK, "client/0/1", "client/0", "a script", wait=True) is not None
    made.locks.release([LOCK], "client/0/1", "client/0")
    made.work_off()
    bench.link.close()
    bench.raw.close()


@pytest.mark.parametrize("kind", ["lk", "lt", "lq", "lh", "locks", "tk"])
@pytest.mark.parametrize("of", ["another type", "nonsense"])
def test_what_somebody_else_has_put_there_is_as_good_as_nothing(one_server, kind, of):
    bench = Bench(one_server)
    made = Scene(bench)
    name = {"lh": "lh:w1", "locks": "locks", "tk": "tk"}.get(kind, f"{kind}:{LOCK.id}")
    key = f"{KEYS.root}{name}"
    if of == "another type":
        bench.raw.rpush(key, "x")
    elif kind == "lq":
        bench.raw.zadd(key, {"x": 1, "1 @ y": 2, f"1 {ADDRESS} {BATCH}:0": 3, f"1 {ADDRESS} {'f' * 20}:0": 4})
    elif kind == "tk":
        bench.raw.set(key, "9" * 15)
    else:
        bench.raw.hset(key, mapping={"x": "y", f"{BATCH}:9": "1 2 3 nobody/0 x", "a b": "1 1 1"})
    if kind in {"lk", "lt"}:
        made.see_to_line()
    assert made.ask(made.entries[0]).token is not None or made.ask(made.entries[0]).waits is not None
    made.work_off()
    bench.link.close()
    bench.raw.close()
