"""The server's time, reckoned with a steady clock: what is done when the two come apart."""

from __future__ import annotations

import pytest

from nbtasks.broker import servertime as clocks
from nbtasks.broker.redis.keys import Keys
from nbtasks.broker.redis.link import Link
from nbtasks.broker.redis.redistime import RedisTime
from nbtasks.broker.servertime import Reading, ServerClock

HOUR = 3600.0
KEYS = Keys("clock")


class Machine:
    """A machine with a steady clock of its own, beside a real server that only keeps the note.

    Attributes:
        slept_s: for so long its steady clock has stood still.
    """

    def __init__(self, site, same_machine=False):
        self.site = site
        self.slept_s = 0.0
        self.wall_s = 0.0
        self.clock = ServerClock(RedisTime(site.link, KEYS), same_machine)

    def keep(self):
        """Renew a lease, as it were; returns whether to look again soon."""
        return self.clock.keep(self.reading())

    def follow(self):
        """Look at the time, as a client does."""
        self.clock.ask = self.reading
        self.clock.follow()

    def reading(self):
        """What the server tells now."""
        now = self.site.now - self.slept_s
        noted = self.site.link.call("GET", KEYS.ahead) or b""
        wall_at = self.site.now + self.wall_s
        self.site.monkeypatch.setattr(clocks, "steady", lambda: now)
        return Reading(self.site.now + self.site.ahead_s, noted, now, now + 0.01, wall_at)

    @property
    def off_s(self):
        """By how much its reckoning is off."""
        self.site.monkeypatch.setattr(clocks, "steady", lambda: self.site.now - self.slept_s)
        return round(self.clock.now() - self.site.now)


class Site:
    def __init__(self, link, monkeypatch):
        self.link, self.monkeypatch = link, monkeypatch
        #: Seconds that have passed, and what the server's clock was set by.
        self.now, self.ahead_s = 1e9, 0.0

    def passes(self, seconds, *machines):
        self.now += seconds
        return [machine.keep() for machine in machines]


@pytest.fixture
def site(shared_app, monkeypatch):
    link = Link(shared_app.connection.url, "here")
    link.call("DEL", KEYS.ahead)
    yield Site(link, monkeypatch)
    link.close()


@pytest.mark.parametrize("ahead_s", [20.0, HOUR, -HOUR, 86_400.0])
def test_all_take_off_what_the_servers_clock_was_set_by(site, ahead_s):
    one, other = Machine(site), Machine(site)
    site.passes(0, one, other)
    site.ahead_s = ahead_s
    for _ in range(3):
        site.passes(3, one, other)
    late = Machine(site)
    site.passes(3, late)
    assert [machine.off_s for machine in (one, other, late)] == [0, 0, 0]


def test_it_may_be_set_again_and_again(site):
    one, other = Machine(site), Machine(site)
    site.passes(0, one, other)
    for ahead_s in (20.0, HOUR, 0.0, -HOUR, 86_400.0, 0.0):
        site.ahead_s = ahead_s
        site.passes(3, other, one)
        site.passes(3, one, other)
        site.passes(3, other, one)
        assert (one.off_s, other.off_s) == (0, 0)


@pytest.mark.parametrize("later_s", [0.0, 20.0, -HOUR, 86_400.0])
def test_it_may_be_set_again_before_all_have_looked(site, later_s):
    one, other = Machine(site), Machine(site)
    site.passes(0, one, other)
    site.ahead_s = 20.0
    site.passes(3, other, one, other)
    site.ahead_s = HOUR
    site.passes(0.3, one)
    # The other one has noted the last time, and now finds a note that it has not seen.
    site.ahead_s = later_s
    for _ in range(3):
        site.passes(0.3, other)
        assert other.off_s == 0, "calls would expire by this time"
        site.passes(0.3, one)
        assert one.off_s == 0


def test_who_only_follows_takes_two_jumps_for_what_they_are(site):
    worker, client = Machine(site), Machine(site)
    site.passes(0, worker)
    site.ahead_s = HOUR
    site.passes(3, worker)
    client.follow()
    for ahead_s in (0.0, -HOUR):
        # It looks before the worker does, each time.
        site.ahead_s = ahead_s
        site.now += 3
        client.follow()
        assert client.off_s == worker.off_s
        site.passes(0.3, worker)


def test_a_machine_that_was_paused_gives_way_to_the_others(site):
    one, other, paused = Machine(site), Machine(site), Machine(site)
    site.passes(0, one, other, paused)
    for _ in range(3):
        site.passes(3, one, other, paused)
    # The steady clock and the other one stood still, and nobody has set it yet.
    paused.slept_s, paused.wall_s = HOUR, -HOUR
    for _ in range(int(HOUR) // 600):
        site.passes(600, one, other)
    for _ in range(6):
        site.passes(0.2, paused, one, other)
    assert [machine.off_s for machine in (one, other, paused)] == [0, 0, 0]


def test_one_whose_clock_was_set_since_knows_that_it_was_paused(site):
    alone = Machine(site)
    site.passes(0, alone)
    alone.slept_s = HOUR
    site.passes(HOUR, alone)
    assert alone.off_s == 0
    assert site.link.call("GET", KEYS.ahead) is None


@pytest.mark.parametrize("note", [b"soon", b"1e9", b"-", b"9" * 300, b"\xff"])
def test_a_note_that_makes_no_sense_is_none(site, note):
    one = Machine(site)
    site.link.call("SET", KEYS.ahead, note)
    site.passes(0, one)
    assert one.off_s == 0
    site.ahead_s = HOUR
    for _ in range(3):
        site.passes(3, one)
    assert one.off_s == 0
