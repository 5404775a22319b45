"""Results of earlier runs, taken for calls with the same code, captured values and arguments."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import redis

from nbtasks import App, GroupResult, task
from nbtasks.core.errors import ConfigError

SOON = 60.0


@pytest.fixture
def marks(tmp_path):
    """A file into which calls write that they have run; ``marks.read()`` returns what they wrote."""

    class Marks:
        path = str(tmp_path / "marks")

        def read(self):
            return sorted(Path(self.path).read_text().split())

    return Marks()


def cell(source, filename="<cell>", **names):
    """Run source as a notebook runs a cell; returns its names."""
    space = {"__name__": "__main__", "task": task, **names}
    exec(compile(source, filename, "exec"), space)
    return space


MARKING = """
factor = {factor}
@task(memo=True)
def times(n):
    with open(path, "a") as file:
        file.write(f"{{n}} ")
    print("ran", n)
    return n * factor
"""


def marking(marks, factor=2, filename="<cell>", before=""):
    """Return a task that notes its calls, as another kernel defines it."""
    return cell(before + MARKING.format(factor=factor), filename, path=marks.path)["times"]


def reused(group):
    """Which calls of a map have results of an earlier run."""
    return [handle.index for handle in group if handle.reused_at is not None]


def test_what_has_run_before_does_not_run_again(shared_app, marks):
    began = datetime.now(timezone.utc)
    first = marking(marks).map(range(3))
    assert (first.get(timeout=SOON), reused(first)) == ([0, 2, 4], [])
    ended = datetime.now(timezone.utc)
    # The same source in another cell, of another kernel.
    second = marking(marks, filename="/tmp/ipykernel_2/9.py", before="\n\n").map(range(1, 5))
    # What is kept is there at once.
    assert [handle.state for handle in second][:2] == ["SUCCESS", "SUCCESS"]
    assert (second.get(timeout=SOON), reused(second)) == ([2, 4, 6, 8], [0, 1])
    assert marks.read() == ["0", "1", "2", "3", "4"]
    assert began.timestamp() - 1 < second[0].reused_at.timestamp() < ended.timestamp() + 1
    assert (second[0].stdout, second[0].worker, second[0].runtime) == ("ran 1\n", None, 0.0)
    frame = second.to_frame()
    assert frame["reused_at"].notna().tolist() == [True, True, False, False]
    assert frame["attempt"].tolist() == [0, 0, 1, 1]


def test_one_call_takes_what_a_map_has_left(shared_app, marks):
    assert marking(marks).map([70, 71]).get(timeout=SOON) == [140, 142]
    handle = marking(marks).delay(71)
    assert (handle.ready(), handle.get(timeout=SOON), handle.reused_at is not None) == (True, 142, True)
    fresh = marking(marks).delay(72)
    assert (fresh.get(timeout=SOON), fresh.reused_at) == (144, None)
    assert marking(marks).delay(72).reused_at is not None
    assert marks.read() == ["70", "71", "72"]


def test_other_code_another_captured_value_or_another_argument_runs(shared_app, marks):
    assert marking(marks).map([10, 11]).get(timeout=SOON) == [20, 22]
    changed = marking(marks, factor=3).map([10, 11])
    assert (changed.get(timeout=SOON), reused(changed)) == ([30, 33], [])
    edited = cell(MARKING.format(factor=2).replace("n * factor", "n * factor + 1"), path=marks.path)["times"]
    assert edited.map([10, 11]).get(timeout=SOON) == [21, 23]
    # Equal to 10, and another argument.
    assert marking(marks).map([10.0, True]).get(timeout=SOON) == [20.0, 2]
    assert reused(marking(marks).map([10, 11, 10.0])) == [0, 1, 2]


def test_without_memo_everything_runs_and_nothing_is_kept(shared_app, marks):
    plain = marking(marks).with_options(memo=False)
    plain.map([20]).get(timeout=SOON)
    assert reused(marking(marks).map([20])) == []
    marking(marks).map([20]).get(timeout=SOON)
    assert reused(plain.map([20])) == []
    assert plain.map([20], memo=True)[0].reused_at is not None
    assert plain.apply_async((20,), memo=True).reused_at is not None


def test_rerun_makes_results_anew_and_replaces_those_that_are_kept(shared_app, marks):
    marking(marks).map([30]).get(timeout=SOON)
    again = marking(marks).map([30], rerun=True)
    assert (again.get(timeout=SOON), reused(again)) == ([60], [])
    assert marks.read() == ["30", "30"]
    made = marking(marks).map([30])[0].reused_at
    assert abs((made - again[0].date_done).total_seconds()) < 0.1
    with pytest.raises(ConfigError, match="rerun: without memo=True"):
        marking(marks).with_options(memo=False).map([30], rerun=True)


def test_a_failure_is_not_kept(shared_app, marks):
    source = """
@task(memo=True)
def halves(n):
    with open(path, "a") as file:
        file.write("h ")
    return 8 / n
"""
    first = cell(source, path=marks.path)["halves"].map([0, 4], on_error="keep")
    assert isinstance(first.get(timeout=SOON)[0], ZeroDivisionError)
    second = cell(source, path=marks.path)["halves"].map([0, 4], on_error="keep")
    second.get(timeout=SOON)
    assert reused(second) == [1]
    assert len(marks.read()) == 3


def test_what_failed_is_kept_when_a_retry_of_it_succeeds(shared_app, marks):
    source = """
import os
@task(memo=True, retries=1, default_retry_delay=0)
def second_time(n):
    with open(path, "a") as file:
        file.write("x ")
    if os.path.getsize(path) < 4:
        raise ValueError("not yet")
    return n
"""
    assert cell(source, path=marks.path)["second_time"].map([1]).get(timeout=SOON) == [1]
    assert reused(cell(source, path=marks.path)["second_time"].map([1])) == [0]


def test_large_results_and_arguments_are_known_by_their_content(shared_app):
    source = """
import numpy as np
@task(memo=True)
def grown(n, array):
    return np.full(200_000, float(n)) + array.sum()
"""
    array = np.ones(300_000)
    first = cell(source)["grown"].starmap([(n, array) for n in range(3)])
    first.get(timeout=SOON)
    copied = array.copy()
    second = cell(source)["grown"].starmap([(n, copied) for n in range(4)])
    assert reused(second) == [0, 1, 2]
    array[5] = 2
    other = cell(source)["grown"].starmap([(n, array) for n in range(3)])
    assert reused(other) == []
    assert other.get(timeout=SOON)[1][0] == 300_002.0
    assert [values[0] for values in second.get(timeout=SOON)] == [300_000.0 + n for n in range(4)]
    again = cell(source)["grown"].starmap([(n, array) for n in range(3)])
    assert reused(again) == [0, 1, 2]
    assert again.get(timeout=SOON)[2][0] == 300_003.0


def test_a_result_whose_file_has_gone_is_made_again(app):
    source = """
import numpy as np
@task(memo=True)
def many(n):
    return np.full(500_000, float(n))
"""
    app.start_workers(1)
    cell(source)["many"].map([1, 2]).get(timeout=SOON)
    names = app.session.files.older_than(-10.0)
    assert len(names) == 2
    app.session.files.remove(next(iter(names)))
    again = cell(source)["many"].map([1, 2])
    assert len(reused(again)) == 1
    assert [array[0] for array in again.get(timeout=SOON)] == [1.0, 2.0]


def test_sets_are_in_order_and_what_is_not_the_same_is_never_taken(shared_app):
    source = """
words = {{{words}}}
@task(memo=True)
def told(one, other):
    return sorted(one), sorted(words), other(2)
"""
    one, other = source.format(words="'a', 'b', 'c'"), source.format(words="'c', 'a', 'b'")
    argument = [({"x", "y", "z"}, lambda n: n + 1)]
    first = cell(one)["told"].starmap(argument)
    first.get(timeout=SOON)
    second = cell(other)["told"].starmap([({"z", "y", "x"}, lambda n: n + 1)])
    assert reused(second) == [0]
    for different in ({"x", "y"}, lambda n: n + 1), ({"x", "y", "z"}, lambda n: n + 2):
        assert reused(cell(one)["told"].starmap([different])) == []


def test_the_place_of_a_call_counts_where_random_numbers_follow_from_a_seed(shared_app):
    source = """
import random
@task(memo=True, seed=7)
def drawn(n):
    return random.random()
"""
    first = cell(source)["drawn"].map([1, 1])
    values = first.get(timeout=SOON)
    second = cell(source)["drawn"].map([1, 1])
    assert (second.get(timeout=SOON), reused(second)) == (values, [0, 1])
    assert reused(cell(source)["drawn"].map([1, 1], seed=8)) == []


def test_a_local_module_that_has_changed_is_other_code(shared_app, tmp_path, monkeypatch, written_modules):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written_modules.add("memo_helpers")
    file = tmp_path / "memo_helpers.py"
    source = """
@task(memo=True)
def helped(n):
    import memo_helpers
    return memo_helpers.help(n)
"""
    file.write_text("def help(n): return n + 1\n")
    assert cell(source)["helped"].map([1]).get(timeout=SOON) == [2]
    assert reused(cell(source)["helped"].map([1])) == [0]
    file.write_text("def help(n): return n + 100\n")
    changed = cell(source)["helped"].map([1])
    assert (changed.get(timeout=SOON), reused(changed)) == ([101], [])


def test_items_made_on_the_way_and_none_at_all(shared_app, marks):
    first = marking(marks).map(n for n in range(50, 53))
    first.get(timeout=SOON)
    buffer = [0]

    def filled():
        for n in (50, 54):
            buffer[0] = n
            yield buffer

    source = "@task(memo=True)\ndef inside(items): return items[0]"
    assert cell(source)["inside"].map(filled()).get(timeout=SOON) == [50, 54]
    again = cell(source)["inside"].map(filled())
    assert (again.get(timeout=SOON), reused(again)) == ([50, 54], [0, 1])
    made = []

    def changing():
        for n in (55, 56, 57):
            made.append([n])
            yield made[-1]
            # What was given out is changed when it is packed.
            made[0][0] += 1

    assert cell(source)["inside"].map(changing()).get(timeout=SOON) == [55, 56, 57]
    right = cell(source)["inside"].map([[55], [56], [57], [58]])
    assert right.get(timeout=SOON) == [55, 56, 57, 58]
    assert 3 not in reused(right)
    assert reused(marking(marks).map(n for n in range(49, 53))) == [1, 2, 3]
    assert marking(marks).map([]).get(timeout=SOON) == []


def test_whoever_looks_a_run_up_sees_what_was_reused(shared_app, marks):
    marking(marks).map(range(60, 63)).get(timeout=SOON)
    group = marking(marks).map(range(60, 64))
    group.get(timeout=SOON)
    with App("other", broker=shared_app.connection.url, namespace=shared_app.connection.namespace) as other:
        found = GroupResult(group.id, app=other)
        assert found.get(timeout=SOON) == [120, 122, 124, 126]
        assert reused(found) == [0, 1, 2]


def test_another_namespace_keeps_its_own(shared_app, marks):
    marking(marks).map([80]).get(timeout=SOON)
    with App("other", broker=shared_app.connection.url, namespace="t-memo-other") as other:
        times = other.task(memo=True)(marking(marks))
        assert times.map([80])[0].reused_at is None


def test_a_pointer_to_another_call_is_not_believed(shared_app, marks):
    times = marking(marks).map([90, 91])
    assert times.get(timeout=SOON) == [180, 182]
    with redis.Redis.from_url(shared_app.connection.url) as server:
        before = {name: server.get(name) for name in server.keys("*t-memo*:m:*")}
        mine = {name: text for name, text in before.items() if text.startswith(times.id.encode())}
        (one, first), (other, second) = mine.items()
        # Somebody who has no key swaps two results, and puts nonsense in the place of others.
        server.set(one, second)
        server.set(other, first)
        swapped = marking(marks).map([90, 91])
        assert (reused(swapped), swapped.get(timeout=SOON)) == ([], [180, 182])
        for nonsense in (
            b"",
            b"x y",
            b"0 0 0",
            times.id.encode() + b" 99999999999999999",
            b"ffff 1",
            b"\xff" * 99,
        ):
            server.set(one, nonsense)
            server.set(other, f"{times.id} 7")
            again = marking(marks).map([90, 91])
            assert (reused(again), again.get(timeout=SOON)) == ([], [180, 182])
        server.delete(one)
        server.lpush(one, "of another type")
        again = marking(marks).map([90, 91])
        assert (len(reused(again)), again.get(timeout=SOON)) == (1, [180, 182])


def test_what_keeps_nothing_says_so(marks):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool, App(engine=pool) as app:
        times = app.task(memo=True)(marking(marks))
        with pytest.raises(ConfigError, match=r"memo=True: .* keeps no results"):
            times.map([1])
        with pytest.raises(ConfigError, match=r"memo=True: .* keeps no results"):
            times.delay(1)


def test_bad_options_are_refused_by_name(shared_app, marks):
    with pytest.raises(ConfigError, match="memo: 'yes' is neither True nor False"):
        task(memo="yes")(len)
    with pytest.raises(ConfigError, match="max_parallel=2: with memo=True all calls are looked up"):
        marking(marks).map([1], max_parallel=2)
