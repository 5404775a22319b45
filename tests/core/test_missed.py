"""What is done about due times that are past."""

import pytest

from nbtasks.core.due.missed import GRACE_S, MOST_MADE_UP, first_to_fire, newest
from nbtasks.core.due.timetable import Timetable

NOW = 1_800_000_000.0
MINUTELY = Timetable.of("* * * * *", "UTC")
SECONDS = Timetable.of(1, "UTC")
DAILY = Timetable.of("0 6 * * *", "UTC")


def fired(table, due, now, missed):
    """Return the due times that are fired, in order, and how many were missed."""
    found, count = [], 0
    while due is not None and due <= now:
        target, passed = first_to_fire(table, due, now, missed)
        count += passed
        if target != due:
            due = target
            continue
        found.append(due)
        due = table.after(due, due)
    return found, count


@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
def test_due_times_of_a_take_over_are_all_fired(missed):
    assert fired(SECONDS, NOW - 30, NOW, missed) == ([NOW - 30 + k for k in range(31)], 0)


def test_what_was_missed_is_left_out():
    found, count = fired(MINUTELY, NOW - 600, NOW, "skip")
    assert (found, count) == ([NOW - 60, NOW], 9)
    assert fired(DAILY, NOW - 7200, NOW, "skip") == ([], 1)


def test_of_what_was_missed_the_last_one_is_fired():
    assert fired(DAILY, DAILY.after(NOW - 10 * 86_400, 0.0), NOW, "latest") == (
        [DAILY.after(NOW - 86_400, 0.0)],
        9,
    )
    # There is a young one.
    assert fired(MINUTELY, NOW - 600, NOW + 30, "latest") == ([NOW], 10)


def test_all_that_was_missed_is_fired_but_no_more_than_a_hundred():
    found, count = fired(MINUTELY, NOW - 600, NOW + 30, "all")
    assert (found, count) == ([NOW - 600 + 60 * k for k in range(11)], 0)
    found, count = fired(MINUTELY, NOW - 86_400, NOW + 30, "all")
    assert (found[0], len(found)) == (NOW - 60 * MOST_MADE_UP, MOST_MADE_UP + 1)
    assert count > MOST_MADE_UP


@pytest.mark.parametrize("table", [SECONDS, MINUTELY, DAILY])
def test_after_years_it_takes_no_time_to_find_the_last_ones(table):
    years_ago = table.after(NOW - 3 * 366 * 86_400, NOW - 3 * 366 * 86_400)
    found = newest(table, years_ago, NOW, 10)
    assert found == sorted(set(found))
    assert len(found) >= 10
    assert NOW - found[-1] < (table.after(NOW, found[-1]) - NOW) + 86_400
    assert table.after(found[-1], found[-1]) > NOW


def test_the_grace_is_longer_than_a_take_over():
    assert GRACE_S >= 10
