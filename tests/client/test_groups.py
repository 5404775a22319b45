"""The handle of a map: in order, by index, as it completes, and what it says about failures."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import nbtasks
from nbtasks import App, ConfigError, TaskRevokedError

SOON = 60.0


def get(handle, **how):
    """Wait for results."""
    return handle.get(timeout=SOON, **how)


def odd_fails(x):
    """Task code: fail on odd numbers."""
    if x % 2:
        raise ValueError(f"odd {x}")
    return x


def wait_for(path):
    """Task code: return when a file is there."""
    end = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return Path(path).name


def note(path, x):
    """Task code: write into a ledger."""
    with Path(path).open("a") as file:
        file.write(f"{x}\n")
    return x


@pytest.fixture
def double(shared_app):
    """A task that doubles."""
    return shared_app.task(lambda x: 2 * x)


# --- the surface


def test_results_come_in_the_order_of_the_items(double):
    group = double.map(range(1000))
    assert get(group) == [2 * x for x in range(1000)]
    assert group.ready()
    assert group.successful()
    assert not group.waiting()
    assert not group.failed()
    assert (group.completed_count(), group.failed_count()) == (1000, 0)
    assert group.state == group.status == "SUCCESS"


def test_a_group_is_a_sequence_of_handles(double):
    group = double.map("abcde")
    assert len(group) == 5
    assert get(group[2]) == "cc"
    assert get(group[-1]) == "ee"
    assert [get(handle) for handle in group[1:4:2]] == ["bb", "dd"]
    assert [handle.index for handle in group] == [0, 1, 2, 3, 4]
    assert group.results == group.children == list(group)
    assert group[3].id == f"{group.id}:3"
    with pytest.raises(IndexError):
        group[5]


def test_starmap_spreads_the_arguments(shared_app):
    power = shared_app.task(pow)
    assert get(power.starmap([(2, 3), (3, 2), [10, 0]])) == [8, 9, 1]


def test_starmap_says_what_it_takes(shared_app):
    for no_tuple in ({"base": 2, "exp": 3}, {2, 3}):
        with pytest.raises(
            TypeError, match=f"starmap takes a tuple of arguments for each call, not {no_tuple}"
        ):
            shared_app.task(pow).starmap([no_tuple])
    with pytest.raises(TypeError, match="pow: starmap takes a tuple of arguments for each call, not 5"):
        shared_app.task(pow).starmap([(2, 3), 5])


def test_join_is_get(double):
    assert double.map([1]).join(SOON) == [2]


def test_of_nothing_comes_nothing(double, shared_app):
    for group in (double.map([]), double.starmap([]), double.map([], max_parallel=2)):
        assert get(group) == []
        assert group.ready()
        assert group.successful()
        assert list(group.as_completed(timeout=SOON)) == []


def test_any_iterable_will_do(double):
    assert get(double.map(x for x in range(3))) == [0, 2, 4]
    assert get(double.map({"a": 1, "b": 2})) == ["aa", "bb"]
    assert get(double.map(map(str, [1, 2]))) == ["11", "22"]


def test_as_completed_yields_handles_as_calls_end(shared_app, tmp_path):
    files = [str(tmp_path / name) for name in ("one", "two")]
    group = shared_app.task(wait_for).map(files, chunk=1)
    Path(files[1]).touch()
    ended = group.as_completed(timeout=SOON)
    assert get(next(ended)) == "two"
    assert group.completed_count() == 1
    assert group.waiting()
    Path(files[0]).touch()
    assert get(next(ended)) == "one"
    assert list(ended) == []


def test_as_completed_yields_failures_too(shared_app):
    group = shared_app.task(odd_fails).map(range(6))
    assert sorted(handle.index for handle in group.as_completed(timeout=SOON) if handle.failed()) == [1, 3, 5]


def test_as_completed_in_time_or_not(shared_app, gate):
    group = shared_app.task(wait_for).map([gate.path, gate.path])
    with pytest.raises(
        nbtasks.TimeoutError,
        match=r"2 of 2 calls of tests.client.test_groups.wait_for have not ended after 0.05 s; they go on",
    ):
        list(group.as_completed(timeout=0.05))


def test_get_in_time_or_not(shared_app, gate):
    group = shared_app.task(wait_for).map([gate.path, gate.path])
    with pytest.raises(
        nbtasks.TimeoutError,
        match=r"2 of 2 calls of tests.client.test_groups.wait_for .* have not ended after 0.05 s",
    ) as caught:
        group.get(timeout=0.05)
    assert "revoke(terminate=True)" in str(caught.value)
    assert group.state in {"PENDING", "STARTED"}
    gate.open()
    assert get(group) == ["gate", "gate"]


def test_to_frame_has_a_row_a_call(shared_app):
    pd = pytest.importorskip("pandas")
    group = shared_app.task(odd_fails).map([2, 3])
    group.until_ready(SOON)
    frame = group.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [
        "id", "args", "state", "result", "error", "worker", "attempt", "started_at", "ended_at", "queued_s", "seconds",
        "retries",
        "reused_at",
    ]  # fmt: skip
    assert list(frame["state"]) == ["SUCCESS", "FAILURE"]
    assert frame["result"][0] == 2
    assert frame["error"][1] == "ValueError: odd 3"
    assert list(frame["args"]) == ["2", "3"]


def test_repr_counts_states(double):
    group = double.map(range(3))
    get(group)
    assert "3 calls, 3 SUCCESS" in repr(group)


def test_then_waits_for_all(shared_app):
    done, failed = threading.Event(), threading.Event()
    shared_app.task(odd_fails).map([2, 4]).then(lambda group: group.successful() and done.set())
    shared_app.task(odd_fails).map([1, 2]).then(
        lambda _: None, on_error=lambda group: group.failed() and failed.set()
    )
    assert done.wait(SOON)
    assert failed.wait(SOON)


def test_then_of_one_call_of_a_group_does_not_wait_for_the_others(shared_app, gate, tmp_path):
    done = tmp_path / "done"
    done.touch()
    called = threading.Event()
    group = shared_app.task(wait_for).map([str(done), gate.path], chunk=1)
    group[0].then(lambda _: called.set())
    assert called.wait(SOON)


def test_forgetting_one_call_of_a_group_leaves_the_others(shared_app, gate, tmp_path):
    done = tmp_path / "done"
    done.touch()
    group = shared_app.task(wait_for).map([str(done), gate.path], chunk=1)
    assert get(group[0]) == "done"
    group[0].forget()
    gate.open()
    assert get(group) == ["done", "gate"]


def test_two_apps_can_wait_for_the_same_call(shared_app, gate):
    handle = shared_app.task(wait_for).delay(gate.path)
    with App(namespace=shared_app.connection.namespace) as other:
        same = other.AsyncResult(handle.id)
        gate.open()
        assert get(same) == "gate"
        assert get(handle) == "gate"


def test_a_label_names_the_batch(double):
    assert double.map([1], label="files").batch.label == "files"


# --- failures


def test_the_first_failed_call_is_raised_with_a_note_that_counts_the_others(shared_app):
    group = shared_app.task(odd_fails).map(range(10))
    with pytest.raises(ValueError, match="odd 1") as caught:
        get(group)
    if hasattr(caught.value, "__notes__"):
        notes = "\n".join(caught.value.__notes__)
        assert "nbtasks: x=1 (index 1)" in notes
        assert "5 of 10 calls did not succeed (5 failed, 0 revoked)" in notes
        assert "get(propagate=False)" in notes
    assert (group.state, group.completed_count(), group.failed_count()) == ("FAILURE", 5, 5)
    assert group.failed()
    assert not group.successful()


def test_one_failure_is_not_counted(shared_app):
    with pytest.raises(ValueError, match="odd 1") as caught:
        get(shared_app.task(odd_fails).map([0, 1]))
    assert "did not succeed" not in "\n".join(getattr(caught.value, "__notes__", []))


def test_propagate_false_puts_exceptions_in_their_places(shared_app):
    values = get(shared_app.task(odd_fails).map(range(4)), propagate=False)
    assert [str(value) for value in values] == ["0", "odd 1", "2", "odd 3"]


def test_on_error_keep_does_the_same_for_every_get(shared_app):
    values = get(shared_app.task(odd_fails).map(range(4), on_error="keep"))
    assert [type(value) for value in values] == [int, ValueError, int, ValueError]


def test_on_error_stop_revokes_the_rest(shared_app, tmp_path, gate, eventually):
    def step(x, path):
        if x == 0:
            raise ValueError("first")
        return wait_for(path)

    group = shared_app.task(step).starmap([(x, gate.path) for x in range(50)], on_error="stop", chunk=1)
    assert group.until_ready(SOON)
    with pytest.raises(ValueError, match="first"):
        get(group)
    states = [handle.state for handle in group]
    assert states[0] == "FAILURE"
    assert set(states[1:]) == {"REVOKED"}
    assert isinstance(get(group, propagate=False)[10], TaskRevokedError)


def test_what_failed_can_be_submitted_again(shared_app, tmp_path):
    marker = tmp_path / "fixed"

    def once(x):
        if x % 2 and not marker.exists():
            raise OSError(f"no {x}")
        return x

    group = shared_app.task(once).map(range(6))
    group.until_ready(SOON)
    marker.touch()
    assert get(group.retry_failed()) == list(range(6))


def test_nothing_failed_so_nothing_is_submitted_again(double):
    group = double.map([1])
    get(group)
    with pytest.raises(ConfigError, match=r"no call of .* has failed"):
        group.retry_failed()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chunk": 0}, "chunk: 0 is not a whole number of 1 or more"),
        ({"chunk": 2.5}, "chunk: 2.5"),
        ({"max_parallel": 0}, "max_parallel: 0"),
        ({"max_parallel": True}, "max_parallel: True"),
        ({"on_error": "ignore"}, "on_error: 'ignore' is not one of raise, keep, stop"),
        ({"tmeout": 3}, "unknown task option 'tmeout'"),
    ],
)
def test_wrong_options(double, options, message):
    with pytest.raises(ConfigError, match=message):
        double.map([1], **options)


def test_what_failed_is_submitted_again_with_all_its_arguments(shared_app, tmp_path):
    marker = tmp_path / "fixed"

    def once(x, by=1):
        if not marker.exists():
            raise OSError("no")
        return x * by

    handle = shared_app.task(once).delay(2, by=10)
    handle.until_ready(SOON)
    marker.touch()
    assert get(handle.retry()) == 20


def test_what_failed_is_submitted_again_with_the_same_options(shared_app):
    def bad(x):
        raise ValueError(nbtasks.current_call().time_limit)

    group = shared_app.task(bad).map([1, 2], time_limit=7, on_error="keep")
    group.until_ready(SOON)
    assert [str(value) for value in get(group.retry_failed())] == ["7.0", "7.0"]


# --- how the calls travel


@pytest.mark.parametrize("chunk", [1, 7, 100, 5000])
def test_any_chunk_size_gives_the_same(double, chunk):
    assert get(double.map(range(300), chunk=chunk)) == [2 * x for x in range(300)]


def test_every_call_runs_once(shared_app, ledger):
    count = shared_app.task(note)
    assert get(count.starmap([(ledger.path, x) for x in range(500)])) == list(range(500))
    assert sorted(map(int, ledger.lines())) == list(range(500))


def test_a_generator_that_raises_half_way_sends_nothing(shared_app, ledger):
    def items():
        yield ledger.path, 1
        yield ledger.path, 2
        raise OSError("the list ended early")

    before = shared_app.session.store.newest(1000)
    with pytest.raises(OSError, match="the list ended early"):
        shared_app.task(note).starmap(items())
    assert shared_app.session.store.newest(1000) == before
    assert get(shared_app.task(note).delay(ledger.path, 3)) == 3
    assert ledger.lines() == ["3"]


# --- max_parallel: a window


def test_with_a_window_items_are_read_as_they_are_needed(shared_app, gate, eventually):
    read = []

    def items():
        for number in range(20):
            read.append(number)
            yield gate.path

    group = shared_app.task(wait_for).map(items(), max_parallel=3)
    eventually(lambda: len(read) >= 4, "the window is filled")
    # Three are on their way, and the next one is in the reader's hands.
    assert len(read) == 4
    gate.open()
    assert get(group) == ["gate"] * 20
    assert len(group) == 20


def test_never_more_than_the_window_run_at_once(shared_app, tmp_path):
    def alone(folder):
        mine = Path(folder) / "running"
        mine.touch(exist_ok=False)
        mine.unlink()
        return True

    assert get(shared_app.task(alone).map([str(tmp_path)] * 40, max_parallel=1)) == [True] * 40


def test_with_a_window_of_a_list_its_length_is_known_at_once(shared_app, gate):
    group = shared_app.task(wait_for).map([gate.path] * 5, max_parallel=1)
    assert len(group) == 5
    gate.open()
    assert get(group) == ["gate"] * 5


def test_with_a_window_and_on_error_stop_no_more_is_read(shared_app):
    read = []

    def items():
        for number in range(1000):
            read.append(number)
            yield 1

    group = shared_app.task(odd_fails).map(items(), max_parallel=1, on_error="stop")
    assert group.until_ready(SOON)
    assert group.failed_count() == 1
    assert len(read) <= 3


def test_with_a_window_a_raise_revokes_the_rest(shared_app, gate, eventually):
    def items():
        yield gate.path
        yield gate.path
        raise OSError("the list ended early")

    group = shared_app.task(wait_for).map(items(), max_parallel=5)
    assert group.until_ready(SOON)
    with pytest.raises(OSError, match="the list ended early"):
        get(group)
    eventually(lambda: [handle.state for handle in group] == ["REVOKED", "REVOKED"], "both calls are revoked")


def test_a_wrong_item_in_a_window_is_raised(shared_app):
    group = shared_app.task(pow).starmap(iter([(2, 3), (1, 2, 3, 4)]), max_parallel=1)
    with pytest.raises(TypeError, match="pow"):
        get(group)


def test_large_items_travel_through_a_window(shared_app):
    group = shared_app.task(len).map((b"x" * 200_000 for _ in range(4)), max_parallel=2)
    assert get(group) == [200_000] * 4


# --- revoking


def test_revoking_a_group_ends_what_has_not_ended(shared_app, gate, eventually):
    group = shared_app.task(wait_for).map([gate.path] * 30, chunk=1)
    eventually(lambda: group.state == "STARTED")
    group.revoke(terminate=True)
    assert group.until_ready(SOON)
    assert group.state == "REVOKED"
    assert group.batch.counts()["REVOKED"] == 30
    with pytest.raises(TaskRevokedError):
        get(group)


def test_revoking_one_call_leaves_the_others(shared_app, gate):
    group = shared_app.task(wait_for).map([gate.path] * 10)
    group[7].revoke(terminate=True)
    gate.open()
    values = get(group, propagate=False)
    assert isinstance(values[7], TaskRevokedError)
    assert values[:7] + values[8:] == ["gate"] * 9
