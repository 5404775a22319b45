"""The key stands in its file and in memory: not in a log, a message, a command line, or on the server."""

from __future__ import annotations

import base64
import io
import logging
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import redis

from nbtasks import App, NbtasksError
from nbtasks.wire.signing import encode_key
from tests.broker.conftest import server  # noqa: F401 - a fixture

SOON = 60.0
PASSWORD = "do-not-show-this-7f3a"


def spellings(key: bytes) -> list[bytes]:
    """Every way in which a key could be written down."""
    text = encode_key(key).encode()
    return [
        key,
        text,
        key.hex().encode(),
        key.hex().upper().encode(),
        base64.b64encode(key),
        repr(key).encode(),
    ]


def told(error: BaseException) -> str:
    """A traceback as verbose tools print it, with the values of local variables; without the test's own."""
    frames = error.__traceback__.tb_next
    return "".join(traceback.TracebackException(type(error), error, frames, capture_locals=True).format())


@pytest.fixture
def said(caplog, capfd):
    """``said()`` returns what was logged and printed in this process."""
    caplog.set_level(logging.DEBUG)

    def everything() -> bytes:
        out = capfd.readouterr()
        return (caplog.text + out.out + out.err).encode()

    return everything


def written_below(folder: Path, key_file: Path) -> bytes:
    """Everything that was written below a folder, but the key file itself."""
    found = io.BytesIO()
    for file in folder.rglob("*"):
        if file.is_file() and file != key_file:
            found.write(file.read_bytes())
    return found.getvalue()


def on_command_lines(pids) -> bytes:
    """The command lines of processes (Linux only)."""
    if not sys.platform.startswith("linux"):
        return b""
    return b"".join((Path("/proc") / str(pid) / "cmdline").read_bytes() for pid in pids)


def test_a_run_in_which_everything_goes_wrong_shows_no_key(home, attack, flip, said, processes, worker_on):
    with App("secrets") as app:
        app.start_workers(1, loglevel="debug")
        key = app.connection.keys[0]
        attacker = attack(app)
        shown = [repr(app), repr(app.connection), repr(app.session.keyring), str(vars(app.connection).keys())]
        failing = app.task(lambda: 1 / 0).delay()
        with pytest.raises(ZeroDivisionError) as caught:
            failing.get(timeout=SOON)
        shown += [told(caught.value), failing.traceback]
        handle = app.task(len).apply_async(("ab",), queue="aside")
        ((entry_id, fields),) = attacker.entries("aside")
        attacker.replace("aside", entry_id, d=flip(fields[b"d"]))
        with worker_on(app, "aside") as other:
            handle.get(timeout=SOON)
            shown.append(other.local_workers.log_tail(1000))
        attacker.redis.xadd(attacker.keys.control, {"k": "c", "d": "no order"})
        label = attacker.redis.hget(attacker.keys.batch(handle.batch.id), "m")
        attacker.redis.hset(attacker.keys.batch(handle.batch.id), "m", flip(label))
        with App(connection=app.connection) as again, pytest.raises(NbtasksError) as refused:
            again.AsyncResult(handle.id)
        shown.append(told(refused.value))
        app.local_workers.log_tail(1000)
        lines = on_command_lines(processes())
        stored = b"".join(attacker.redis.dump(name) or b"" for name in attacker.redis.keys("*"))
        written = written_below(home, home / "key")
    places = {
        "a message or a repr": "\n".join(shown).encode(),
        "a log or an output": said(),
        "a command line": lines,
        "the server": stored,
        "a file": written,
    }
    for spelling in spellings(key):
        for place, text in places.items():
            assert spelling not in text, f"the key is in {place}"
    assert b"worker" in places["a command line"] or not sys.platform.startswith("linux")
    assert len(places["a file"]) > 1000


def test_neither_key_nor_password_is_in_the_error_of_a_broker_that_is_not_there(home, tmp_path, monkeypatch):
    key = bytes(range(32))
    monkeypatch.setenv("NBTASKS_KEY", encode_key(key))
    app = App(broker=f"redis://user:{PASSWORD}@127.0.0.1:9")
    try:
        with pytest.raises(NbtasksError) as caught:
            app.task(len).delay("ab")
        text = "".join(traceback.format_exception(caught.value)) + repr(app)
    finally:
        app.close()
    assert PASSWORD not in text
    assert not any(spelling.decode("latin-1") in text for spelling in spellings(key))


def test_the_password_of_the_url_is_shown_nowhere(server, said, processes, monkeypatch):  # noqa: F811 - the fixture
    """While a call fails, connections are cut, and the doctor looks."""
    locked = server("--requirepass", PASSWORD)
    monkeypatch.setenv("NBTASKS_BROKER", locked.url.replace("unix://", f"unix://:{PASSWORD}@"))
    with redis.Redis(unix_socket_path=str(locked.socket), password=PASSWORD) as other, App("secrets") as app:
        app.start_workers(1, loglevel="debug")
        failing = app.task(lambda: 1 / 0).delay()
        with pytest.raises(ZeroDivisionError) as caught:
            failing.get(timeout=SOON)
        other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert app.task(abs).delay(-1).get(timeout=SOON) == 1
        session = app.session
        shown = [*map(repr, (app, app.connection, session, app.local_workers)), told(caught.value)]
        doctor = subprocess.run(
            [sys.executable, "-m", "nbtasks", "doctor"], capture_output=True, check=False, timeout=60
        )
        places = {
            "a message or a repr": "\n".join(shown).encode(),
            "a log or an output": said() + app.local_workers.log_tail(1000).encode(),
            "a command line": on_command_lines(processes()).replace(
                b"--requirepass\0" + PASSWORD.encode(), b""
            ),
            "the server": b"".join(other.dump(name) or b"" for name in other.keys("*")),
            "the list of clients": str(other.client_list()).encode(),
            "what the doctor says": doctor.stdout + doctor.stderr,
        }
    for place, text in places.items():
        assert text, place
        assert PASSWORD.encode() not in text, f"the password is in {place}"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_file_that_others_can_read_is_refused(home, mode):
    with App("first") as app:
        _ = app.connection
    key_file = home / "key"
    key_file.chmod(mode)
    with App("second") as app, pytest.raises(NbtasksError, match=r"chmod|others") as caught:
        _ = app.connection
    assert key_file.read_text().strip() not in str(caught.value)
    assert str(key_file) in str(caught.value)
