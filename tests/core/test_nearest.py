"""Which word somebody has meant who has mistyped it."""

import pytest

from nbtasks.core.nearest import nearest

WORDS = [
    "--out",
    "--name",
    "--retries",
    "--retry-delay",
    "--timeout",
    "--tz",
    "-o",
    "logs",
    "attach",
    "time_limit",
]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--otu", "--out"),
        ("--nmae", "--name"),
        ("--retrys", "--retries"),
        ("--time-out", "--timeout"),
        ("--retry_delay", "--retry-delay"),
        ("lgos", "logs"),
        ("atach", "attach"),
        ("time_limt", "time_limit"),
    ],
)
def test_a_mistyped_word_is_recognized(word, meant):
    assert nearest(word, WORDS) == meant


@pytest.mark.parametrize("word", ["--bogus", "bogus", "-z", "--", "", "x", "scale"])
def test_nothing_is_suggested_that_is_not_near(word):
    assert nearest(word, WORDS) is None
    assert nearest(word, []) is None
