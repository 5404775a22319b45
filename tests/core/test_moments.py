"""Moments as people write them."""

from __future__ import annotations

import math
import time
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from nbtasks import ConfigError
from nbtasks.core.moments import moment

#: 8 o'clock in the zone of each test.
EIGHT = datetime.fromisoformat("2026-05-31T08:00:00.250")


@pytest.fixture(params=["Asia/Tokyo", "America/New_York", "UTC"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_what_says_no_zone_is_meant_here(zone):
    pandas = pytest.importorskip("pandas")
    at = time.mktime((2026, 5, 31, 8, 0, 0, 0, 0, -1)) + 0.25
    for written in (EIGHT, pandas.Timestamp(EIGHT), "2026-05-31T08:00:00.250", "2026-05-31 08:00:00.250000"):
        assert moment(written, "eta", at) == at


def test_what_says_its_zone_is_meant_there(zone):
    pandas = pytest.importorskip("pandas")
    there = EIGHT.replace(tzinfo=timezone(timedelta(hours=2)))
    at = EIGHT.replace(tzinfo=timezone.utc).timestamp() - 7200
    assert moment(there, "eta", at) == at
    assert moment(pandas.Timestamp(there), "eta", at) == at
    assert moment(pandas.Timestamp(EIGHT, tz="Europe/Berlin"), "eta", at) == at
    assert moment("2026-05-31T08:00:00.250+02:00", "eta", at) == at
    assert moment("2026-05-31T06:00:00.250Z", "eta", at) == at
    assert moment(at, "eta", at) == at
    assert moment(int(at), "eta", at) == int(at)


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")
    assert moment(numpy.float64(5.5), "eta", 0) == 5.5
    assert moment(numpy.int64(5), "eta", 0) == 5


@pytest.mark.parametrize(
    "nonsense",
    [
        date(2026, 5, 31), "2026-05-31", "20260531", "tomorrow", "", "12:00", True, None, [5], math.nan, math.inf,
        -math.inf, time.gmtime(0), timedelta(1), 10**400,
        datetime.max, datetime.min,  # noqa: DTZ901 - what says no zone is asked for
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_the_accepted_forms(nonsense):
    with pytest.raises(ConfigError, match=r"eta: .* (is not a time; give a datetime|hundred years)"):
        moment(nonsense, "eta", 0)


def test_what_libraries_have_for_no_moment_is_refused():
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    for nonsense in (pandas.NaT, numpy.datetime64("2026-05-31"), numpy.datetime64("NaT", "s"), numpy.bool_(True),
                     numpy.timedelta64(1, "s"), numpy.timedelta64(10**9, "ns"), Decimal("nan")):  # fmt: skip
        with pytest.raises(ConfigError, match="is not a time"):
            moment(nonsense, "eta", 0)


def test_milliseconds_are_not_taken_for_seconds():
    with pytest.raises(
        ConfigError, match="more than a hundred years away; epoch seconds are about 1750000000 now"
    ):
        moment(1_750_000_000_000, "eta", 1_750_000_000)
