"""Who is charged when a worker dies: the decision, without a broker."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks import TimeLimitExceeded
from nbtasks.broker.verbs.entry import Entry
from nbtasks.core import attempts
from nbtasks.worker.supervisor.judging import TABLE, End, Fate, Loss, judge

PAGE = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text(encoding="utf-8")

some_indexes = st.frozensets(st.integers(0, 7))


def entry(first=0, count=5, attempt=1):
    """An entry of batch ``b`` with these calls."""
    return Entry("default@3.11.k", "m", b"1-0", "b", first, count, attempt, False, b"")


def verdict(of=None, final=(), executing=None, at_most_once=False, **loss):
    """Judge with these facts; returns (pieces, fail)."""
    found = judge(of or entry(), frozenset(final), Loss("died", executing, **loss), at_most_once)
    return sorted(found.pieces), found.fail


LOST, SUSPECTED = attempts.after_loss(1), attempts.after_suspicion(1)


def often(n):
    """The attempt number after so many suspicions."""
    attempt = 1
    for _ in range(n):
        attempt = attempts.after_suspicion(attempt)
    return attempt


def test_only_the_executing_call_is_charged():
    assert verdict(executing=("b", 2)) == ([(0, 2, 1), (2, 1, LOST), (3, 2, 1)], [])


@pytest.mark.parametrize("at_most_once", [False, True])
def test_calls_whose_task_was_made_ready_are_suspected_together(at_most_once):
    found = verdict(executing=("b", 1), opening=3, at_most_once=at_most_once)
    assert found == ([(0, 1, 1), (1, 3, SUSPECTED), (4, 1, 1)], [])
    found = verdict(entry(attempt=often(9)), executing=("b", 0), opening=5, at_most_once=at_most_once)
    assert found == ([], [0, 1, 2, 3, 4])


def test_calls_are_suspected_together_after_which_their_process_has_failed():
    assert verdict(final={0}, at_fault=True) == ([(1, 4, SUSPECTED)], [])
    assert verdict(entry(attempt=often(9)), final={0}, at_fault=True) == ([], [1, 2, 3, 4])
    # What had begun of these was told before.
    assert verdict(final={0}, at_fault=True, at_most_once=True) == ([(1, 4, 1)], [])


def test_a_call_that_was_executing_when_its_process_has_failed_is_charged():
    assert verdict(executing=("b", 2), at_fault=True) == ([(0, 2, 1), (2, 1, LOST), (3, 2, 1)], [])


@pytest.mark.parametrize("at_most_once", [False, True])
def test_a_shutdown_while_a_task_is_made_ready_charges_nobody(at_most_once):
    found = verdict(executing=("b", 0), opening=5, uncharged=True, at_most_once=at_most_once)
    assert found == ([(0, 5, 1)], [])


def test_losses_and_suspicions_are_counted_apart():
    both = attempts.after_loss(attempts.after_loss(often(8)))
    assert (attempts.losses(both), attempts.suspicions(both), attempts.deaths(both)) == (2, 8, 10)
    assert verdict(entry(attempt=both), seen=False)[1] == []
    assert verdict(entry(attempt=often(9)), executing=("b", 2))[1] == []


def test_what_is_final_does_not_run_again():
    assert verdict(final={0, 1, 4}, executing=("b", 2)) == ([(2, 1, LOST), (3, 1, 1)], [])


def test_nothing_was_executing():
    assert verdict(final={0}) == ([(1, 4, 1)], [])


def test_a_call_of_another_batch_was_executing():
    assert verdict(executing=("other", 2)) == ([(0, 5, 1)], [])


def test_the_executing_call_was_already_final():
    assert verdict(final={2}, executing=("b", 2)) == ([(0, 2, 1), (3, 2, 1)], [])


def test_everything_is_final():
    assert verdict(final=range(5)) == ([], [])


def test_the_third_loss_is_the_last_and_the_neighbours_run_on():
    twice = attempts.after_loss(LOST)
    assert verdict(entry(attempt=twice), executing=("b", 2)) == ([(0, 2, twice), (3, 2, twice)], [2])


def test_retries_are_no_losses():
    tried = attempts.after_retry(attempts.after_retry(attempts.after_retry(1)))
    assert verdict(entry(count=1, attempt=tried), executing=("b", 0))[1] == []


def test_at_most_once_fails_the_executing_call_only():
    assert verdict(executing=("b", 2), at_most_once=True) == ([(0, 2, 1), (3, 2, 1)], [2])


def test_an_ordered_end_is_not_run_again():
    assert verdict(executing=("b", 0), error=TimeLimitExceeded("too long")) == ([(1, 4, 1)], [0])


def test_nobody_saw_what_was_executing():
    assert verdict(final={1}, seen=False) == ([(0, 1, SUSPECTED), (2, 3, SUSPECTED)], [])


def test_nobody_saw_it_ten_times():
    nine = often(attempts.MOST_SUSPICIONS - 1)
    assert verdict(entry(attempt=nine), final={1}, seen=False) == ([], [0, 2, 3, 4])


def test_nobody_saw_it_and_at_most_once():
    assert verdict(seen=False, at_most_once=True) == ([], [0, 1, 2, 3, 4])


def test_a_shutdown_on_purpose_charges_nobody():
    found = verdict(final={3}, executing=("b", 2), uncharged=True)
    assert found == ([(0, 3, 1), (4, 1, 1)], [])


def test_at_most_once_holds_at_a_shutdown_too():
    found = verdict(executing=("b", 2), uncharged=True, at_most_once=True)
    assert found == ([(0, 2, 1), (3, 2, 1)], [2])


def test_the_page_has_the_table():
    lines = [
        f"| {end.value} | " + " | ".join(fate.value for fate in (*repeatable, *at_most_once)) + " |"
        for end, (repeatable, at_most_once) in TABLE.items()
    ]
    assert set(TABLE) == set(End)
    assert "\n".join(lines) in PAGE


def test_the_page_has_the_numbers():
    words = {3: "third", 10: "tenth"}
    most, unproven = words[attempts.MOST_LOSSES], words[attempts.MOST_SUSPICIONS]
    assert f"A call fails when it is charged for the {most} time, or suspected for the {unproven}." in PAGE


def test_no_end_has_two_ways_to_a_failure():
    ways = {Fate.CHARGED, Fate.SUSPECTED, Fate.FAILED}
    assert all(len(ways & set(fates)) <= 1 for row in TABLE.values() for fates in row)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(0, 2),
    st.integers(0, 9),
    st.none() | st.tuples(st.sampled_from(["b", "other"]), st.integers(0, 5)),
    some_indexes,
    some_indexes,
    st.fixed_dictionaries(
        {
            "seen": st.booleans(),
            "uncharged": st.booleans(),
            "shared": st.booleans(),
            "opening": st.integers(0, 3),
        }
    ),
    st.booleans(),
)
def test_each_call_has_one_fate(count, losses, suspicions, executing, final, revoked, facts, at_most_once):
    attempt = often(suspicions)
    for _ in range(losses):
        attempt = attempts.after_loss(attempt)
    of = entry(count=count, attempt=attempt)
    found = judge(of, final, Loss("died", executing, **facts), at_most_once, revoked)
    again = [index for first, n, _ in found.pieces for index in range(first, first + n)]
    assert sorted([*again, *found.fail, *found.revoked]) == [i for i in range(count) if i not in final]
    assert not revoked & {*again, *found.fail}
    if at_most_once and executing is not None and executing[0] == "b" and not facts["opening"]:
        assert executing[1] not in again
    if facts["uncharged"]:
        assert at_most_once or not found.fail
        assert all(of_piece == attempt for _, _, of_piece in found.pieces)
