"""The handle of one call: its states, its value, its exception, and what can be done with it."""

from __future__ import annotations

import asyncio
import builtins
import threading
import time
import traceback
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import nbtasks
from nbtasks import App, AsyncResult, GroupResult, NotPicklable, TaskError, TaskRevokedError, UnknownCall

SOON = 60.0


def get(handle, **how):
    """Wait for a result."""
    return handle.get(timeout=SOON, **how)


def cell(source, **names):
    """Run source as a notebook runs a cell: its lines are known to tracebacks, no file has them."""
    import linecache

    name = f"<cell-{abs(hash(source))}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    space = {"__name__": "__main__", **names}
    exec(compile(source, name, "exec"), space)
    return space


def wait_at(path):
    """Task code: wait until a gate is open."""
    end = time.monotonic() + 60
    while not Path(path).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return "went on"


def boom(x):
    """Task code: fail."""
    raise ValueError(f"bad {x}")


# --- states and values


def test_a_result_from_submission_to_its_end(shared_app, gate, eventually):
    handle = shared_app.task(wait_at).delay(gate.path)
    assert handle.state in {"PENDING", "STARTED"}
    assert (handle.ready(), handle.successful(), handle.failed()) == (False, False, False)
    assert (handle.result, handle.traceback) == (None, None)
    eventually(lambda: handle.state == "STARTED", "the call is shown as started")
    assert handle.worker == shared_app.workers()[0].name
    gate.open()
    assert get(handle) == "went on"
    assert (handle.state, handle.status) == ("SUCCESS", "SUCCESS")
    assert (handle.ready(), handle.successful(), handle.failed()) == (True, True, False)
    assert handle.result == handle.info == "went on"
    assert handle.runtime > 0
    assert handle.retries == 0
    assert handle.why_pending() is None


def test_none_is_a_result_like_any_other(shared_app):
    handle = shared_app.task(lambda: None).delay()
    assert get(handle) is None
    assert handle.successful()


def test_an_exception_is_a_result_when_it_is_returned(shared_app):
    value = get(shared_app.task(lambda: ValueError("kept")).delay())
    assert isinstance(value, ValueError)


def test_ids_names_and_arguments(shared_app):
    handle = shared_app.task(name="join")(lambda *words, end="": end.join(words)).delay("a", "b", end=".")
    assert handle.id == handle.task_id
    assert (handle.name, handle.queue, handle.index) == ("join", "default", 0)
    assert (handle.args, handle.kwargs) == (("a", "b"), {"end": "."})
    assert handle.args_repr == "'a', 'b', end='.'"
    assert "join" in repr(handle)
    get(handle)
    assert "SUCCESS" in repr(handle)


def test_handles_of_one_call_are_equal(shared_app):
    handle = shared_app.task(len).delay("a")
    again = shared_app.AsyncResult(handle.id)
    assert handle == again
    assert len({handle, again}) == 1
    assert handle != shared_app.task(len).delay("a")


def test_an_ignored_result_is_none(shared_app):
    handle = shared_app.task(ignore_result=True)(lambda: 5).delay()
    assert get(handle) is None
    assert handle.successful()


def test_a_value_can_be_had_again_and_again(shared_app):
    handle = shared_app.task(lambda: [1]).delay()
    assert get(handle) == get(handle) == [1]
    assert get(handle) is not get(handle)


# --- exceptions


def test_get_raises_the_original_exception_with_the_workers_traceback(shared_app):
    space = cell(
        "def inner(x):\n    y = x * 2\n    raise LookupError(f'no {y}')  # the culprit\n"
        "def outer(x):\n    return inner(x)"
    )
    handle = shared_app.task(space["outer"]).delay(4)
    with pytest.raises(LookupError, match="no 8") as caught:
        get(handle)
    assert type(caught.value) is LookupError
    shown = "".join(traceback.format_exception(caught.value))
    for text in ("in inner", "in outer", "# the culprit"):
        assert text in shown
        assert text in handle.traceback
    assert "nbtasks/worker" not in handle.traceback
    assert (handle.state, handle.failed()) == ("FAILURE", True)


def test_a_note_says_which_call_on_which_worker(shared_app):
    handle = shared_app.task(boom).delay(1)
    error = get(handle, propagate=False)
    if hasattr(error, "__notes__"):
        assert handle.id in error.__notes__[0]
        assert handle.worker in error.__notes__[0]


def test_propagate_false_returns_the_exception(shared_app):
    handle = shared_app.task(boom).delay(1)
    assert isinstance(get(handle, propagate=False), ValueError)
    assert isinstance(handle.result, ValueError)


def test_an_exception_class_of_the_notebook_is_caught_by_it(shared_app):
    space = cell("class Mine(Exception): pass\ndef f(): raise Mine('own')")
    with pytest.raises(space["Mine"], match="own"):
        get(shared_app.task(space["f"]).delay())


def test_an_exception_whose_init_takes_other_arguments_keeps_its_class(shared_app):
    space = cell(
        "class Odd(Exception):\n"
        "    def __init__(self, a, *, b): super().__init__(f'{a}{b}'); self.b = b\n"
        "def f(): raise Odd(1, b=2)"
    )
    handle = shared_app.task(space["f"]).delay()
    with pytest.raises(space["Odd"], match="12") as caught:
        get(handle)
    assert caught.value.b == 2
    assert "raise Odd(1, b=2)" in handle.traceback


def test_an_exception_that_cannot_be_rebuilt_comes_as_a_task_error(shared_app):
    space = cell(
        "class Odd(Exception):\n    def __new__(cls, n, key): return super().__new__(cls, n)\n"
        "    def __init__(self, n, key): super().__init__(n)\ndef f(): raise Odd(12, 'k')"
    )
    handle = shared_app.task(space["f"]).delay()
    with pytest.raises(TaskError, match="Odd: 12") as caught:
        get(handle)
    assert caught.value.type_name == "Odd"
    assert caught.value.call_id == handle.id
    assert "raise Odd(12, 'k')" in caught.value.traceback_text


def test_an_exception_that_carries_a_lock_comes_without_it(shared_app):
    def carry():
        raise ValueError("held", threading.Lock())

    with pytest.raises(ValueError, match="held") as caught:
        get(shared_app.task(carry).delay())
    assert "lock" in caught.value.args[1]


def test_the_cause_of_an_exception_is_in_the_traceback(shared_app):
    def wrap():
        try:
            {}["k"]
        except KeyError as error:
            raise RuntimeError("wrapped") from error

    handle = shared_app.task(wrap).delay()
    get(handle, propagate=False)
    assert "KeyError: 'k'" in handle.traceback


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt"])
def test_what_would_end_a_process_fails_the_call_only(shared_app, name):
    def leave():
        raise getattr(builtins, name)("bye")

    handle = shared_app.task(leave).delay()
    assert handle.until_ready(SOON)
    assert handle.state == "FAILURE"
    # Raised here it would end the notebook's cell, or its kernel.
    assert isinstance(handle.result, TaskError)
    assert handle.result.type_name == name
    assert get(shared_app.task(len).delay("ab")) == 2


# --- waiting


def test_a_timeout_says_what_goes_on_and_what_to_do(shared_app, gate, eventually):
    handle = shared_app.task(name="nap")(wait_at).delay(gate.path)
    eventually(lambda: handle.state == "STARTED")
    with pytest.raises(
        nbtasks.TimeoutError, match=r"call .* \(nap\) has not ended after 0.01 s and goes on"
    ) as caught:
        handle.get(timeout=0.01)
    assert isinstance(caught.value, builtins.TimeoutError)
    assert "it is STARTED" in str(caught.value)
    assert "revoke(terminate=True)" in str(caught.value)
    gate.open()
    assert get(handle) == "went on"


def test_until_ready_says_whether_it_is_over_and_raises_nothing(shared_app, gate):
    slow = shared_app.task(wait_at).delay(gate.path)
    assert slow.until_ready(0.01) is False
    gate.open()
    assert slow.until_ready(SOON) is True
    failed = shared_app.task(boom).delay(1)
    assert failed.until_ready(SOON) is True


def test_several_threads_may_wait_for_one_call(shared_app, gate):
    handle = shared_app.task(wait_at).delay(gate.path)
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(get(handle))) for _ in range(5)]
    for thread in threads:
        thread.start()
    gate.open()
    for thread in threads:
        thread.join(SOON)
    assert seen == ["went on"] * 5


def test_submitting_from_several_threads(shared_app):
    double = shared_app.task(lambda x: 2 * x)
    found = {}

    def submit(base):
        found[base] = [double.delay(base + number) for number in range(50)]

    threads = [threading.Thread(target=submit, args=(base,)) for base in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    for base, handles in found.items():
        assert [get(handle) for handle in handles] == [2 * (base + number) for number in range(50)]


def test_await_in_an_event_loop(shared_app):
    double = shared_app.task(lambda x: 2 * x)

    async def main():
        one, group = await asyncio.gather(_value(double.delay(1)), _value(double.map([1, 2])))
        with pytest.raises(ValueError, match="bad"):
            await shared_app.task(boom).delay(0)
        return one, group

    async def _value(handle):
        return await handle

    assert asyncio.run(main()) == (2, [2, 4])


# --- callbacks


def test_then_is_called_with_the_handle(shared_app):
    done, failed = threading.Event(), threading.Event()
    seen = []
    shared_app.task(len).delay("abc").then(lambda r: (seen.append(r.result), done.set()))
    shared_app.task(boom).delay(1).then(
        lambda r: seen.append("wrong"), on_error=lambda r: (seen.append(type(r.result)), failed.set())
    )
    assert done.wait(SOON)
    assert failed.wait(SOON)
    assert sorted(map(str, seen)) == ["3", "<class 'ValueError'>"]


def test_then_on_what_is_over_is_called_too(shared_app):
    handle = shared_app.task(len).delay("abc")
    get(handle)
    done = threading.Event()
    assert handle.then(lambda _: done.set()) is handle
    assert done.wait(SOON)


def test_a_callback_that_raises_breaks_nothing(shared_app, caplog, eventually):
    done = threading.Event()

    def bad(_):
        raise RuntimeError("in a callback")

    shared_app.task(len).delay("a").then(bad)
    shared_app.task(len).delay("a").then(lambda _: done.set())
    assert done.wait(SOON)
    eventually(lambda: "in a callback" in caplog.text, "the log tells of it")


def test_a_callback_may_submit_and_wait(shared_app):
    done = threading.Event()
    seen = []

    def more(handle):
        seen.append(get(shared_app.task(len).delay("x" * handle.result)))
        done.set()

    shared_app.task(len).delay("abc").then(more)
    assert done.wait(SOON)
    assert seen == [3]


# --- by id


def test_a_result_by_its_id(shared_app):
    handle = shared_app.task(len).delay("abc")
    assert get(shared_app.AsyncResult(handle.id)) == 3
    group = shared_app.task(len).map(["", "a", "ab"])
    assert get(shared_app.AsyncResult(group[2].id)) == 2


def test_another_app_finds_the_result_by_its_id(shared_app):
    handle = shared_app.task(len).delay("abc")
    get(handle)
    failed = shared_app.task(boom).delay(7)
    failed.until_ready(SOON)
    with App(namespace=shared_app.connection.namespace) as other:
        assert get(other.AsyncResult(handle.id)) == 3
        with pytest.raises(ValueError, match="bad 7"):
            get(other.AsyncResult(failed.id))


def test_another_app_can_wait_for_a_call_that_runs(shared_app, gate):
    handle = shared_app.task(wait_at).delay(gate.path)
    with App(namespace=shared_app.connection.namespace) as other:
        same = other.AsyncResult(handle.id)
        assert not same.ready()
        gate.open()
        assert get(same) == "went on"


def test_what_was_just_submitted_is_found(shared_app):
    for _ in range(20):
        handle = shared_app.task(len).delay("a")
        assert handle in shared_app.attach(last=50)


@pytest.mark.parametrize("id", ["0123456789abcdef0123", "0123456789abcdef0123:4"])
def test_an_unknown_id_is_told(shared_app, id):
    with pytest.raises(
        UnknownCall, match="nobody has recorded a call '0123456789abcdef0123', or its results have expired"
    ):
        shared_app.AsyncResult(id)


def test_what_is_no_id_is_told(shared_app):
    with pytest.raises(UnknownCall, match="Ids look like"):
        shared_app.AsyncResult("job-1")
    for no_id in (None, 5, b"0123456789abcdef0123", shared_app.task(abs).delay(1)):
        for look in (shared_app.AsyncResult, shared_app.GroupResult):
            with pytest.raises(
                TypeError, match=r"an id of a call is a text like .* result.id is that of a handle"
            ):
                look(no_id)


def test_an_index_beyond_the_group_is_told(shared_app):
    group = shared_app.task(len).map(["a", "b"])
    with pytest.raises(UnknownCall, match="has 2 calls; there is no"):
        shared_app.AsyncResult(f"{group.id}:2")


def test_a_forgotten_call_is_unknown_and_its_handle_keeps_the_value(shared_app, eventually):
    handle = shared_app.task(len).delay("abc")
    get(handle)
    handle.forget()
    assert get(handle) == 3
    with App(namespace=shared_app.connection.namespace) as other:
        eventually(lambda: is_unknown(other, handle.id), "the broker has dropped it")


def is_unknown(app, call):
    """Whether an App finds no call of this id."""
    try:
        app.AsyncResult(call)
    except UnknownCall:
        return True
    return False


def test_revoking_what_is_over_changes_nothing(shared_app):
    handle = shared_app.task(len).delay("abc")
    get(handle)
    handle.revoke(terminate=True)
    assert (handle.state, get(handle)) == ("SUCCESS", 3)


def test_a_revoked_call_raises_that(shared_app, gate):
    handle = shared_app.task(wait_at).delay(gate.path)
    handle.revoke(terminate=True)
    with pytest.raises(TaskRevokedError) as caught:
        get(handle)
    assert caught.value.call_id == handle.id
    assert (handle.state, handle.failed(), handle.successful()) == ("REVOKED", False, False)


def test_a_captured_handle_says_what_to_do_instead(shared_app):
    handle = shared_app.task(len).delay("abc")
    group = shared_app.task(abs).map([1, 2])
    with pytest.raises(NotPicklable) as caught:
        shared_app.task(lambda: handle).delay()
    assert str(caught.value).endswith(
        "handle (AsyncResult) stays in this process: as an argument of a call its value is passed; else take that "
        "(result.get()) or its id"
    )
    with pytest.raises(
        NotPicklable, match=r"\(GroupResult\) stays in this process: .* its values are passed"
    ):
        shared_app.task(lambda: group).delay()


def test_when_a_call_was_done(shared_app, gate):
    before = datetime.now(timezone.utc)
    waiting = shared_app.task(wait_at).delay(gate.path)
    assert waiting.date_done is None
    group = shared_app.task(abs).map([1, 2])
    get(group)
    assert before < group[0].date_done <= datetime.now(timezone.utc)
    gate.open()
    get(waiting)
    # As exact as times travel.
    assert group[1].date_done < waiting.date_done + timedelta(milliseconds=10)
    assert shared_app.task(len).apply(("abc",)).date_done > before


def test_wait_is_get(shared_app):
    assert shared_app.task(len).delay("ab").wait(SOON) == 2
    assert shared_app.task(len).delay("ab").wait(timeout=SOON, propagate=False) == 2
    assert shared_app.task(len).map(["a", "ab"]).wait(SOON) == [1, 2]
    assert shared_app.task(len).apply(("ab",)).wait() == 2
    with pytest.raises(ValueError, match="1"):
        shared_app.task(boom).delay(1).wait(SOON)


def test_the_text_of_a_handle_is_its_id(shared_app):
    call, group = shared_app.task(len).delay("ab"), shared_app.task(len).map(["a"])
    here = shared_app.task(len).apply(("ab",))
    for handle in (call, group, group[0], here):
        assert (str(handle), f"{handle}", f"{handle!s:>1}") == (handle.id,) * 3
        assert handle.name in repr(handle)


def test_handles_are_looked_up_by_their_ids(shared_app):
    call, group = shared_app.task(len).delay("ab"), shared_app.task(len).map(["a", "ab"])
    assert AsyncResult(call.id).get(timeout=SOON) == 2
    assert AsyncResult(str(group[1])).get(timeout=SOON) == 2
    for found in (GroupResult(group.id), GroupResult.restore(str(group)), shared_app.GroupResult(group.id)):
        assert found.get(timeout=SOON) == [1, 2]
    with App("newest", namespace="t-newest-results") as newest:
        with pytest.raises(UnknownCall, match="nobody has recorded"):
            AsyncResult(call.id)
        assert AsyncResult(call.id, app=shared_app) == call
        assert GroupResult(group.id, app=shared_app).get(timeout=SOON) == [1, 2]
        assert newest.batches() == []


def test_an_id_of_the_other_kind_is_told(shared_app):
    call, group = shared_app.task(len).apply_async(("ab",)), shared_app.task(len).map(["a", "ab"])
    with pytest.raises(UnknownCall, match=rf"is the id of a map of 2 calls: GroupResult\('{group.id}'\)"):
        AsyncResult(group.id)
    with pytest.raises(UnknownCall, match=r":1' is no map: AsyncResult\('.*:1'\)"):
        shared_app.GroupResult(f"{group.id}:1")
    with pytest.raises(UnknownCall, match=r"is no map: AsyncResult\("):
        GroupResult(call.id.partition(":")[0])


@pytest.mark.parametrize("arguments", [{"args": None, "kwargs": None}, {"args": None}, {"kwargs": None}, {}])
def test_no_arguments_may_be_none(shared_app, arguments):
    task = shared_app.task(lambda: 7)
    assert task.apply_async(**arguments).get(timeout=SOON) == 7
    assert task.apply(**arguments).get() == 7
