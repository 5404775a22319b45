"""What five tutorials of Celery show, row by row: each file as they type it, with the two names changed.

A row is one thing that they show, by its number; :data:`ELSEWHERE` names the tests that show the others. What a row is
about stands beside its check.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

TESTS = Path(__file__).parents[1]
#: Row -> where else it is shown: a test, or a page whose code a test runs.
ELSEWHERE = {
    1: "journeys/test_fastapi_app.py",
    8: "machines/test_cut_off.py",
    12: "journeys/test_django_project.py",
    13: "journeys/test_fastapi_app.py",
    14: "test_architecture.py",
    29: "cli/test_beat.py",
    31: "docs/test_examples.py",
    41: "broker/test_server.py",
    54: "cli/test_worker.py",
    60: "cli/test_worker.py",
    61: "cli/test_worker.py",
    62: "cli/test_worker.py",
    63: "cli/test_invite.py",
    66: "worker/test_coroutines.py",
    68: "browser/test_dashboard_web.py",
    76: "web/test_task_calls.py",
    80: "worker/test_own_classes.py",
    89: "cli/test_deployment.py",
    90: "cli/test_shell.py",
    93: "client/test_call_options.py",
    96: "worker/test_workflows.py",
    107: "broker/test_outages.py",
    109: "client/test_events_of_workers.py",
    111: "worker/test_beat.py",
    114: "client/test_several_apps.py",
    122: "docs/test_guide.py",
    123: "docs/test_guide.py",
    124: "worker/test_beat.py",
    128: "worker/test_tasklog.py",
    129: "worker/test_tasklog.py",
    130: "worker/test_contrib.py",
    131: "cli/test_controlling.py",
    132: "client/test_control.py",
    133: "client/test_control.py",
    134: "cli/test_events_command.py",
    135: "browser/test_dashboard_web.py",
    139: "core/test_crontab.py",
    143: "test_architecture.py",
}
#: Row -> tests here that show it; filled by :func:`rows`.
SHOWN: dict[int, list[str]] = {}


def rows(*numbers: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say which rows a test shows."""

    def note(test: Callable[..., None]) -> Callable[..., None]:
        for number in numbers:
            SHOWN.setdefault(number, []).append(test.__name__)
        return test

    return note


@pytest.fixture
def typed(project, monkeypatch):
    """``typed(name=source)`` writes files; ``typed.run("name.py")`` runs one as a console does, to its end."""
    # Long enough for one embedded server to be found by each process of a test.
    monkeypatch.setenv("NBTASKS_LINGER", "60")

    class Typed:
        def __call__(self, **files: str) -> None:
            for name, source in files.items():
                path = project / f"{name}.py"
                path.parent.mkdir(exist_ok=True)
                path.write_text(textwrap.dedent(source))

        def run(self, name: str, code: int = 0) -> subprocess.CompletedProcess[str]:
            done = subprocess.run(
                [sys.executable, name], cwd=project, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == code, done.stderr
            return done

    return Typed()


@rows(2, 6, 10, 15, 16, 17, 19, 20, 24, 25, 26, 27, 32, 37, 78, 79, 87)
def test_background_work_of_2010(typed, worker, project):
    typed(
        tasks="""
            from nbtasks import App, task
            app = App("tasks")
            app.conf.CELERY_IMPORTS = ("tasks",)

            @task
            def square_sum(n):
                return sum(i * i for i in range(1, n + 1))
        """,
        console="""
            from tasks import square_sum
            result = square_sum.delay(100)
            print(result.result)
            print(result.get(timeout=60), result.result)
            open("id", "w").write(result.id)
        """,
        second="""
            from nbtasks import App, AsyncResult
            with App():
                print(AsyncResult(open("id").read()).result)
        """,
        dies="""
            import os
            from tasks import square_sum
            print([square_sum.delay(n).id for n in range(20)], flush=True)
            os._exit(3)
        """,
        exits="""
            import sys
            from tasks import square_sum
            print([square_sum.delay(n).id for n in range(20)], flush=True)
            sys.exit(4)
        """,
        after="""
            import json, sys
            from nbtasks import App, AsyncResult
            with App():
                print([AsyncResult(id).get(timeout=60) for id in json.load(open("ids"))])
        """,
    )
    running = worker("-A", "tasks", "--loglevel=INFO", "-c", "2")
    assert typed.run("console.py").stdout.split() == ["None", "338350", "338350"]
    # A second console, with nothing configured.
    assert typed.run("second.py").stdout.strip() == "338350"
    sums = [sum(i * i for i in range(1, n + 1)) for n in range(20)]
    for script, code in (("dies.py", 3), ("exits.py", 4)):
        ids = typed.run(script, code).stdout.replace("'", '"')
        (project / "ids").write_text(ids)
        assert json.loads(typed.run("after.py").stdout) == sums
    assert running.end() == 0
    assert "Task tasks.square_sum[" in running.text


FETCH = """
    import time
    {imports}

    @app.task
    def fetch_url(url):
        if "wrong" in url:
            raise OSError(url)
        time.sleep(0.3)
        print(200)
        return None

    def func(urls):
        return [fetch_url.delay(url) for url in urls]

    if __name__ == "__main__":
        func(["http://google.com", "https://amazon.in", "https://facebook.com"])
"""


@rows(33, 34, 36, 38, 39, 40, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 55, 56, 57, 58, 59)
def test_fetch_pages(typed, worker, eventually):
    typed(
        celery_example=FETCH.format(
            imports="from nbtasks import App; app = App('celery_example', include=['celery_example'])"
        ),
        celery_config="""
            from nbtasks import App
            app = App("celery_app", include=["celery_example_2", "celery_example_4", "pack.celery_example_3"])
        """,
        celery_example_2=FETCH.format(imports="from celery_config import app"),
        celery_example_4="""
            from celery_config import app

            @app.task
            def add(a, b):
                return a + b
        """,
        **{
            "pack/__init__": "",
            "pack/celery_example_3": FETCH.format(imports="from celery_config import app"),
        },
        caller="""
            from celery_example_2 import func
            from celery_example_4 import add
            from pack.celery_example_3 import fetch_url
            calls = func(["http://a", "http://wrong", "http://b"])
            print([type(call.get(propagate=False, timeout=60)).__name__ for call in calls])
            call = add.delay(4, 5)
            print(repr(call).startswith("<AsyncResult"), str(call) == call.id)
            print(call.get(timeout=60), fetch_url.name, fetch_url.delay("http://c").get(timeout=60))
        """,
    )
    alone = worker("-A", "celery_example", "-l", "info", "-c", "3")
    assert "[tasks]\n  . celery_example.fetch_url\n" in alone.text
    # A script that is the module of its tasks, too, ends without a word; the work goes on.
    done = typed.run("celery_example.py")
    assert (done.stdout, done.stderr) == ("", "")
    eventually(lambda: alone.text.count("succeeded in") == 3, "three at once")
    assert alone.text.count("WARNING/Child-") == 3
    assert {f"Child-{n}]" for n in range(3)} <= set(alone.text.replace("/", " ").split())
    assert alone.end() == 0

    apart = worker("-A", "celery_config", "-l", "info", "-c", "3")
    assert "  . pack.celery_example_3.fetch_url\n" in apart.text
    assert typed.run("caller.py").stdout.splitlines() == [
        "['NoneType', 'OSError', 'NoneType']",
        "True True",
        "9 pack.celery_example_3.fetch_url None",
    ]
    eventually(lambda: "Task pack.celery_example_3.fetch_url[" in apart.text, "the log names the module")
    eventually(lambda: ": None" in apart.text, "and the value")


@rows(42, 64)
def test_what_is_not_there_is_said_in_one_sentence(typed, nbtasks):
    typed(
        missing="from nbtasks import App; app = App('m', include=['no_such_module'])",
        away="""
            from nbtasks import App, BrokerUnavailable
            app = App("away", broker="redis://localhost:1")
            try:
                app.task(len).delay("a")
            except BrokerUnavailable as error:
                print(error)
        """,
    )
    done = nbtasks("worker", "-A", "missing", "-c", "1")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no_such_module" in done.stderr
    assert "localhost:1" in typed.run("away.py").stdout


@rows(
    4,
    5,
    9,
    11,
    18,
    22,
    23,
    70,
    71,
    72,
    73,
    74,
    75,
    83,
    84,
    85,
    113,
    115,
    116,
    117,
    118,
    119,
    137,
    140,
    145,
    153,
    154,
)
def test_brokers_and_stores_are_taken_or_refused_with_what_to_write(typed):
    typed(
        brokers="""
            import json
            from nbtasks import App, ConfigError
            said = {}
            for url in ("amqp://guest@localhost//", "stomp://h", "mongodb://h/db", "beanstalk://h", "couchdb://h",
                        "sqla+oracle://h/db", "sqs://key:secret@"):
                try:
                    App("a", broker=url)
                except ConfigError as error:
                    said[url] = str(error)
            for backend in ("db+mysql://u:p@h/db", "amqp://h", "mongodb://h", "redis://elsewhere:6379/0"):
                try:
                    App("tasks", broker="redis://localhost:6379/0", backend=backend)
                except ConfigError as error:
                    said[backend] = str(error)
            for key, value in {"BROKER_HOST": "localhost", "BROKER_URL": "redis://", "broker_url": "mongodb://h",
                               "CELERY_BACKEND": "amqp"}.items():
                app = App()
                try:
                    app.conf.update({key: value})
                    said[key] = app.conf[key]
                except ConfigError as error:
                    said[key] = str(error)
            app = App()
            app.conf.update(BROKER_URL="redis://user:secret@localhost/3", CELERYD_CONCURRENCY=2,
                            CELERY_RESULT_BACKEND="redis://user:secret@localhost/3")
            said["address"] = app.connection.address
            said["concurrency"] = app.conf.worker_concurrency
            app.set_current()
            from nbtasks import current_app
            said["current"] = current_app.conf is app.conf
            said["short"] = App(broker="redis://localhost", backend="redis://localhost").connection.address
            print(json.dumps(said))
        """
    )
    said = json.loads(typed.run("brokers.py").stdout)
    for kind in ("amqp", "stomp", "mongodb", "beanstalk", "couchdb", "sqla", "sqs"):
        text = next(text for url, text in said.items() if url.startswith((f"{kind}:", f"{kind}+")))
        assert "redis://" in text, text
    for store in ("db+mysql://u:p@h/db", "redis://elsewhere:6379/0"):
        assert re.search("backend.*results|results.*backend", said[store]), said[store]
    assert "broker_url says it all" in said["BROKER_HOST"]
    assert re.search("redis://.*host", said["BROKER_URL"]), said["BROKER_URL"]
    assert said["address"] == "redis://localhost/3"
    assert (said["concurrency"], said["current"]) == (2, True)
    assert said["short"] == "redis://localhost"


@rows(21, 81, 82, 86, 88, 91, 92, 94, 95, 97, 98, 99, 100, 101, 102, 103, 104)
def test_quick_start_of_2013(typed, worker, nbtasks, monkeypatch):
    typed(
        celeryconfig="CELERY_TASK_RESULT_EXPIRES = 300\nCELERYD_CONCURRENCY = 1\n",
        tasks="""
            from nbtasks import App
            app = App("tasks")
            app.config_from_object("celeryconfig")

            @app.task
            def add(x, y):
                return x + y

            @app.task
            def divide(x, y):
                return x / y
        """,
        console="""
            from datetime import datetime, timedelta, timezone
            from tasks import add, app, divide
            result = add.apply_async((4, 4), countdown=2)
            print(result.ready(), result.result, result.successful())
            print(result.get(timeout=60), result.result, result.ready(), result.successful(), result.state)
            failed = divide.delay(1, 0)
            failed.get(propagate=False, timeout=60)
            print(failed.successful(), repr(failed.result), failed.failed())
            soon = datetime.now(timezone.utc) + timedelta(seconds=1)
            print(add.apply_async(args=None, kwargs={"x": 1, "y": 2}, eta=soon, expires=60, priority=9,
                                  queue="default", time_limit=30, soft_time_limit=20).get(timeout=60))
            print(app.conf.result_expires)
        """,
    )
    waits = nbtasks("-A", "tasks", "call", "tasks.add", "--args", "[20, 3]")
    # Nobody is there to keep the embedded server, so that is refused; a server of one's own keeps the message.
    assert "does not run" in waits.stderr or waits.returncode == 0
    running = worker("--loglevel=info", before=("-A", "tasks"))
    assert "concurrency  1" in running.text
    assert typed.run("console.py").stdout.splitlines() == [
        "False None False",
        "8 8 True True SUCCESS",
        "False ZeroDivisionError('division by zero') True",
        "3",
        "300.0",
    ]
    called = nbtasks("-A", "tasks", "call", "tasks.add", "--args", "[2, 3]")
    assert nbtasks("-A", "tasks", "result", called.stdout.strip()).stdout.strip() == "5"
    assert nbtasks("worker", "--help").returncode == 0
    monkeypatch.setenv("NBTASKS_CONFIG_MODULE", "celeryconfig")
    typed(bare="from nbtasks import App; print(App().conf.result_expires)")
    assert typed.run("bare.py").stdout.strip() == "300.0"


@rows(30, 35, 65, 67, 69, 77, 108, 110, 112, 120, 121, 125, 126, 127, 136, 141)
def test_advanced_talk_of_2014(typed, worker, project):
    typed(
        proj="""
            import contextlib, functools, os, time
            from nbtasks import App

            app = App("proj")

            def locked(folder):
                def around(function):
                    @functools.wraps(function)
                    def inside(self, *args):
                        try:
                            os.mkdir(folder)
                        except FileExistsError:
                            raise self.retry(countdown=0.1)
                        try:
                            return function(self, *args)
                        finally:
                            os.rmdir(folder)
                    return inside
                return around

            @app.task(bind=True, max_retries=None)
            @locked("the.lock")
            def one_at_a_time(self, n):
                time.sleep(0.1)
                return n

            @app.task(autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=0.1)
            def again(path):
                with open(path, "a") as file:
                    file.write("x")
                if os.path.getsize(path) < 3:
                    raise OSError("not yet")
                return os.path.getsize(path)

            @app.task
            def starts_another(n):
                return one_at_a_time.delay(n).id

            @app.task
            def fails():
                raise ValueError("seen in the log")
        """,
        console="""
            from nbtasks import App
            import proj
            print([call.get(timeout=60) for call in [proj.one_at_a_time.delay(n) for n in range(4)]])
            print(proj.again.delay("tries").get(timeout=60))
            print(proj.app.AsyncResult(proj.starts_another.delay(7).get(timeout=60)).get(timeout=60))
            print(proj.fails.apply_async(queue="io").get(propagate=False, timeout=60))
            print(len(proj.app.attach(last=3)), sorted(one.name for one in proj.app.workers()))
        """,
    )
    first = worker(
        "-A", "proj", "-l", "info", "-Q", "default,io", "-n", "default@host01", "-f", "w.log", "-c", "2",
        ready=lambda: (project / "w.log").exists() and " ready\n" in (project / "w.log").read_text(),
    )  # fmt: skip
    worker("-A", "proj", "-l", "info", "-n", "more@host01", "-c", "1")
    assert typed.run("console.py").stdout.splitlines() == [
        "[0, 1, 2, 3]",
        "3",
        "7",
        "seen in the log",
        "3 ['default@host01', 'more@host01']",
    ]
    assert first.end() == 0
    log = (project / "w.log").read_text()
    assert "ValueError: seen in the log" in log
    assert "Traceback" in log


@rows(138, 146, 147, 148, 149, 150, 151, 152)
def test_say_hello(typed, worker, eventually):
    typed(
        tasks="""
            import time
            from nbtasks import App
            app = App("tasks")

            @app.task
            def say_hello(name: str):
                time.sleep(1)
                return f"Hello {name}"
        """,
        console="""
            from tasks import say_hello
            result = say_hello.delay("Ann")
            print(result.status in {"PENDING", "STARTED"})
            print(result.get(timeout=60), result.status)
            try:
                say_hello.delay()
            except TypeError as error:
                print("name" in str(error))
        """,
    )
    running = worker("-l", "info", "--pool=solo", before=("-A", "tasks"))
    assert typed.run("console.py").stdout.splitlines() == ["True", "Hello Ann SUCCESS", "True"]
    eventually(lambda: "received" in running.text and "succeeded in 1." in running.text, "the log says so")


def test_the_rows_are_shown():
    """At least so many of the 154 as are demanded, each by a test that is there."""
    for where in ELSEWHERE.values():
        assert (TESTS / where).exists(), where
    assert not SHOWN.keys() & ELSEWHERE.keys()
    assert len(SHOWN.keys() | ELSEWHERE.keys()) >= 146
