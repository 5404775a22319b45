"""A new key for a running system: nothing stops, nothing is lost, and then the old key is worth nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbtasks import App, SignatureMismatch
from nbtasks.local.connection import Connection
from nbtasks.wire.signing import encode_key, key_id, new_key

SOON = 60.0


def held(path, gate, text):
    """Task code: say that it runs, then wait."""
    with Path(path).open("a") as file:
        file.write(f"{text}\n")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        time.sleep(0.005)
    return text


@pytest.fixture
def keys(idle_app):
    """The key of the test's App, and a new one."""
    _ = idle_app.session  # starts the server
    return idle_app.connection.keys[0], new_key()


@pytest.fixture
def with_keys(idle_app):
    """``with with_keys(key, ...) as app``: an App on the same server that signs with the first of them."""

    @contextmanager
    def run(*keys):
        connection = idle_app.connection
        with App(connection=Connection(connection.url, keys, connection.namespace, "test")) as app:
            yield app

    return run


def test_rolling_over_a_running_system(idle_app, with_keys, keys, ledger, gate, eventually):
    old, new = keys
    square = idle_app.task(lambda x: x * x)
    before = square.map(range(5), chunk=1)
    assert "no worker listens" in before.why_pending()
    # First the workers: they accept both, and answer each call with the key that it was signed with.
    with with_keys(new, old) as workers:
        workers.start_workers(2)
        assert before.get(timeout=SOON) == [0, 1, 4, 9, 16]
        (info,) = idle_app.workers()
        assert info.matches
        assert info.key_ids == (key_id(new), key_id(old))
        running = idle_app.task(held).delay(ledger.path, gate.path, "old")
        eventually(lambda: running.state == "STARTED", "events of the old client come through, too")
        # Then the clients, one after the other; the last one that has the old key is still served.
        with with_keys(new) as client:
            assert client.task(lambda x: -x).map(range(5)).get(timeout=SOON) == [0, -1, -2, -3, -4]
            assert client.workers()[0].matches
            assert square.delay(7).get(timeout=SOON) == 49
            gate.open()
            assert running.get(timeout=SOON) == "old"
            with pytest.raises(ZeroDivisionError):
                client.task(lambda: 1 / 0).delay().get(timeout=SOON)
    # At last the workers let go of the old key.
    with with_keys(new) as workers:
        workers.start_workers(1)
        late = square.delay(8)
        assert f"has another key ({key_id(new)}, here {key_id(old)})" in late.why_pending()
        assert workers.task(abs).delay(-3).get(timeout=SOON) == 3
        late.revoke()


def test_a_retry_and_a_lost_worker_are_answered_with_the_askers_key(idle_app, with_keys, keys, ledger):
    old, new = keys

    def fails_once(path):
        with Path(path).open("a") as file:
            file.write("ran\n")
        if len(Path(path).read_text().split()) == 1:
            raise OSError("for now")
        return "in the end"

    def dies():
        import os

        os._exit(3)

    with with_keys(new, old) as workers:
        workers.start_workers(1)
        retried = idle_app.task(fails_once, retries=2, retry_backoff=0.01).delay(ledger.path)
        assert retried.get(timeout=SOON) == "in the end"
        with pytest.raises(Exception, match="died"):
            idle_app.task(dies, acks_late=False).delay().get(timeout=SOON)


def test_results_of_the_old_key_are_read_with_both(idle_app, with_keys, keys):
    old, new = keys
    idle_app.start_workers(1)
    handle = idle_app.task(len).delay("abc")
    handle.get(timeout=SOON)
    with with_keys(new, old) as between:
        assert between.AsyncResult(handle.id).get(timeout=SOON) == 3
    with with_keys(new) as after, pytest.raises(SignatureMismatch) as caught:
        after.AsyncResult(handle.id)
    assert key_id(old) in str(caught.value)
    assert key_id(new) in str(caught.value)
    assert "give both sides the same key" in str(caught.value)


def test_a_function_that_both_keys_have_signed(idle_app, with_keys, keys):
    old, new = keys

    def same(x):
        return x + 1

    with with_keys(new, old) as workers, with_keys(new) as client:
        workers.start_workers(1)
        assert idle_app.task(same).delay(1).get(timeout=SOON) == 2
        assert client.task(same).delay(1).get(timeout=SOON) == 2
    with with_keys(new) as workers:
        workers.start_workers(1)
        assert workers.task(same).delay(2).get(timeout=SOON) == 3


def test_two_keys_in_the_environment(home, monkeypatch):
    old, new = new_key(), new_key()
    monkeypatch.setenv("NBTASKS_KEY", f"{encode_key(new)},{encode_key(old)}")
    with App("both") as app:
        assert app.connection.keys == (new, old)
        assert app.session.keyring.ids == (key_id(new), key_id(old))
