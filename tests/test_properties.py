"""Pure parts hold for whatever is put in: examples are made up, and always the same ones, so that CI is stable."""

import ast
import contextlib
import itertools
import math
import textwrap
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtasks.client.submitting import chunking
from nbtasks.core import durations, rates
from nbtasks.core.errors import CellError, ConfigError
from nbtasks.core.ranges import runs
from nbtasks.jupyter.card import mosaic, words
from nbtasks.jupyter.magics.clause import split_clause
from nbtasks.jupyter.magics.names import bound_names, read_before_bound
from nbtasks.wire.replay import Recent, Window

few = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
#: What durations and rates are written with, and a little else.
written = st.text(alphabet="0123456789.smhd/ -+einfa", max_size=12)

# -- durations and rates

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
amounts = st.floats(0, durations.LONGEST_S, allow_nan=False)


@few
@given(amounts)
def test_a_number_a_text_and_a_timedelta_are_the_same_duration(value):
    assert durations.seconds(value) == value
    assert durations.seconds(repr(value)) == value
    assert durations.seconds(timedelta(seconds=value)) == pytest.approx(value, abs=1e-6)


@few
@given(st.lists(st.tuples(st.integers(0, 999), st.sampled_from(list(UNITS))), min_size=1, max_size=4))
def test_parts_of_a_duration_are_added_up(parts):
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert durations.seconds(text) == pytest.approx(sum(number * UNITS[unit] for number, unit in parts))
    assert durations.seconds(f" {text.upper()} ") == durations.seconds(text)


@few
@given(st.one_of(written, st.floats(), st.integers(), st.booleans(), st.none(), st.binary(max_size=3)))
def test_whatever_is_given_as_a_duration_is_one_or_is_refused(value):
    try:
        found = durations.seconds(value)
    except ConfigError:
        return
    assert 0 <= found <= durations.LONGEST_S


@few
@given(st.floats(1e-6, 1e9), st.sampled_from(["s", "m", "h"]))
def test_a_rate_is_what_was_written_and_stays_that(number, unit):
    try:
        rate = rates.rate(f"{number!r}/{unit}")
    except ConfigError:
        assert number / UNITS[unit] < 1 / (365 * 86400)
        return
    assert rates.seconds_between(rate) == pytest.approx(UNITS[unit] / number, rel=1e-9)
    assert rates.rate(rate) == rate


@few
@given(st.one_of(written, st.floats(), st.integers(), st.booleans(), st.none(), st.binary(max_size=3)))
def test_whatever_is_given_as_a_rate_is_one_or_is_refused(value):
    try:
        rate = rates.rate(value)
    except ConfigError:
        return
    assert rate is None or math.isfinite(rates.seconds_between(rate))


# -- runs of numbers, chunks, the mosaic


@few
@given(st.sets(st.integers(0, 200)))
def test_runs_are_the_numbers_and_as_few_as_can_be(numbers):
    found = runs(sorted(numbers))
    assert [n for first, count in found for n in range(first, first + count)] == sorted(numbers)
    assert all(first + count < then for (first, count), (then, _) in itertools.pairwise(found))


@few
@given(
    st.lists(st.integers(0, 3 * chunking.MOST_BYTES // 2), max_size=40),
    st.one_of(st.none(), st.floats(0, 1e4)),
    st.integers(0, 300),
    st.one_of(st.none(), st.integers(1, 50)),
)
def test_chunks_are_the_payloads_in_order(sizes, seconds, slots, fixed):
    payloads = [bytes(size) for size in sizes]
    chunks = list(chunking.cut(payloads, len(payloads), seconds, slots, fixed))
    assert [each for chunk in chunks for each in chunk] == payloads
    assert all(chunks)
    for chunk in chunks:
        assert len(chunk) == 1 or sum(map(len, chunk)) <= chunking.MOST_BYTES
        assert len(chunk) <= (fixed or chunking.MOST_CALLS)


@few
@given(st.binary(max_size=300).map(lambda raw: bytes(code % 7 for code in raw)), st.integers(1, 400))
def test_a_pixel_shows_a_state_that_is_among_its_calls(codes, most):
    shown = mosaic.loudest(codes, most)
    assert len(shown) <= most
    assert set(shown) <= set(codes)
    assert (5 in shown) == (5 in codes)


# -- what comes a second time


@few
@given(st.lists(st.integers(0, 200), max_size=80))
def test_no_number_counts_twice_and_a_new_one_always_counts_in_order(numbers):
    window, seen, last = Window(), set(), 0
    for number in numbers:
        fresh = window.fresh(number)
        assert fresh == (number not in seen and number > last - 64)
        seen.add(number)
        last = max(last, number)


@few
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9), st.integers(0, 3)), max_size=30))
def test_no_order_counts_twice(orders):
    recent, counted, now = Recent(5.0), set(), 0
    for name, offset, step in orders:
        now += step
        if recent.fresh(name, now + offset, now, -3.0):
            assert (name, now + offset) not in counted
            assert abs(offset) <= 5
            assert now + offset >= -3
            counted.add((name, now + offset))


# -- the for clause

NAMES = st.sampled_from(["u", "row", "x_1"])
ITEMS = st.sampled_from(
    [
        "urls",
        "df['url']",
        'open("a for b")',
        "range(3)",
        "[n for n in xs]",
        "(1, 2)",
        "f(')')",
        "d[']']",
        "'#'",
    ]
)
OPTIONS = st.sampled_from(["", "-q io", "-n 'for a card'", "--retries 3 -o h", '-n "x # y"', "-n it\\'s"])


@few
@given(OPTIONS, NAMES, ITEMS, st.sampled_from(["", " if u", " for k in u"]), st.sampled_from(["", "  # why"]))
def test_a_line_is_cut_where_its_clause_begins(options, name, items, more, comment):
    clause = f"for {name} in {items}{more}"
    head, found = split_clause(f"{options} {clause}{comment}")
    assert head == options.strip()
    assert found.names[0] == name
    assert ast.dump(ast.parse(f"[0 {found.text}]")) == ast.dump(ast.parse(f"[0 {clause}]"))


@few
@given(st.text(alphabet="for in'\"#()[]\\ux,=-", max_size=25))
def test_any_line_is_cut_or_refused(line):
    try:
        head, found = split_clause(line)
    except CellError:
        return
    assert line.startswith(head)
    if found is not None:
        assert found.names
        assert ast.parse(f"[0 {found.text}]")


# -- names of a cell

VARIABLES = ("a", "b", "c")
variables = st.sampled_from(VARIABLES)


def _block(statements):
    return st.lists(statements, min_size=1, max_size=3).map("\n".join)


def _inside(head, body, tail="", then=""):
    more = f"\n{tail}\n{textwrap.indent(then, '  ')}" if tail else ""
    return f"{head}\n{textwrap.indent(body, '  ')}{more}"


simple = st.one_of(
    st.builds("{} = 1".format, variables),
    st.builds("{} = {}".format, variables, variables),
    st.builds("{} += 1".format, variables),
    st.builds("see({})".format, variables),
    st.builds("({} := 1)".format, variables),
    st.builds("see([{} for {} in (1, 2)])".format, variables, variables),
    st.builds("see([{} := n for n in ()])".format, variables),
    st.builds("see(1 if coin() else ({} := 2))".format, variables),
    st.builds("{}: int".format, variables),
    st.builds("{}, {} = 1, 2".format, variables, variables),
    st.builds("def {}(): pass".format, variables),
    st.builds("def {}(x={}): pass".format, variables, variables),
    st.builds("see((lambda {}: {})(1))".format, variables, variables),
    st.builds("import os as {}".format, variables),
    st.just("fail()"),
)
programs = _block(
    st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds(lambda body: _inside("if coin():", body), _block(inner)),
            st.builds(lambda body, then: _inside("if coin():", body, "else:", then), _block(inner), _block(inner)),
            st.builds(lambda name, body: _inside(f"for {name} in flips():", body), variables, _block(inner)),
            st.builds(
                lambda body, word: _inside("while coin():", f"{body}\nif coin(): {word}"),
                _block(inner),
                st.sampled_from(["break", "continue"]),
            ),
            st.builds(
                lambda body, then, end: _inside("try:", body, "except OSError:", f"{then}\n{end}"),
                _block(inner), _block(inner), st.sampled_from(["pass", "raise"]),
            ),
            st.builds(lambda body, then: _inside("try:", body, "finally:", then), _block(inner), _block(inner)),
            st.builds(lambda name, body: _inside(f"with ctx() as {name}:", body), variables, _block(inner)),
        ),
        max_leaves=6,
    )
)  # fmt: skip


class Notebook(dict):
    """A namespace that notes which names are read before they are there; the value is the notebook's."""

    def __init__(self, coins):
        self.coins, self.steps, self.missed = coins, 0, set()
        super().__init__(
            coin=self.coin, flips=self.flips, fail=self.fail, ctx=lambda: self, see=lambda value: value
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def coin(self):
        self.steps += 1
        return self.steps < 30 and bool(self.coins >> self.steps % 16 & 1)

    def flips(self):
        return [1] * self.coin()

    def fail(self):
        if self.coin():
            raise OSError

    def __missing__(self, name):
        if name not in VARIABLES:
            raise KeyError(name)
        self.missed.add(name)
        return 0


@settings(few, max_examples=20)
@given(programs, st.integers(0, 2**16 - 1))
def test_what_a_cell_reads_first_is_captured(source, coins):
    tree = ast.parse(source)
    notebook = Notebook(coins)
    with contextlib.suppress(Exception):
        exec(compile(tree, "cell", "exec"), {"__builtins__": __builtins__}, notebook)
    known = bound_names(tree.body)
    assert notebook.missed & known <= read_before_bound(tree.body)
    assert {name for name in VARIABLES if dict.__contains__(notebook, name)} <= known


# -- the card's words


@few
@given(st.floats(0, 1e7), st.floats(0, 1e4))
def test_a_longer_time_is_never_said_to_be_shorter(first, more):
    assert _said(words.duration(first)) <= _said(words.duration(first + more)) + 1e-9
    assert _said(words.duration(first)) == pytest.approx(first, rel=0.02, abs=0.006)


def _said(text):
    numbers = text.split()
    return sum(
        float(n) * {"s": 1, "min": 60, "h": 3600}[unit] for n, unit in zip(*[iter(numbers)] * 2, strict=True)
    )


@few
@given(st.floats(1e-3, 1e9))
def test_a_rate_is_said_right_to_three_digits(rate):
    number, _, unit = words.rate(rate).partition("/")
    assert float(number.replace(",", "")) * {"s": 1, "min": 1 / 60}[unit] == pytest.approx(rate, rel=0.06)
    assert "e" not in number
