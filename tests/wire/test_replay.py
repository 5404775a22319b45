"""What comes a second time does not count again."""

from __future__ import annotations

from nbtasks.wire.replay import Recent, Window


def test_numbers_count_once():
    window = Window()
    assert [window.fresh(n) for n in (1, 2, 2, 1, 3)] == [True, True, False, False, True]


def test_numbers_that_overtake_each_other_count():
    window = Window()
    assert [window.fresh(n) for n in (5, 3, 4, 3, 5, 60, 10, 10)] == [
        *(True, True, True, False, False),
        *(True, True, False),
    ]


def test_numbers_that_are_far_behind_count_as_seen():
    window = Window()
    assert window.fresh(1000)
    assert not window.fresh(1000 - 64)
    assert window.fresh(1000 - 63)
    assert window.fresh(10**9)
    assert not window.fresh(1000)


def test_an_order_counts_once_within_its_time():
    recent = Recent(60.0)
    assert recent.fresh("one", at=110.0, now=120.0, since=100.0)
    assert not recent.fresh("one", at=110.0, now=121.0, since=100.0)
    assert recent.fresh("two", at=110.0, now=121.0, since=100.0)
    assert not recent.fresh("late", at=110.0, now=171.0, since=100.0)
    assert not recent.fresh("early", at=190.0, now=121.0, since=100.0)


def test_an_order_from_before_the_worker_does_not_count():
    recent = Recent(60.0)
    assert not recent.fresh("old", at=99.0, now=101.0, since=100.0)


def test_what_no_longer_counts_anyway_is_forgotten():
    recent = Recent(60.0)
    for second in range(1000):
        assert recent.fresh(str(second), at=float(second), now=float(second), since=0.0)
    assert len(recent._seen) <= 61
