"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from nbtasks import ConfigError
from nbtasks.core.durations import patience, seconds


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (90, 90.0),
        (1.5, 1.5),
        (0, 0.0),
        ("90", 90.0),
        ("0.25", 0.25),
        ("250ms", 0.25),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("2d", 172800.0),
        (" 10S ", 10.0),
        ("1.5h", 5400.0),
        (timedelta(minutes=5), 300.0),
    ],
)
def test_what_people_write(written, meant):
    assert seconds(written) == meant


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "soon",
        "5 minutes",
        "m5",
        "5m!",
        "-1",
        -1,
        True,
        None,
        [5],
        float("nan"),
        float("inf"),
        "inf",
        timedelta(-1),
        Decimal("sNaN"),
    ],
)
def test_nonsense_is_refused_with_the_accepted_forms(nonsense):
    with pytest.raises(ConfigError, match=r"countdown: .* is not a duration; write seconds \(90\) or .* 5m"):
        seconds(nonsense, "countdown")


def test_spans_of_other_libraries_have_their_own_unit():
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    spans = [
        numpy.timedelta64(2, "s"),
        numpy.timedelta64(2 * 10**9, "ns"),
        pandas.Timedelta("2s"),
        Decimal(2),
    ]
    for written in [*spans, pandas.Series([pandas.Timedelta("2s")]).to_numpy()[0]]:
        assert seconds(written) == patience(written) == 2
    for nonsense in (numpy.timedelta64("NaT", "s"), numpy.timedelta64(1, "M"), pandas.NaT):
        with pytest.raises(ConfigError, match="is not a duration"):
            seconds(nonsense)
