"""What other processes do with an App and its tasks: forks, multiprocessing, a web server that loads first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

SOON = 60.0
#: A script with an App of its own and two tasks, one of them bound; ``ask(x)`` is what other processes do.
HEAD = """
import os, sys, time, warnings
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from nbtasks import App, task
warnings.simplefilter("ignore")

def open_app():
    return App("here", broker={broker!r}, namespace={namespace!r})

{app}

@task
def triple(x):
    return 3 * x

def ask(x):
    return [one.delay(x).get(timeout=60) for one in ({tasks})]
"""
BOUND = """
app = open_app()

@app.task
def double(x):
    return 2 * x
"""


def servers() -> list[Path]:
    """Return the folders of all embedded servers of this test run."""
    return sorted(Path(os.environ["NBTASKS_HOME"]).glob("embedded/*/keeper.log"))


@pytest.fixture
def run(shared_app, tmp_path):
    """Run a script beside a broker that only the URL leads to; return what it printed."""

    def run(body: str, app: str = BOUND, tasks: str = "double, triple", code: int = 0) -> str:
        script, before = tmp_path / "script.py", servers()
        connection = shared_app.connection
        head = HEAD.format(broker=connection.url, namespace=connection.namespace, app=app, tasks=tasks)
        script.write_text(head + body)
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=tmp_path, check=False, capture_output=True, text=True, timeout=110,
        )  # fmt: skip
        assert done.stderr == ""
        assert done.returncode == code
        # No server of its own was started in silence.
        assert servers() == before
        return done.stdout.strip()

    return run


@pytest.mark.parametrize(
    ("used", "end"),
    [
        pytest.param("", "sys.exit()", id="new"),
        pytest.param("app.session", "os._exit(0)", id="open", marks=pytest.mark.long),
        pytest.param("double.delay(1).get(timeout=60)", "os._exit(0)", id="used"),
        pytest.param(
            "double.delay(1).get(timeout=60)", "sys.exit()", id="used, and exits", marks=pytest.mark.long
        ),
    ],
)
def test_a_forked_process_submits_to_the_same_broker(run, used, end):
    body = f"""
{used}
child = os.fork()
if not child:
    print(ask(1), flush=True)
    {end}
os.waitpid(child, 0)
print(ask(2))
"""
    assert run(body).splitlines() == ["[2, 3]", "[4, 6]"]


@pytest.mark.long
def test_and_so_does_its_own_child(run):
    body = """
app.session
def family(depth):
    child = os.fork()
    if not child:
        if depth: family(depth - 1)
        print(ask(depth), flush=True)
        sys.exit()
    os.waitpid(child, 0)
family(2)
"""
    assert run(body).splitlines() == ["[0, 0]", "[2, 3]", "[4, 6]"]


@pytest.mark.parametrize(
    "method", ["fork", *(pytest.param(n, marks=pytest.mark.long) for n in ("spawn", "forkserver"))]
)
def test_multiprocessing_submits_to_the_same_broker(run, method):
    body = f"""
if __name__ == "__main__":
    app.session
    context = multiprocessing.get_context({method!r})
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        print(list(pool.map(ask, [1, 2])))
        print([str(call) for call in pool.map(ident, [1, 2])])
    with context.Pool(1) as pool:
        print(pool.map(ask, [3]), pool.map(double, [4]))
"""
    head = BOUND + "\ndef ident(x):\n    return str(double.delay(x).get(timeout=60))\n"
    assert run(body, head).splitlines() == ["[[2, 3], [4, 6]]", "['2', '4']", "[[6, 9]] [8]"]


@pytest.mark.long
@pytest.mark.parametrize("method", ["fork", "spawn", pytest.param("forkserver", marks=pytest.mark.long)])
def test_what_a_child_of_multiprocessing_submits_last_is_there(run, shared_app, ledger, method):
    body = f"""
def many(path):
    for number in range(300):
        note.delay(path, number)
if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    child = context.Process(target=many, args=({ledger.path!r},))
    child.start(); child.join(); print(child.exitcode)
    deadline = time.time() + 60
    while len(open({ledger.path!r}).read().split()) < 300 and time.time() < deadline:
        time.sleep(0.05)
"""
    head = BOUND + "\n@app.task\ndef note(path, number):\n    open(path, 'a').write(f'{number}\\n')\n"
    assert run(body, head) == "0"
    assert sorted(map(int, ledger.lines())) == list(range(300))


@pytest.mark.long
@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=pytest.mark.long)])
def test_a_child_that_knows_no_app_says_so(run, method):
    body = f"""
def attempt(x):
    try:
        return triple.delay(x).id
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"
if __name__ == "__main__":
    app = open_app()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context({method!r})) as pool:
        print(pool.submit(attempt, 1).result())
    app.close()
"""
    text = run(body, "", "triple")
    assert text.startswith(
        "ConfigError: no App is open here. The process that has started this one had its calls go"
    )
    assert "Open the one that you want" in text


def test_a_fork_in_the_midst_of_submits_doubles_and_loses_nothing(run, ledger):
    body = f"""
import threading
stop = threading.Event()
sent = []
def submit():
    while not stop.is_set():
        sent.append(note.delay({ledger.path!r}, len(sent)))
        # What children submit waits behind these: not faster than they run.
        if len(sent) > 200:
            sent[-200].get(timeout=60)
threads = [threading.Thread(target=submit)]
for one in threads: one.start()
children = []
for number in range(6):
    time.sleep(0.02)
    child = os.fork()
    if not child:
        note.delay({ledger.path!r}, -1 - number).get(timeout=60)
        sys.exit()
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
stop.set()
for one in threads: one.join()
for one in sent: one.get(timeout=60)
print(codes, len(sent) > 6)
print(len(sent))
"""
    head = BOUND + "\n@app.task\ndef note(path, number):\n    open(path, 'a').write(f'{number}\\n')\n"
    state, count = run(body, head).splitlines()
    assert state == f"{[0] * 6} True"
    assert sorted(map(int, ledger.lines())) == list(range(-6, int(count)))


def test_locks_that_are_held_at_the_fork_hold_nobody_up(run):
    body = """
import threading
from nbtasks.wire.modules import world
app.session
held = threading.Event()
def hold():
    with world.held(), app._lock, app.session.registry._lock, app.session.registry.changed:
        held.set()
        time.sleep(1.5)
thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if not child:
    class Odd: pass
    print(app.task(lambda x: x is not None).delay(Odd()).get(timeout=60), ask(1), flush=True)
    sys.exit()
os.waitpid(child, 0)
thread.join()
print(ask(2))
"""
    assert run(body).splitlines() == ["True [2, 3]", "[4, 6]"]


def test_a_handle_from_before_the_fork_says_where_its_end_is_told(run):
    body = """
call, group = double.apply_async((1,), countdown=1), double.map([1, 2], countdown=1)
child = os.fork()
if not child:
    deadline = time.time() + 60
    while not (call.ready() and group.ready()) and time.time() < deadline:
        time.sleep(0.01)
    for ask in (call.get, group.get, lambda: list(group.as_completed())):
        try:
            ask()
        except Exception as error:
            print(type(error).__name__, "submitted by another process" in str(error), flush=True)
    print([one.get(timeout=60) for one in app.attach(call.id) + app.attach(group.id)], flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(call.get(timeout=60), group.get(timeout=60))
"""
    assert run(body).splitlines() == ["ConfigError True"] * 3 + ["[2, [2, 4]]", "2 [2, 4]"]


@pytest.mark.parametrize(
    "end",
    [
        "app.close(); os._exit(0)",
        *(pytest.param(end, marks=pytest.mark.long) for end in ("sys.exit()", "os._exit(0)")),
    ],
)
def test_the_end_of_a_child_ends_nothing_of_its_parent(project, end):
    script = f"""
import os, sys, warnings
from nbtasks import App
warnings.simplefilter("ignore")
app = App()
app.start_workers(1)
@app.task
def double(x): return 2 * x
print(double.delay(1).get(timeout=60), flush=True)
child = os.fork()
if not child:
    print(double.delay(2).get(timeout=60), flush=True)
    {end}
os.waitpid(child, 0)
print(double.delay(3).get(timeout=60), app.local_workers.running)
app.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.stderr, done.stdout.split()) == ("", ["2", "4", "6", "True"])


def test_a_child_that_outlives_its_parent_keeps_the_server(project, tmp_path, eventually):
    script = f"""
import os, sys, time, warnings
from nbtasks import App
warnings.simplefilter("ignore")
app = App()
@app.task
def double(x): return 2 * x
app.session
parent = os.getpid()
if not os.fork():
    double.delay(1)
    open({str(tmp_path / "there")!r}, "w").close()
    while os.getppid() == parent: time.sleep(0.01)
    app.start_workers(1)
    value = double.delay(2).get(timeout=60)
    open({str(tmp_path / "answer")!r}, "w").write(str(value))
    sys.exit()
while not os.path.exists({str(tmp_path / "there")!r}): time.sleep(0.01)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    answer = tmp_path / "answer"
    assert eventually(lambda: answer.exists() and answer.read_text()) == "4"


GUNICORN = """
{head}
application_calls = []

def application(environ, start_response):
    number = int(environ["PATH_INFO"].strip("/"))
    text = str(ask(number)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]

{used}
"""


@pytest.mark.parametrize(
    "used",
    [
        pytest.param("", id="untouched", marks=pytest.mark.long),
        pytest.param("'gunicorn' in sys.argv[0] and ask(1)", id="used"),
    ],
)
def test_gunicorn_that_loads_before_it_forks(shared_app, tmp_path, used, eventually):
    connection = shared_app.connection
    head = HEAD.format(
        broker=connection.url, namespace=connection.namespace, app=BOUND, tasks="double, triple"
    )
    (tmp_path / "site_of_ours.py").write_text(GUNICORN.format(head=head, used=used))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", f"127.0.0.1:{port}", "site_of_ours"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        answers = [
            eventually(lambda number=number: _answer(port, number), "an answer", within=30)
            for number in range(8)
        ]
    finally:
        server.send_signal(signal.SIGTERM)
        output = server.communicate(timeout=30)[0]
    assert answers == [str([2 * number, 3 * number]) for number in range(8)], output
    assert server.returncode == 0


def _answer(port: int, number: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{number}", timeout=30) as page:
            return page.read().decode()
    except ConnectionError:
        return ""
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionError):
            return ""
        raise
