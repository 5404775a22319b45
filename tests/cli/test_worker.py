"""``nbtasks worker``."""

from __future__ import annotations

import signal
import socket
import tempfile
from pathlib import Path

import pytest

from nbtasks import App, WorkersError
from nbtasks.local.connection import Connection, write_connection_file
from nbtasks.local.server import embedded
from nbtasks.wire.signing import encode_key, new_key
from tests.broker.conftest import Server

from .conftest import RunningWorker


@pytest.fixture
def lease(project):
    """An embedded server that stays for the whole test."""
    held = embedded.acquire()
    yield held
    held.close()


@pytest.fixture
def server_at(run_folder):
    """``server_at("--setting", "value")`` returns a server that is not started yet."""
    made = []

    def place(*settings):
        folder = Path(tempfile.mkdtemp(prefix="s", dir=run_folder))
        made.append(Server(folder, *settings, begin=False))
        return made[-1]

    yield place
    for one in made:
        one.stop()


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
        (["-B", "--no-beat"], "--beat and --no-beat contradict each other"),
        (["-P", "gevent"], "async def"),
        (["-l", "loud"], "warning"),
        (["-Q", ","], "queues: name at least one queue"),
        (["-Q", "a b"], "'a b' is not a queue name"),
        (["--lease", "soon"], "lease: 'soon' is not a duration"),
        (["-b", "localhost"], "redis://"),
        (["--namespace", "a b"], "namespace"),
        (["--connection-file", "nowhere.json"], "nowhere.json"),
        (["-A", "nowhere"], "there is no module 'nowhere'"),
        (["-A", "."], "package.module"),
        (["-A", "empty"], "has no App; make one there"),
        (["-A", "empty:app"], "has no App called 'app'"),
        (["-A", "two"], "has several Apps, say which: -A two:"),
        (["-b", "redis://127.0.0.1", "-A", "two"], "say which"),
        (["-b", "redis://127.0.0.1?socket_timeout=1", "-c", "1"], "socket_timeout"),
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


BROKEN = {
    "import no_such_thing\n": "line 1): ModuleNotFoundError: No module named 'no_such_thing'",
    "x = 1\ny = x / 0\n": "line 2): ZeroDivisionError: division by zero",
    "def f(:\n": "SyntaxError: ",
    "raise SystemExit(3)\n": "line 1): SystemExit: 3",
}


@pytest.mark.parametrize("source", BROKEN)
def test_an_error_in_the_module_shows_where_in_one_sentence(nbtasks, project, source):
    (project / "broken.py").write_text(source)
    done = nbtasks("worker", "-A", "broken")
    assert done.returncode == 1
    assert "module 'broken' cannot be imported" in done.stderr
    assert "broken.py" in done.stderr
    assert BROKEN[source] in done.stderr
    assert "`python" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("include", ["no_such_module", "broken", "", ".relative"])
def test_an_include_that_cannot_be_imported_is_said_in_one_sentence(project, include):
    (project / "broken.py").write_text("import also_missing\n")
    with App(include=[include]) as app, pytest.raises(WorkersError) as found:
        app.start_workers(1)
    text = str(found.value)
    assert text.startswith("local workers did not start: include: ")
    assert include in text
    assert "Traceback" not in text


def test_what_stands_before_the_command_counts_as_well(nbtasks, worker, project, lease):
    (project / "etl.py").write_text(
        "import nbtasks\njobs = nbtasks.App('etl', broker='redis://127.0.0.1:1')\n"
    )
    worker("-c", "1", before=("-A", "etl", "-b", lease.url))
    with App(broker=lease.url) as app:
        assert len(app.workers()) == 1
    assert "-A is not an option of `nbtasks doctor`" in nbtasks("-A", "etl", "doctor").stderr
    # What is said after the command comes first.
    assert "no module 'second'" in nbtasks("-A", "first", "worker", "-A", "second").stderr


def test_help_and_version(nbtasks):
    assert "doctor" in nbtasks("--help").stdout
    assert "--max-tasks-per-child" in nbtasks("worker", "-h").stdout
    assert nbtasks("--version").stdout.startswith("nbtasks, version 0.")
    assert nbtasks("no-such-command").returncode == 2


def test_it_says_which_calls_it_does_not_take(worker, project, eventually):
    with App(key=encode_key(new_key())) as app:
        app.task(lambda: 1).delay()
        app.session.flush()
        running = worker("-c", "1")
        said = f"queue default has calls for key {app.session.keyring.id}, which this worker does not take"
        eventually(lambda: said in running.text, "it says so")


@pytest.mark.long
def test_it_says_so_of_calls_that_came_later(worker, lease, eventually):
    running = worker("-b", lease.url, "-c", "1")
    with App(broker=lease.url) as ours, App(broker=lease.url, key=encode_key(new_key())) as app:
        assert ours.task(abs).delay(-1).get(timeout=20) == 1
        app.task(lambda: 1).delay()
        app.session.flush()
        said = f"queue default has calls for key {app.session.keyring.id}, which this worker does not take"
        eventually(lambda: said in running.text, "it says so", within=60)
        assert running.text.count(said) == 1
        assert ours.task(abs).delay(-1).get(timeout=20) == 1


@pytest.fixture
def early(project, eventually):
    """``early("-b", url)`` starts ``nbtasks worker`` and returns it when it has said what it waits for."""
    started = []

    def start(*arguments):
        started.append(RunningWorker(project, *arguments))
        eventually(lambda: "the broker is not there" in started[0].text, "it says what it waits for")
        return started[0]

    yield start
    for one in started:
        one.close()


def test_a_worker_waits_for_a_broker_that_is_not_there_yet(early, server_at, tmp_path, eventually):
    place = server_at()
    running = early("-b", place.url, "-c", "2")
    place.start()
    with App(broker=place.url) as app:
        assert app.task(abs).delay(-1).get(timeout=40) == 1
    eventually(lambda: "the broker is there" in running.text and " ready" in running.text, "it says so")
    assert running.end() == 0
    assert running.text.count("cannot be reached") == 1
    assert "trying again" not in running.text
    assert "Traceback" not in running.text


def test_an_apps_worker_waits_for_its_broker_too(early, server_at, project, eventually):
    place = server_at()
    (project / "etl.py").write_text(f"import nbtasks\napp = nbtasks.App('etl', broker={place.url!r})\n")
    running = early("-A", "etl", "-c", "1")
    place.start()
    eventually(lambda: " ready" in running.text, "it has begun", within=40)


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGINT, signal.SIGQUIT))],
)
def test_a_worker_that_waits_for_its_broker_can_be_ended(early, processes, eventually, number):
    running = early("-b", "redis://127.0.0.1:1", "-c", "2")
    assert running.end(number) == 0
    assert "Traceback" not in running.text
    eventually(lambda: not processes(), "nothing is left")


def test_a_login_that_is_wrong_is_not_waited_for(nbtasks, server_at):
    place = server_at("--requirepass", "right")
    place.start()
    for url in (place.url, place.url.replace("//", "//:wrong@")):
        ended = nbtasks("worker", "-b", url, "-c", "1")
        assert ended.returncode != 0
        assert "password" in ended.stderr
        assert ":wrong@" not in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_second_worker_of_one_name_is_warned_of_the_first(worker, project, eventually):
    first = worker("-c", "1", "-n", "w@%h")
    host = socket.gethostname()
    assert "another worker" not in first.text
    second = worker("-c", "1", "--hostname", f"w@{host}")
    said = f"another worker is called 'w@{host}', too: on host {host}, pid {first.process.pid}"
    eventually(lambda: said in second.text, "the second one names the first")
    assert second.end() == 0
    # Without a name of its own, and after one that was killed, there is nothing to say.
    assert "another worker" not in worker("-c", "1").text
    first.end(signal.SIGKILL)
    assert "another worker" not in worker("-c", "1", "-n", "w@%h").text


@pytest.mark.parametrize("name", ["w%x@%h", "w@%p"])
def test_a_letter_that_stands_for_nothing_is_refused(nbtasks, name):
    done = nbtasks("worker", "-n", name)
    assert done.returncode == 2
    assert "stands for nothing; there are %h (the host)" in " ".join(done.stderr.split())
