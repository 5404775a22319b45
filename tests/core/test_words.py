"""Attempts, ids, ranges, errors: small words that every room relies on."""

from __future__ import annotations

import builtins
import pickle

import pytest

import nbtasks
from nbtasks import UnknownCall, exceptions
from nbtasks.core import attempts, states
from nbtasks.core.ids import call_id, new_id, split_call_id
from nbtasks.core.ranges import runs


def test_a_loss_does_not_use_up_a_retry():
    number = attempts.after_loss(attempts.after_retry(attempts.after_loss(1)))
    assert (attempts.tries(number), attempts.losses(number)) == (2, 2)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], []),
        ([5], [(5, 1)]),
        ([1, 2, 5], [(1, 2), (5, 1)]),
        (range(4), [(0, 4)]),
        ([3, 2, 1], [(3, 1), (2, 1), (1, 1)]),
    ],
)
def test_runs(numbers, expected):
    assert runs(numbers) == expected


def test_ids_differ_and_can_be_split():
    one = new_id()
    assert one != new_id()
    assert len(one) == 20
    assert split_call_id(one) == (one, None)
    assert split_call_id(call_id(one, 7, None)) == (one, 7)
    assert call_id(one, 0, 1) == one


def test_ids_of_later_moments_sort_later(monkeypatch):
    first = new_id()
    monkeypatch.setattr("time.time", lambda: 4_000_000_000.0)
    assert new_id() > first


@pytest.mark.parametrize(
    "text", ["", "x", "019e9a3b6c1f00a1b2c", "019e9a3b6c1f00a1b2c3:", "019e9a3b6c1f00a1b2c3:-1", "Z" * 20]
)
def test_what_is_no_id_is_unknown(text):
    with pytest.raises(UnknownCall, match="ids look like"):
        split_call_id(text)


def test_state_codes_are_in_order_and_the_last_three_are_final():
    assert [getattr(states, f"{name}_CODE") for name in states.NAMES] == list(range(7))
    assert set(states.NAMES[states.FIRST_READY_CODE :]) == states.READY_STATES


def test_every_error_is_an_nbtasks_error():
    names = [name for name in nbtasks.__all__ if isinstance(getattr(nbtasks, name), type)]
    errors = [getattr(nbtasks, name) for name in names if issubclass(getattr(nbtasks, name), Exception)]
    assert len(errors) > 20
    assert all(issubclass(error, nbtasks.NbtasksError) for error in errors)
    assert {error.__name__ for error in errors} <= set(exceptions.__all__)


def test_timeout_error_is_also_the_builtin_one():
    assert issubclass(nbtasks.TimeoutError, builtins.TimeoutError)


@pytest.mark.parametrize(
    "error",
    [
        nbtasks.WorkerLostError("gone", "019e9a3b6c1f00a1b2c3:7"),
        nbtasks.TaskRevokedError("stopped", "019e9a3b6c1f00a1b2c3"),
        nbtasks.TaskError("Odd: x", "019e9a3b6c1f00a1b2c3", "Odd", "Traceback ..."),
    ],
)
def test_call_errors_travel_with_their_call_id(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
