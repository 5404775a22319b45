"""What a PostgreSQL says of itself, and of queues and locks, for who looks on."""

from __future__ import annotations

from nbtasks.core.lock import Lock


def test_the_server_says_what_it_does(postgres_url, new_line):
    line = new_line(postgres_url)
    gauges = line.gauges()
    first, second = gauges.server(), gauges.server()
    assert (first.role, first.commands_per_s, first.memory) == ("primary", None, None)
    assert first.clients >= 1
    assert first.uptime_s >= 0
    assert first.commands > 0
    assert second.commands_per_s >= 0
    assert first.persistence["aof_late"] is True, "the server of the tests does not wait for the disk"


def test_locks_are_listed_whether_they_are_held_or_waited_for(postgres_url, new_line):
    line = new_line(postgres_url)
    locks = line.locks()
    line.fleet().renew("c", "15000 1", "", 60_000)
    for number, one in enumerate("bac"):
        assert locks.acquire(Lock(one), f"c/0/{number}", "c/0", "code", wait=True)
    assert locks.acquire(Lock("a"), "c/0/9", "c/0", "code", wait=True) is None
    assert line.gauges().lock_ids() == ["a", "b", "c"]
    locks.release([Lock("a")], "c/0/1", "c/0")
    assert line.gauges().lock_ids() == ["a", "b", "c"], "somebody is called to it"
    for number, one in ((0, "b"), (9, "a"), (2, "c")):
        locks.release([Lock(one)], f"c/0/{number}", "c/0")
    assert line.gauges().lock_ids() == []
