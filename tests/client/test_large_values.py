"""Large arguments and results: through files on one machine, through the broker else, common ones once."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import redis

from nbtasks import App, SignatureMismatch, ValueLost, current_call
from nbtasks.client.engines.brokered.receiving import garbage
from nbtasks.local.connection import Connection

# Python leaves a socket open whose peer has gone between connection and handshake, as a listener's has that was closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

SOON = 60.0
MEGABYTE = 2**20


def scale(array):
    """Task code: change an argument in place, and return it."""
    array *= 2
    return array


def take(array, number):
    """Task code: look at an argument and then spoil it."""
    found = float(array[number])
    array[:] = -1
    return found, os.getpid()


def values(n=MEGABYTE):
    return np.arange(n, dtype="f8")


def hash_of(data):
    """Task code: look at all of an argument."""
    return hashlib.sha256(data).hexdigest()


def files_of(app):
    """Names of the files of large values that there are."""
    return set(app.session.files.older_than(-60))


def blobs_of(app):
    """Keys of the large values that the broker knows, with their lengths."""
    with server_of(app) as client:
        return {name: client.strlen(name) for name in names_of_blobs(client)}


def names_of_blobs(client):
    """Keys of the large values."""
    keys = [key.decode() for key in client.keys("*") if b"o:" in key.split(b"}")[-1][:3]]
    return [key for key in keys if not key.count("ob:")]


def server_of(app):
    """A connection to the server, apart from the App's own."""
    return redis.Redis.from_url(app.session.connection.url)


def remove_blobs(app):
    """The broker loses all large values."""
    with server_of(app) as client:
        for name in names_of_blobs(client):
            client.delete(name)


def test_arrays_go_through_files_on_one_machine(app):
    array = values()
    handle = app.task(scale).delay(array)
    result = handle.get(timeout=SOON)
    assert np.array_equal(result, array * 2)
    assert array[1] == 1
    result[0] = 5
    assert len(files_of(app)) == 2
    assert set(blobs_of(app).values()) == {4}
    results = app.task(scale).map([array[:200_000], array[:5], array], quiet=True).get(timeout=SOON)
    assert [len(one) for one in results] == [200_000, 5, MEGABYTE]
    assert results[2][-1] == 2 * (MEGABYTE - 1)


def test_the_same_argument_of_all_calls_is_sent_once_and_new_for_each(shared_app):
    array = values(200_000)
    before = files_of(shared_app)
    calls = [(array, number) for number in range(50)]
    found = shared_app.task(take).starmap(calls, chunk=5, quiet=True).get(timeout=SOON)
    assert [value for value, _ in found] == [float(number) for number in range(50)]
    assert array[1] == 1
    assert len(files_of(shared_app) - before) == 1


def test_the_same_argument_between_others(shared_app):
    text, before = "x" * 2 * MEGABYTE, files_of(shared_app)
    task = shared_app.task(lambda a, big, b, more=1: (a, len(big), b, more))
    found = task.starmap([(n, text, n + 1) for n in range(9)], quiet=True).get(timeout=SOON)
    assert found == [(n, 2 * MEGABYTE, n + 1, 1) for n in range(9)]
    assert len(files_of(shared_app) - before) == 1


def test_an_argument_that_only_some_calls_share(shared_app):
    one, two = values(200_000), values(200_000) + 1
    arrays = [one] * 4 + [two] + [one] * 4
    found = shared_app.task(take).starmap([(array, 3) for array in arrays], quiet=True).get(timeout=SOON)
    assert [value for value, _ in found] == [3.0] * 4 + [4.0] + [3.0] * 4


def test_an_argument_that_changes_between_calls_that_are_read_one_by_one(shared_app):
    def items():
        array = values(200_000)
        for number in range(6):
            array[:] = number
            yield array, 0

    found = shared_app.task(take).starmap(items(), max_parallel=2, quiet=True).get(timeout=SOON)
    assert [value for value, _ in found] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("n", [25_000, 200_000], ids=["through the broker", "in a file"])
def test_an_argument_that_changes_right_after_each_submit(n, shared_app):
    """Each call has it as it was, however late it is sent."""
    array, handles, task = values(n), [], shared_app.task(take)
    for number in range(30):
        array[:] = number
        handles.append(task.delay(array, 0))
    shared = task.starmap([(array, place) for place in range(30)], quiet=True)
    array[:] = -1
    assert [handle.get(timeout=SOON)[0] for handle in handles] == [float(number) for number in range(30)]
    assert {found for found, _ in shared.get(timeout=SOON)} == {29.0}


def test_a_call_whose_child_dies_finds_its_arguments_again(app, tmp_path):
    def die_once(array, path):
        if not Path(path).exists():
            Path(path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(array.sum()), current_call().attempt

    array = values(300_000)
    assert app.task(die_once).delay(array, str(tmp_path / "died")).get(timeout=SOON)[0] == array.sum()


def test_failed_calls_are_sent_again_with_their_arguments(shared_app, gate):
    def need_the_gate(array, path):
        if not Path(path).exists():
            raise OSError("closed")
        return float(array.sum())

    array = values(200_000)
    group = shared_app.task(need_the_gate).starmap([(array, gate.path)] * 3, quiet=True, on_error="keep")
    assert all(isinstance(error, OSError) for error in group.get(timeout=SOON))
    gate.open()
    assert group.retry_failed().get(timeout=SOON) == [array.sum()] * 3


def medium(n):
    """Values that go through the broker, not through files."""
    return [bytes([number]) * 200_000 for number in range(n)]


def test_workers_begin_while_other_values_are_on_their_way(idle_app):
    client = server_of(idle_app)
    with client.monitor() as monitor:
        idle_app.task(len).map(medium(6), quiet=True)
        idle_app.session.flush()
        client.echo("done")
        said = [(line["command"].split(" ", 2), line["client_type"]) for line in until_done(monitor)]
    client.close()
    stored = [at for at, (words, _) in enumerate(said) if words[0] == "SET" and ":o:" in words[1]]
    queued = [at for at, (words, by) in enumerate(said) if words[0] == "XADD" and by == "lua"]
    assert len(stored) == 6
    assert stored[0] < queued[0] < stored[-1] < queued[-1]


def until_done(monitor):
    for line in monitor.listen():
        if line["command"] == "ECHO done":
            return
        yield line


@pytest.mark.parametrize("most", [None, pytest.param(3, marks=pytest.mark.long)])
def test_a_server_that_was_emptied_gets_them_again(idle_app, most):
    items = medium(5)
    group = idle_app.task(hash_of).map(items, max_parallel=most, quiet=True)
    idle_app.session.flush()
    with server_of(idle_app) as client:
        client.flushall()
    idle_app.start_workers(1)
    assert group.get(timeout=2 * SOON) == [hash_of(item) for item in items]


# --- other machines


@pytest.fixture
def elsewhere(idle_app, tmp_path):
    """An App that reaches the server through the network only, as on another machine."""
    idle_app.invite(listen="127.0.0.1:0", host="127.0.0.1", file=tmp_path / "connection.json")
    with App(connection_file=tmp_path / "connection.json") as other:
        yield other


def test_a_worker_elsewhere_gets_large_values_through_the_broker(idle_app, elsewhere):
    elsewhere.start_workers(1)
    array = values()
    assert np.array_equal(idle_app.task(scale).delay(array).get(timeout=SOON), array * 2)
    assert files_of(idle_app) == set()


def test_a_worker_elsewhere_that_comes_later_gets_them_too(idle_app, elsewhere):
    """When the call was sent, nobody could know who would take it."""
    array = values()
    single = idle_app.task(scale).delay(array)
    group = idle_app.task(take).starmap([(array, number) for number in range(6)], chunk=2, quiet=True)
    idle_app.session.flush()
    assert len(files_of(idle_app)) == 2
    elsewhere.start_workers(1)
    assert np.array_equal(single.get(timeout=SOON), array * 2)
    assert [value for value, _ in group.get(timeout=SOON)] == [float(number) for number in range(6)]


def test_a_client_elsewhere_asks_workers_here(idle_app, elsewhere):
    idle_app.start_workers(1)
    array = values()
    assert np.array_equal(elsewhere.task(scale).delay(array).get(timeout=SOON), array * 2)
    assert files_of(idle_app) == set()


def test_a_result_in_a_file_is_not_to_be_had_elsewhere_and_says_so(idle_app, elsewhere):
    idle_app.start_workers(1)
    handle = idle_app.task(values).delay()
    assert len(handle.get(timeout=SOON)) == MEGABYTE
    with pytest.raises(SignatureMismatch, match="machine where the embedded server is"):
        elsewhere.AsyncResult(handle.id).get(timeout=SOON)


# --- lifetimes


@pytest.fixture
def clear(app, monkeypatch, eventually):
    """``clear()`` does what is done after a while."""
    for name in ("SPENT_AFTER_S", "SPENT_FILE_AFTER_S", "LOOK_EVERY_S", "AHEAD_S"):
        monkeypatch.setattr(garbage, name, 0.0)
    monkeypatch.setattr(garbage, "AHEAD_S", -60.0)
    return app.session.intake.clear_leftovers


def test_arguments_go_when_all_calls_have_ended(app, clear, eventually):
    array = values()
    group = app.task(take).starmap([(array, 1), (array, 2)], quiet=True)
    group.get(timeout=SOON)
    handle = app.task(values).delay()
    handle.get(timeout=SOON)
    eventually(lambda: not clear() and len(files_of(app)) == 1, "only the result is left")
    again = app.attach(handle.id)[0]
    assert len(again.get(timeout=SOON)) == MEGABYTE


def test_arguments_in_the_broker_go_as_well(app, clear, eventually):
    handle = app.task(len).delay(b"x" * 100_000)
    app.session.flush()
    assert set(blobs_of(app).values()) != set()
    assert handle.get(timeout=SOON) == 100_000
    eventually(lambda: not clear() and blobs_of(app) == {}, "the broker has room again")


def test_a_forgotten_result_is_gone_at_once(shared_app, eventually):
    before = files_of(shared_app)
    handle = shared_app.task(values).delay()
    assert len(handle.get(timeout=SOON)) == MEGABYTE
    assert files_of(shared_app) - before
    handle.forget()
    eventually(lambda: not files_of(shared_app) - before, "its file is removed")


def test_files_that_no_key_stands_for_are_cleared_away(app, clear, eventually):
    handle = app.task(values).delay()
    handle.get(timeout=SOON)
    kept = files_of(app)
    app.session.files.write("leftover", [b"x"])
    assert files_of(app) == kept | {"leftover"}
    eventually(
        lambda: not clear() and files_of(app) == kept, "what nobody knows is removed, and nothing else"
    )


def test_results_outlive_the_server_and_the_kernel(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with App() as first:
        first.start_workers(1)
        handle = first.task(values).delay()
        handle.get(timeout=SOON)
        connection = first.connection
    with App() as second:
        assert isinstance(connection, Connection)
        assert second.AsyncResult(handle.id).get(timeout=SOON)[-1] == MEGABYTE - 1


def test_the_files_of_a_killed_server_are_used_by_the_next(app, gate, eventually):
    def slow(array, path):
        end = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.01)
        return float(array.sum())

    array = values(300_000)
    handle = app.task(slow).delay(array, gate.path)
    eventually(lambda: handle.state == "STARTED", "it runs")
    with server_of(app) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    gate.open()
    assert handle.get(timeout=SOON) == array.sum()


# --- what vanishes


def empty(folder):
    for path in folder.glob("*~*"):
        path.unlink()


def memory_of(app):
    return app.session.files._folders[0]


def disk_of(app):
    return app.session.files._folders[-1]


def test_results_do_not_lie_in_memory(app):
    group = app.task(scale).map([values(100_000), values(200_000)])
    group.get(timeout=SOON)
    shutil.rmtree(memory_of(app))
    with App(connection=app.connection) as other:
        assert [len(each) for each in other.attach(group.id)[0].get(timeout=SOON)] == [100_000, 200_000]
    # Nor does anything else need it.
    assert app.task(scale).delay(values()).get(timeout=SOON)[1] == 2.0


def test_a_result_whose_file_is_gone_is_no_success(shared_app):
    handle = shared_app.task(values).delay()
    handle.until_ready(timeout=SOON)
    assert handle.state == "SUCCESS"
    empty(disk_of(shared_app))
    with pytest.raises(ValueLost, match=rf"{handle.id} .*has succeeded, and its value is gone"):
        handle.get(timeout=SOON)
    assert handle.state == "FAILURE"
    assert isinstance(handle.result, ValueLost)
    assert "is gone" in handle.traceback
    with App(connection=shared_app.connection) as other:
        again = other.AsyncResult(handle.id)
        assert again.state == "FAILURE"
        with pytest.raises(ValueLost, match="its value is gone"):
            again.get(timeout=SOON)


def test_a_result_whose_file_is_cut_short_is_no_success(shared_app):
    """What a power failure leaves."""
    empty(disk_of(shared_app))
    group = shared_app.task(values).map([MEGABYTE, 10, MEGABYTE], on_error="keep")
    group.until_ready(timeout=SOON)
    os.truncate(next(disk_of(shared_app).glob("*~*")), 4096)
    with App(connection=shared_app.connection) as other:
        (again,) = other.attach(group.id)
        assert sorted(one.state for one in again) == ["FAILURE", "SUCCESS", "SUCCESS"]
    assert sorted(type(one).__name__ for one in group.get(timeout=SOON)) == [
        "ValueLost",
        "ndarray",
        "ndarray",
    ]
    assert sorted(one.state for one in group) == ["FAILURE", "SUCCESS", "SUCCESS"]


def test_a_map_whose_values_are_gone_raises(shared_app):
    group = shared_app.task(values).map([MEGABYTE, MEGABYTE])
    group.until_ready(timeout=SOON)
    empty(disk_of(shared_app))
    with pytest.raises(ValueLost, match="its value is gone"):
        group.get(timeout=SOON)


def test_a_result_in_the_broker_that_is_gone_is_no_success(shared_app):
    handle = shared_app.task(bytes).delay(100_000)
    handle.until_ready(timeout=SOON)
    remove_blobs(shared_app)
    with pytest.raises(ValueLost, match="its value is gone"):
        handle.get(timeout=SOON)
    assert handle.state == "FAILURE"


@pytest.mark.parametrize(
    ("size", "acks_late"),
    [
        pytest.param(10_000, False, id="in the broker"),
        pytest.param(10_000, True, id="in the broker, acks_late", marks=pytest.mark.long),
        pytest.param(MEGABYTE, True, id="in a file, acks_late"),
        pytest.param(MEGABYTE, False, id="in a file", marks=pytest.mark.long),
    ],
)
def test_arguments_that_vanish_are_sent_again(idle_app, size, acks_late):
    task = idle_app.task(scale, acks_late=acks_late)
    group = task.map([values(size + number) for number in range(3)])
    single = task.delay(values(size))
    idle_app.session.flush()
    empty(memory_of(idle_app))
    remove_blobs(idle_app)
    idle_app.start_workers(1)
    assert [len(each) for each in group.get(timeout=SOON)] == [size, size + 1, size + 2]
    assert len(single.get(timeout=SOON)) == size


def test_an_argument_that_is_slow_to_pack_anew_delays_no_stop_of_a_map(idle_app):
    """How an object is packed is its own code."""
    slow, begun, gate = threading.Event(), threading.Event(), threading.Event()

    class Odd:
        def __reduce__(self):
            if slow.is_set():
                begun.set()
                gate.wait(60)
            return str, ("odd",)

    def fail_early(number):
        time.sleep(0.05)
        return 1 // number

    single = idle_app.task(lambda odd, array: len(array)).delay(Odd(), values(10_000))
    idle_app.session.flush()
    remove_blobs(idle_app)
    slow.set()
    idle_app.start_workers(1)
    try:
        assert begun.wait(SOON)
        group = idle_app.task(fail_early).map(range(400), on_error="stop", chunk=1)
        assert group.until_ready(SOON)
        assert group.batch.revoked_count > 300
    finally:
        gate.set()
    assert single.get(timeout=SOON) == 10_000


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.long)])
def test_arguments_that_vanish_when_a_worker_has_them_in_hand_are_sent_again(
    idle_app, gate, eventually, pool
):
    idle_app.start_workers(1, pool=pool, threads=1)

    def hold(array, path):
        end = time.monotonic() + 60
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.01)
        return len(array)

    group = idle_app.task(hold).starmap(
        [(values(100_000 + number), gate.path) for number in range(12)], chunk=12
    )
    eventually(lambda: any(one.state == "STARTED" for one in group), "the first one runs")
    shutil.rmtree(memory_of(idle_app))
    gate.open()
    assert group.get(timeout=SOON) == [100_000 + number for number in range(12)]


def test_arguments_that_vanish_again_and_again_are_given_up(idle_app, eventually):
    task, stop = idle_app.task(scale), threading.Event()
    client = server_of(idle_app)

    def remove():
        while not stop.wait(0.0):
            for name in names_of_blobs(client):
                client.delete(name)
        client.close()

    thief = threading.Thread(target=remove)
    thief.start()

    def is_given_up():
        try:
            task.delay(values(10_000)).get(timeout=SOON)
        except ValueLost as error:
            return "could not be started" in str(error)
        return False  # the worker was faster than the thief, once in three times

    try:
        idle_app.start_workers(1)
        eventually(is_given_up, "a call ends whose arguments vanish each time", within=60)
    finally:
        stop.set()
        thief.join()
