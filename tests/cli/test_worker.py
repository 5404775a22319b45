"""``nbtasks worker``."""

from __future__ import annotations

import signal

import pytest

from nbtasks import App
from nbtasks.local import embedded
from nbtasks.local.connection import Connection, write_connection_file
from nbtasks.wire.signing import encode_key, new_key


@pytest.fixture
def lease(project):
    """An embedded server that stays for the whole test."""
    held = embedded.acquire()
    yield held
    held.close()


def test_it_serves_the_project_it_is_started_in_and_says_what_it_does(worker):
    running = worker("-c", "1", "-l", "info")
    with App() as app:

        @app.task
        def double(x):
            return 2 * x

        assert double.delay(21).get(timeout=20) == 42
    assert running.end() == 0
    banner, _, log = running.text.partition("ready")
    for word in ("broker", "unix://", "namespace", "queues", "default", "concurrency  1 (prefork)"):
        assert word in banner
    assert "double" in log
    assert "succeeded in" in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_it_and_leaves_nothing(worker, processes, eventually, number):
    running = worker("-c", "1")
    assert running.end(number) == 0
    eventually(lambda: not processes(), "nothing is left")


def test_the_options_arrive(worker, lease):
    worker("-b", lease.url, "-c", "2", "-Q", "io, mail,io", "-n", "carol", "-P", "threads", "--threads", "3",
           "--namespace", "elsewhere", "-l", "INFO", "--lease", "1m")  # fmt: skip
    with App(broker=lease.url) as here:
        assert here.workers() == []
    with App(broker=lease.url, namespace="elsewhere") as there:
        (found,) = there.workers()
    assert found.name == "carol"
    assert set(found.queues) == {"io", "mail"}
    assert (found.pool, found.concurrency) == ("threads", 2)
    assert found.matches


def test_an_app_gives_its_broker_its_namespace_and_its_modules(worker, project, lease):
    (project / "etl.py").write_text(
        "import nbtasks\n"
        f"jobs = nbtasks.App('etl', broker={lease.url!r}, namespace='etl', include=['extra'])\n"
    )
    (project / "extra.py").write_text("open('imported', 'w').close()\n")
    worker("-A", "etl", "-c", "1")
    assert (project / "imported").exists()
    with App(broker=lease.url, namespace="etl") as app:
        assert len(app.workers()) == 1


def test_an_app_without_a_broker_has_the_embedded_one(worker, project):
    (project / "etl.py").write_text("import nbtasks\napp = nbtasks.App('etl')\nother = nbtasks.App('x')\n")
    worker("-A", "etl:app", "-c", "1")
    with App() as app:
        assert len(app.workers()) == 1


def test_a_connection_file_brings_server_and_key(worker, project, lease):
    key = new_key()
    write_connection_file(project / "cluster.json", Connection(lease.url, (key,), "team", "test"))
    worker("--connection-file", "cluster.json", "-c", "1")
    with App(broker=lease.url, namespace="team", key=encode_key(key)) as app:
        (found,) = app.workers()
        assert found.matches
        assert app.task(lambda: "signed").delay().get(timeout=20) == "signed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-c", "0"], "-c"),
        (["-P", "gevent"], "prefork"),
        (["-l", "loud"], "warning"),
        (["-Q", ","], "queues: name at least one queue"),
        (["-Q", "a b"], "'a b' is not a queue name"),
        (["--lease", "soon"], "lease: 'soon' is not a duration"),
        (["-b", "localhost"], "redis://"),
        (["--namespace", "a b"], "namespace"),
        (["--connection-file", "nowhere.json"], "there is no connection file nowhere.json"),
        (["-A", "nowhere"], "there is no module 'nowhere'"),
        (["-A", "."], "package.module"),
        (["-A", "empty"], "has no App; make one there"),
        (["-A", "empty:app"], "has no App called 'app'"),
        (["-A", "two"], "has several Apps, say which: -A two:"),
        (["-b", "redis://127.0.0.1:1", "-c", "1"], "127.0.0.1:1"),
    ],
)
def test_what_cannot_work_is_said_without_a_traceback(
    nbtasks, project, processes, eventually, arguments, message
):
    (project / "empty.py").write_text("")
    (project / "two.py").write_text("from nbtasks import App\na = App('a')\nb = App('b')\n")
    done = nbtasks("worker", *arguments)
    assert done.returncode in {1, 2}
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    eventually(lambda: not processes(), "nothing is left")


def test_an_error_in_the_module_shows_where(nbtasks, project):
    (project / "broken.py").write_text("import no_such_thing\n")
    done = nbtasks("worker", "-A", "broken")
    assert done.returncode == 1
    assert "broken.py" in done.stderr
    assert "no_such_thing" in done.stderr


def test_help_and_version(nbtasks):
    assert "doctor" in nbtasks("--help").stdout
    assert "--max-tasks-per-child" in nbtasks("worker", "-h").stdout
    assert nbtasks("--version").stdout.startswith("nbtasks, version 0.")
    assert nbtasks("no-such-command").returncode == 2


def test_it_says_which_calls_it_does_not_take(worker, project):
    with App(key=encode_key(new_key())) as app:
        app.task(lambda: 1).delay()
        app.session.flush()
        running = worker("-c", "1")
        assert (
            f"queue default has calls for key {app.session.keyring.id}, which this worker does not take"
            in running.text
        )


def test_a_broker_that_is_not_there_is_told_once(nbtasks):
    ended = nbtasks("worker", "-b", "redis://127.0.0.1:1", "-c", "2")
    assert ended.returncode != 0
    assert ended.stderr.count("cannot be reached") == 1
    assert "Child-" not in ended.stderr
