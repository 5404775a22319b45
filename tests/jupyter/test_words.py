"""How the card says durations, rates, sizes and lines of output."""

import pytest

from nbtasks.jupyter.card import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.00 s"), (0.214, "0.21 s"), (9.99, "9.99 s"), (9.996, "10.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"),
     (245, "4 min 05 s"), (3599.9, "1 h 00 min"), (7380, "2 h 03 min")],
)  # fmt: skip
def test_duration(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (5.1e-7, "0.51 µs"),
        (9.9e-6, "9.9 µs"),
        (1e-5, "0.01 ms"),
        (0.0042, "4.2 ms"),
        (0.214, "0.21 s"),
    ],
)
def test_what_is_very_short_is_told_with_two_digits(seconds, said):
    assert words.short_duration(seconds) == said


@pytest.mark.parametrize(
    ("per_second", "said"), [(91_000.4, "91,000/s"), (24.06, "24.1/s"), (1, "1/s"), (0.5, "30/min")]
)
def test_rate(per_second, said):
    assert words.rate(per_second) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (90, "90 s"),
        (119, "119 s"),
        (720, "12 min"),
        (3600, "1 h"),
        (18_000, "5 h"),
        (200_000, "2 d"),
    ],
)
def test_ago(seconds, said):
    assert words.ago(seconds) == said


def test_sizes_and_counts():
    assert [words.size(n) for n in (0, 812, 1_400_000, 3_000_000_000)] == ["0 B", "812 B", "1.4 MB", "3 GB"]
    assert [words.calls(n) for n in (1, 2000)] == ["1 call", "2,000 calls"]


def test_text_is_as_a_terminal_leaves_it():
    assert words.plain("\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\n", 99) == "red link"
    assert words.plain("  0%|  |\r 50%|# |\r100%|##|\n", 99) == "100%|##|"
    assert words.plain("a\r\nb\x00\tc\r\n", 99) == "a\nb   c"
    assert words.plain("x" * 50, 10) == "x" * 9 + "…"
    assert words.one_line("a\n  b", 99) == "a b"


def test_a_short_id_tells_ids_of_the_same_hour_apart():
    assert words.short_id("01a1f955f78f7fed06ef") == "ed06ef"
