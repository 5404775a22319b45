"""The last lines that calls have printed, as a terminal would leave them."""

from __future__ import annotations

import pytest

from nbtasks.client.batches.printed import Printed


def lines(*texts, index=0):
    printed = Printed()
    for number, text in enumerate(texts):
        printed.add(index, [["o", text]], [number + 1, 0, 0])
    return [line.text for line in printed]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["a\nb\n", "c"], ["a\n", "b\n", "c"]),
        (["a", "b", "\n"], ["ab\n"]),
        (["\n\na\n"], ["\n", "\n", "a\n"]),
        (["10 %", "\r20 %", "\r100 %\n", "end\n"], ["100 %\n", "end\n"]),
        (["long line\rshort"], ["shortline"]),
        (["a\r\nb\r\r\n"], ["a\n", "b\n"]),
        (["abc\b\bX\n"], ["aXc\n"]),
        (["gone\r\x1b[Knew"], ["new"]),
        (["gone\x1b[2K\rnew"], ["new"]),
        (["\x1b[31mred\x1b[0m\r\x1b[32mgreen\x1b[0m"], ["\x1b[32mgreen\x1b[0m"]),
        # As tqdm writes nested bars into a terminal.
        (["\router 0", "\n\rinner 0\x1b[A", "\n\rinner 1\x1b[A", "\router 1", "\n\rinner 2\x1b[A"],
         ["outer 1\n", "inner 2"]),
        (["a\nb\n\x1b[2AX\x1b[9AY\n\n\nZ"], ["XY\n", "b\n", "\n", "Z"]),
        (["\x1b[A\x1b[K\b\r"], []),
        (["a\x0bb\x0cc\u2028d\n"], ["a\x0bb\x0cc\u2028d\n"]),
    ],
)  # fmt: skip
def test_lines_are_as_a_terminal_leaves_them(texts, expected):
    assert lines(*texts) == expected


def test_each_call_has_its_own_line():
    printed = Printed()
    for step in range(3):
        for index in (0, 1):
            printed.add(index, [["o", f"\rcall {index} step {step}"], ["e", "."]], [step + 1, step, 0])
    assert [(line.index, line.stream, line.text) for line in printed] == [
        (0, "stdout", "call 0 step 2"),
        (0, "stderr", "..."),
        (1, "stdout", "call 1 step 2"),
        (1, "stderr", "..."),
    ]


def test_a_call_that_has_cleared_its_output_begins_anew():
    printed = Printed()
    printed.add(0, [["o", "a\nb"]], [3, 0, 0])
    printed.add(1, [["o", "other\n"]], [6, 0, 0])
    printed.add(0, [["o", "c\n"]], [2, 0, 1])
    assert [line.text for line in printed] == ["other\n", "c\n"]
    printed.end(0, [["o", "d\n"]], [2, 0, 2])
    assert [line.text for line in printed] == ["other\n", "d\n"]


def test_only_the_last_lines_are_kept():
    printed = Printed()
    printed.add(0, [["o", "first line\n" + "x\n" * 100_000 + "y" * 200_000]], [1, 0, 0])
    kept = [line.text for line in printed]
    assert len(kept) <= 200
    assert kept[-1].endswith("y")
    printed.add(0, [["o", "z\n"] for _ in range(1000)], [2, 0, 0])
    assert [line.text for line in printed] == ["z\n"] * 200
