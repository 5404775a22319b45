"""The user for a shared server that docs/security.md gives: enough for everything, and for nothing else."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from nbtasks import App, ConfigError, progress
from nbtasks.monitor.monitor import Monitor
from tests.chaos import servers

SOON = 60.0
PAGE = Path(__file__).parent.parent.parent / "docs" / "security.md"
#: Used by the connection or by the test itself, and by no room of nbtasks.
NOT_OURS = {"auth", "hello", "client", "acl", "config", "command"}
#: Only with a database number in the URL.
SELDOM = {"select"}


def documented_line() -> str:
    """The line of the documentation."""
    return re.search(r"^ACL SETUSER nbtasks .*$", PAGE.read_text(), re.MULTILINE).group()


def documented_commands() -> set[str]:
    """The commands in it."""
    return set(re.findall(r"\+(\w+)", documented_line()))


#: The others are fetched first.
SERVERS = ["bundled", *(pytest.param(name, marks=pytest.mark.long) for name in ("redis-7", "redis-6.2"))]


@pytest.fixture(params=SERVERS)
def server(request, run_folder) -> Iterator[servers.Server]:
    """A server of the test's own."""
    try:
        flavour = servers.find(request.param)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    one = servers.Server(flavour, Path(tempfile.mkdtemp(prefix="a", dir=run_folder)))
    one.start()
    yield one
    one.kill()


@pytest.fixture
def admin(server) -> Iterator[redis.Redis]:
    """Who may do everything."""
    with server.client() as client:
        yield client


@pytest.fixture
def limited(server, admin, home) -> str:
    """A URL with the documented user."""
    admin.execute_command(*documented_line().replace("PASSWORD", "s3cret").split())
    admin.config_resetstat()
    return f"unix://nbtasks:s3cret@{server.socket}"


def slow(path, gate):
    """Task code: report progress, then wait."""
    with Path(path).open("a") as file:
        file.write("runs\n")
    print("waits")
    end = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < end:
        progress(1, 2)
        time.sleep(0.02)
    return "went on"


def fails_once(path):
    """Task code: fail the first time."""
    with Path(path).open("a") as file:
        file.write("tried\n")
    if Path(path).read_text().count("tried") == 1:
        raise OSError("for now")
    return "in the end"


def dies(path):
    """Task code: end the process the first time."""
    first = not Path(path).exists()
    Path(path).touch()
    if first:
        os._exit(3)
    return "alive"


def journey(url, admin, tmp_path, ledger, gate, eventually):
    """Everything that asks something of the server."""
    with App(broker=url) as app:
        app.start_workers(2, lease=1.0)
        assert app.task(len).delay("ab").get(timeout=SOON) == 2
        assert app.task(abs).map(range(100)).get(timeout=SOON) == list(range(100))
        assert app.task(abs).map(range(5), max_parallel=2).get(timeout=SOON) == list(range(5))
        assert app.control.rate_limit("anything", "1/s")[0].popitem()[1]["ok"]
        assert app.control.inspect().scheduled()
        in_turn = [app.task(time.sleep, locks="acl").delay(1.5) for _ in range(3)]
        eventually(lambda: "waits before it" in (in_turn[2].why_pending() or ""), "it stands in line")
        with app.lock("code"):
            assert [one.get(timeout=SOON) for one in in_turn] == [None] * 3
        large = app.task(lambda data: data * 2).delay(b"x" * 200_000)
        assert len(large.get(timeout=SOON)) == 400_000
        assert app.task(len).apply_async(("ab",), countdown=0.2).get(timeout=SOON) == 2
        limited = app.task(abs, rate_limit="10/s").map(range(3))
        assert limited.get(timeout=SOON) == [0, 1, 2]
        retried = app.task(fails_once, retries=2, retry_backoff=0.01).delay(ledger.path)
        assert retried.get(timeout=SOON) == "in the end"
        assert app.task(dies).delay(str(tmp_path / "died")).get(timeout=SOON) == "alive"
        held = app.task(slow).starmap([(ledger.path, gate.path)] * 4, chunk=2)
        eventually(lambda: ledger.lines().count("runs") == 2 and held.batch.running, "two run")
        waiting = app.task(len).delay("ab")
        eventually(lambda: "busy" in (waiting.why_pending() or ""), "the reason is told")
        with App(broker=url) as other:
            assert other.attach(last=20)
            again = other.attach(held.id)[0]
            (worker,) = other.workers()
            held.revoke(terminate=True)
            assert again.until_ready(SOON)
            look_at_every_page(app)
        assert waiting.get(timeout=SOON) == 2
        trimmed = eventually(
            lambda: (
                app.task(len).delay("ab").get(timeout=SOON) and "cmdstat_xtrim" in admin.info("commandstats")
            ),
            "what was read is trimmed now and then",
        )
        assert trimmed
        large.forget()
        eventually(lambda: not admin.exists(app.session.line.keys.batch(large.id)), "it is forgotten")
        os.kill(worker.pid, signal.SIGKILL)
        assert app.task(len).delay("ab").get(timeout=SOON) == 2
        admin.script_flush()
        assert app.task(len).delay("ab").get(timeout=SOON) == 2
        admin.flushall()
        assert app.task(len).delay("ab").get(timeout=SOON) == 2
        app.check()


def look_at_every_page(app):
    """The dashboard, with a lock on its page."""
    monitor = Monitor(app)
    with app.lock("looked at"):
        problems = {name: monitor.page(name, {"id": "1"})["problem"] for name in monitor.names}
    assert set(problems) - {"call"} == {name for name, problem in problems.items() if problem is None}
    monitor.close()


@pytest.mark.long
def test_everything_works_and_nothing_is_superfluous(
    limited, admin, tmp_path, ledger, gate, eventually, server
):
    journey(limited, admin, tmp_path, ledger, gate, eventually)
    stats = admin.info("commandstats")
    used = {name.removeprefix("cmdstat_").split("|")[0] for name, stat in stats.items() if int(stat["calls"])}
    by_the_test = {"flushall", "script"}
    assert documented_commands() - SELDOM <= used, "documented, and never used"
    assert used - NOT_OURS - by_the_test <= documented_commands(), "used, and not documented"
    denied = [entry for entry in admin.acl_log() if entry["username"] == "nbtasks"]
    assert {entry["object"].split("|")[0] for entry in denied} <= NOT_OURS


@pytest.mark.parametrize(
    "command",
    [
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "GET", "*"),
        ("SCRIPT", "FLUSH"),
        ("SHUTDOWN", "NOSAVE"),
        ("ACL", "LIST"),
        ("SET", "other", "1"),
        ("GET", "other"),
        ("XADD", "jobs", "*", "a", "b"),
        ("EVAL", "return redis.call('KEYS', '*')", "0"),
        ("EVAL", "return redis.call('SET', 'other', '1')", "0"),
        ("PUBLISH", "nb:channel", "x"),
        ("SUBSCRIBE", "nb:channel"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("server", ["bundled"], indirect=True)
def test_other_commands_and_other_keys_are_denied(limited, command):
    client = redis.Redis.from_url(limited, single_connection_client=True)
    try:
        with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|NOPERM|ACL|can't run"):
            client.execute_command(*command)
        assert client.set("nb:{x:0}:mine", "1")
    finally:
        client.close()


@pytest.mark.parametrize("server", ["bundled"], indirect=True)
def test_a_user_of_one_namespace_only(server, admin, home):
    line = documented_line().replace("PASSWORD", "s3cret").replace("~nb:*", "~nb:{group:0}:*")
    admin.execute_command(*line.split())
    url = f"unix://nbtasks:s3cret@{server.socket}"
    with App(broker=url, namespace="group") as app:
        app.start_workers(1)
        assert app.task(len).delay("ab").get(timeout=SOON) == 2
    with App(broker=url, namespace="others") as app, pytest.raises(ConfigError, match="does not allow"):
        app.task(len).delay("ab").get(timeout=SOON)
