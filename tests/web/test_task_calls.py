"""Tasks called over HTTP, and their results: what programs in other languages do."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from nbtasks import App, ConfigError
from nbtasks.web.hooksto import HooksTo
from tests.conftest import wait_until

from .conftest import started

JSON = {"Content-Type": "application/json"}
PROJECT = """
import time
from nbtasks import App

app = App("called", namespace="t-task-calls")

@app.task
def add(x, y=1):
    return x + y

@app.task
def fails(text):
    raise ValueError(text)

@app.task
def half():
    return {"text": "\\ud800"}

@app.task
def odd():
    return {1, 2}

@app.task
def waits(path):
    from pathlib import Path
    while not Path(path).exists():
        time.sleep(0.01)
    return "went on"
"""


class Receiver:
    """A server that is told of ends; it answers 500 as often as it is told to."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, str], bytes]] = []
        self.failures = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 204
                if receiver.failures:
                    receiver.failures -= 1
                    status = 500
                else:
                    receiver.told.append((self.path, dict(self.headers), body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def project(tmp_path_factory, run_folder):
    """A worker that has tasks of its own."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "called_project.py").write_text(PROJECT)
    (folder / "lies_beside.py").write_text(f"open({str(folder / 'was-run')!r}, 'w').close()")
    with App("called", namespace="t-task-calls", include=["called_project"]) as app:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(folder), prepend=":")
            app.start_workers(2)
        yield app


@pytest.fixture(scope="module")
def served(project, receiver):
    home = project.connection
    with started(home.url, home.namespace, "--webhooks-to", receiver.url) as found:
        yield found


@pytest.fixture
def client(served):
    headers = {"Authorization": f"Bearer {served.token}"}
    with httpx.Client(base_url=served.base, headers=headers, timeout=60) as one:
        yield one


def result(client, id):
    answer = client.get(f"api/task/result/{id}", params={"timeout": 60})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_task_is_called_by_its_name(client):
    answer = client.post("api/task/async-apply/called_project.add", json={"args": [2, 3]})
    assert answer.status_code == 200
    told = answer.json()
    assert told["state"] in ("PENDING", "STARTED", "SUCCESS")
    assert result(client, told["task-id"]) == {"task-id": told["task-id"], "state": "SUCCESS", "result": 5}
    sent = client.post(
        "api/task/send-task/called_project.add", json={"args": [2], "kwargs": {"y": 40}}
    ).json()
    assert result(client, sent["task-id"])["result"] == 42
    info = client.get(f"api/task/info/{sent['task-id']}").json()
    assert (info["task"], info["state"], info["result"]) == ("called_project.add", "SUCCESS", "42")


def test_apply_waits_for_the_value(client):
    answer = client.post("api/task/apply/called_project.add", json={"args": [1], "task_id": "order-17"})
    assert answer.json() == {"task-id": "order-17", "state": "SUCCESS", "result": 2}
    assert result(client, "order-17")["result"] == 2


def test_options_go_along(client):
    late = client.post("api/task/async-apply/called_project.add", json={"args": [1], "countdown": 600}).json()
    assert client.get(f"api/task/result/{late['task-id']}").json() == {**late, "state": "PENDING"}
    answer = client.post(f"api/task/revoke/{late['task-id']}", json={})
    assert answer.json()["ok"] is True
    assert result(client, late["task-id"])["state"] == "REVOKED"


def test_a_failure_is_told_without_a_trace_of_the_server(client):
    told = client.post("api/task/apply/called_project.fails", json={"args": ["no such row"]}).json()
    assert told["state"] == "FAILURE"
    assert told["error"] == "ValueError: no such row"
    assert "Traceback" in told["traceback"]
    unknown = client.post("api/task/apply/called_project.nothing", json={}).json()
    assert unknown["state"] == "FAILURE"
    assert "has no task 'called_project.nothing'" in unknown["error"]


def test_a_value_that_json_cannot_hold_is_text(client):
    told = client.post("api/task/apply/called_project.odd", json={}).json()
    assert told["result"] is None
    assert told["result_repr"] == "{1, 2}"


def test_half_a_letter_is_told(client):
    told = client.post("api/task/apply/called_project.half", json={}).json()
    assert told["result"] == {"text": "\ud800"}
    told = client.post(
        "api/task/apply/called_project.add", content=rb'{"args": ["\ud800", ""]}', headers=JSON
    )
    assert told.json()["result"] == "\ud800"


def test_workers_run_no_module_because_somebody_names_it(client, tmp_path_factory):
    told = client.post("api/task/apply/lies_beside.anything", json={}).json()
    assert told["state"] == "FAILURE"
    assert "has no task 'lies_beside.anything'" in told["error"]
    assert not list(tmp_path_factory.getbasetemp().glob("project*/was-run"))


@pytest.mark.parametrize(
    "name", ["nbtasks.webhook", "nbtasks.webhook_error", "nbtasks.client.calledurls.tell_value"]
)
def test_a_webhook_is_called_by_no_other_name(client, receiver, name):
    for way in ("apply", "async-apply", "send-task"):
        answer = client.post(f"api/task/{way}/{name}", json={"args": [1, f"{receiver.url}/forged"]})
        assert answer.status_code == 403
        assert "say webhook=URL" in answer.json()["said"]
    assert "/forged" not in [path for path, _, _ in receiver.told]


def test_an_id_may_have_a_slash(client):
    told = client.post("api/task/apply/called_project.add", json={"args": [1], "task_id": "orders/17"}).json()
    assert told["task-id"] == "orders/17"
    assert result(client, "orders/17")["result"] == 2
    assert client.get("api/task/info/orders/17").json()["state"] == "SUCCESS"


def test_waiting_has_an_end(client, gate):
    sent = client.post("api/task/async-apply/called_project.waits", json={"args": [gate.path]}).json()
    answer = client.get(f"api/task/result/{sent['task-id']}", params={"timeout": 0.2})
    assert answer.json()["state"] in ("PENDING", "STARTED")
    answer = client.post(f"api/task/revoke/{sent['task-id']}", json={"terminate": True})
    assert answer.json()["ok"]
    assert result(client, sent["task-id"])["state"] == "REVOKED"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"args": {}}, "args is a list"),
        ({"kwargs": []}, "kwargs an object"),
        ({"unknown": 1}, "'unknown' is unknown"),
        ({"countdown": "soon"}, "'countdown' is unknown, or of another kind"),
        ({"priority": 77}, "priority"),
        ({"queue": "no such/queue"}, "queue"),
        ({"webhook": "https://example.org/"}, "calls URLs that begin with"),
        ({"webhook": "file:///etc/passwd"}, "no URL"),
        ({"webhook": 7}, "webhook is a URL"),
    ],
)
def test_what_makes_no_sense_is_refused(client, body, says):
    answer = client.post("api/task/async-apply/called_project.add", json=body)
    assert answer.status_code == 400
    assert says in answer.json()["said"]


def test_who_asks_wrongly_is_told(client):
    assert client.get("api/task/result/nobody").status_code == 404
    assert client.get("api/task/info/nobody").status_code == 404
    assert client.get("api/task/result/nobody?timeout=soon").status_code == 400
    assert client.get("api/task/result/nobody?timeout=1e9").status_code == 400
    assert client.get("api/task/result/nobody?timeout=nan").status_code == 400
    assert client.post("api/task/revoke/nobody").status_code == 404
    ended = client.post("api/task/apply/called_project.add", json={"args": [1, 2]}).json()["task-id"]
    over = client.post(f"api/task/revoke/{ended}")
    assert (over.status_code, over.json()["said"]) == (400, "it has ended already: SUCCESS")


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("api/tasks?limit=x", 400, "limit='x' is no number of calls"),
        ("api/tasks?state=DONE", 400, "state='DONE' is none; there are PENDING, STARTED"),
        ("api/tasks?stat=FAILURE", 400, "'stat' is unknown; did you mean 'state'?"),
        ("api/tasks?colour=red", 400, "'colour' is unknown; there are state, task"),
        ("api/tasks?since=yesterday", 400, "since='yesterday' is no number of seconds"),
        ("api/nothing", 404, "there is nothing at '/api/nothing'"),
        ("api/task/apply/called_project.add", 405, "is asked with POST, not GET"),
    ],
)
def test_a_path_that_makes_no_sense_says_what_there_is(client, path, status, says):
    answer = client.get(path)
    assert answer.status_code == status
    assert says in answer.json()["said"]
    assert answer.json()["ok"] is False


def test_calls_are_asked_for_by_flowers_words_too(client):
    client.post("api/task/apply/called_project.add", json={"args": [1, 2]})
    found = client.get("api/tasks?taskname=called_project.add&state=success&limit=1").json()
    assert found["filters"]["task"] == "called_project.add"
    assert found["filters"]["state"] == "SUCCESS"
    assert found["filters"]["limit"] == 1


def test_a_limit_is_not_taken_away_by_mistake(client, project):
    (worker,) = project.workers()
    path = "api/task/rate-limit/called_project.odd"
    nothing = client.post(path)
    assert (nothing.status_code, nothing.json()["said"][:27]) == (400, "rate_limit: say ?ratelimit=")
    assert client.post("api/task/timeout/called_project.odd").status_code == 400
    wrong = client.post(path, params={"ratelimit": "1000", "workername": "nobody"})
    assert (wrong.status_code, "no worker 'nobody'" in wrong.json()["said"]) == (400, True)
    mistyped = client.post(path, params={"ratelimit": "1000", "worker": worker.name})
    assert "'worker' is unknown; there are ratelimit, workername" in mistyped.json()["said"]
    for rate in ("1000", "none"):
        one = client.post(path, params={"ratelimit": rate, "workername": worker.name})
        assert one.json()["workers"] == {worker.name: {"ok": "new rate limit set successfully"}}


def test_workers_are_told_by_flowers_paths(client, project):
    (worker,) = project.workers()
    answer = client.post(f"api/worker/pool/grow/{worker.name}", params={"n": 1})
    assert (answer.status_code, answer.json()["workers"]) == (200, {worker.name: {"ok": "pool will grow"}})
    assert client.post(f"api/worker/pool/shrink/{worker.name}").json()["ok"]
    assert client.post(f"api/worker/queue/add-consumer/{worker.name}", params={"queue": "io"}).json()["ok"]
    assert client.post(f"api/worker/queue/cancel-consumer/{worker.name}", params={"queue": "io"}).json()["ok"]
    assert client.post("api/task/rate-limit/called_project.odd", params={"ratelimit": "1000"}).json()["ok"]
    assert client.post("api/task/timeout/called_project.odd", params={"soft": 50, "hard": 60}).json()["ok"]
    wrong = client.post("api/worker/shutdown/nobody")
    assert wrong.status_code == 400
    assert "no worker 'nobody' is there" in wrong.json()["said"]
    assert client.get(f"api/worker/shutdown/{worker.name}").status_code == 405


def check_signed(headers, body, secret):
    made = hmac.new(secret.encode(), headers["X-Nbtasks-Time"].encode() + b"." + body, hashlib.sha256)
    assert headers["X-Nbtasks-Signature"] == f"sha256={made.hexdigest()}"


def secret_of(project) -> str:
    """What the command prints for who receives."""
    home = project.connection
    line = [sys.executable, "-m", "nbtasks", "webhook-secret", "-b", home.url, "--namespace", home.namespace]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_a_url_is_called_when_a_task_ends(client, project, receiver):
    secret = secret_of(project)
    # It does not answer at first: it is told again.
    receiver.failures = 1
    calls = {
        "add": client.post(
            "api/task/async-apply/called_project.add", json={"args": [1, 2], "webhook": f"{receiver.url}/add"}
        ).json()["task-id"],
        "fails": client.post(
            "api/task/async-apply/called_project.fails",
            json={"args": ["x"], "webhook": f"{receiver.url}/fails"},
        ).json()["task-id"],
    }

    def told():
        found = {path.strip("/"): json.loads(body) for path, _, body in receiver.told}
        return found if calls.keys() <= found.keys() else None

    found = wait_until(told, "both were told")
    assert found["add"] == {"task-id": calls["add"], "state": "SUCCESS", "result": 3, "error": None}
    assert found["fails"] == {
        "task-id": calls["fails"],
        "state": "FAILURE",
        "result": None,
        "error": "ValueError: x",
    }
    for _, headers, body in receiver.told:
        check_signed(headers, body, secret)


def test_python_says_it_with_its_options(project, receiver):
    from nbtasks.webhooks import webhook

    add = project.task_named("called_project.add")
    handle = add.apply_async((20, 2), **webhook(f"{receiver.url}/python"))
    assert handle.get() == 22

    def told():
        return [json.loads(body) for path, _, body in receiver.told if path == "/python"]

    (found,) = wait_until(told)
    assert found["task-id"] == handle.id
    assert found["result"] == 22


def test_no_url_is_called_that_nobody_has_allowed(project):
    home = project.connection
    with started(home.url, home.namespace) as served:
        headers = {"Authorization": f"Bearer {served.token}"}
        with httpx.Client(base_url=served.base, headers=headers, timeout=60) as client:
            body = {"webhook": "http://127.0.0.1:1/"}
            answer = client.post("api/task/async-apply/called_project.add", json=body)
            assert answer.status_code == 400
            assert "started without --webhooks-to" in answer.json()["said"]


@pytest.mark.parametrize(
    "url",
    [
        "{base}/hooks/../admin", "{base}/hooks/%2e%2E/admin", "{base}/hooks/./../admin", "{base}/hooks/..%2fadmin",
        "{base}/hooks/..\\admin", "{base}/hooks-of-others", "{base}/hooks.evil/", "{base}/HOOKS/",
        "{base}@evil.example/hooks/",
        "http://evil.example/{base}/hooks/", "{base}.evil.example/hooks/", "{base}\\@evil.example/hooks/",
        "{base}/hooks/\u2025/\n", "{base}/\thooks/",
    ],
)  # fmt: skip
def test_only_urls_that_lie_below_one_are_called(url):
    hooks = HooksTo(["http://127.0.0.1:8000/hooks"])
    with pytest.raises(ConfigError, match="webhook"):
        hooks.linked(url.format(base="http://127.0.0.1:8000"), None)


def test_urls_that_lie_below_one_are_called():
    hooks = HooksTo(["http://Hooks.example/told", "https://hooks.example"])
    for url in (
        "http://hooks.example/told", "http://HOOKS.example/told/17", "http://hooks.example/told?of=17",
        "https://hooks.example/any/..where", "https://hooks.example/",
    ):  # fmt: skip
        assert hooks.linked(url, None)


class Endless(threading.Thread):
    """A server whose answer has no end; ``gone`` is set when who has asked has had enough."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self.gone = threading.Event()

    def run(self) -> None:
        with self._socket, self._socket.accept()[0] as asked, contextlib.suppress(OSError):
            asked.recv(10_000)
            asked.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not self.gone.wait(0.05):
                asked.sendall(b"more" * 10_000)
        self.gone.set()


def test_a_url_that_answers_without_end_holds_no_worker(project):
    from nbtasks.webhooks import webhook

    server = Endless()
    server.start()
    project.task_named("called_project.add").apply_async((20, 2), **webhook(server.url))
    try:
        assert server.gone.wait(30)
    finally:
        server.gone.set()
        server.join(30)
