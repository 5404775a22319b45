"""Who lives and who is dead, as one observer sees it; whatever the server's clock says."""

from __future__ import annotations

import pytest

from nbtasks.broker.pulse import Pulse, Pulses


@pytest.fixture
def pulses():
    return Pulses(15.0, credulous=False)


def look(pulses, lease, at, age_s=0.0, **how):
    """One look, which takes a tenth of a second."""
    return pulses.look({"w": Pulse(lease, age_s, **how)}, at, at + 0.1)["w"]


def test_a_worker_lives_as_long_as_its_pulse_moves(pulses):
    for number in range(10):
        assert not look(pulses, b"2000 %d" % number, number * 1.9).dead


def test_it_is_dead_when_it_has_stood_still_for_a_lease(pulses):
    assert not look(pulses, b"2000 1", 0.0).dead
    # From the end of the first look to the beginning of the last.
    assert not look(pulses, b"2000 1", 2.0).dead
    assert look(pulses, b"2000 1", 2.1).dead
    assert not look(pulses, b"2000 2", 2.2).dead


@pytest.mark.parametrize("age_s", [0.0, 3600.0, 1e9, -3600.0])
def test_the_servers_clock_says_nothing_about_it(pulses, age_s):
    assert not look(pulses, b"2000 1", 0.0, age_s).dead
    assert not look(pulses, b"2000 1", 1.0, -age_s).dead
    assert look(pulses, b"2000 1", 3.0, 0.0).dead


def test_a_lease_that_is_gone_is_watched_for_a_lease(pulses):
    look(pulses, b"2000 7", 0.0)
    assert not look(pulses, b"", 1.0).dead
    assert not look(pulses, b"2000 8", 2.0).dead
    look(pulses, b"", 3.0)
    # Nobody knows any more how long it was.
    assert not look(pulses, b"", 18.0).dead
    assert look(pulses, b"", 18.2).dead


def test_one_that_is_buried_is_dead_at_once(pulses):
    assert look(pulses, b"", 0.0, buried=True).dead
    assert not look(pulses, b"2000 1", 0.1, buried=True).dead


def test_who_could_not_look_begins_anew(pulses):
    look(pulses, b"2000 1", 0.0)
    pulses.forget()
    assert not look(pulses, b"2000 1", 60.0).dead


@pytest.mark.parametrize("lease", [b"x 1", b"1e9 1", b"-5 1", b" 2000", b"9999999999 1", b"\xb2 1"])
def test_a_lease_that_makes_no_sense_counts_as_long_as_any(pulses, lease):
    look(pulses, lease, 0.0)
    assert not look(pulses, lease, 15.0).dead
    assert look(pulses, lease, 15.2).dead


def test_no_lease_is_longer_than_a_day(pulses):
    look(pulses, b"999999999 1", 0.0)
    assert look(pulses, b"999999999 1", 86_401.0).dead


def test_a_client_believes_the_servers_clock_about_one_that_it_sees_for_the_first_time():
    pulses = Pulses(15.0, credulous=True)
    assert look(pulses, b"2000 1", 0.0, 3.0).dead
    assert not look(pulses, b"2000 2", 1.0, 3600.0).dead
