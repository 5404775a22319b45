"""No server outlives the tests that use it, however these end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.guard import below

#: What a process of pytest does that has a server of its own, or shares one with the others of its run.
USER = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.servers.postgresql import PostgreSQL
from tests.servers.shared import shared

def tried(folder):
    return PostgreSQL(durable=False, folder=folder)

def own():
    with PostgreSQL(durable=False) as server:
        server.start()
        use(server)

def one_for_all():
    with shared(tried) as server:
        use(server)

def use(server):
    with server.admin() as admin:
        admin.execute("SELECT 1")
    print(server.folder, server.port, flush=True)
    sys.stdin.readline()

globals()[sys.argv[2]]()
"""


class User:
    """A process that uses a server until it is told to leave."""

    def __init__(self, what, run):
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(Path(__file__).parents[2]), what],
            env={**os.environ, "PYTEST_XDIST_TESTRUNUID": run},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        folder, self.port = self.process.stdout.readline().split()
        self.folder = Path(folder)

    def leave(self):
        """Let it end in good order."""
        self.process.communicate("\n", timeout=90)
        assert self.process.returncode == 0

    def kill(self):
        """Kill it."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def user(postgres_server, request):
    """``user("own")`` or ``user("one_for_all")``: a process that uses a server."""
    started = []

    def start(what):
        started.append(User(what, run=f"{os.getpid()}{request.node.name}"))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def gone(folder):
    """Whether nothing is left of a server: neither its folder nor a process."""
    named = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in said(path)]
    return not folder.exists() and not named


def said(path):
    """The command of a process."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_server_ends_with_a_process_that_is_killed(user, eventually):
    one = user("own")
    assert below(one.process.pid)
    one.kill()
    eventually(lambda: gone(one.folder), "nothing is left")


def test_a_shared_server_ends_with_the_last_of_a_run(user, eventually):
    first, second, third = (user("one_for_all") for _ in range(3))
    assert first.port == second.port == third.port
    first.leave()  # it had started the server
    second.kill()
    assert third.folder.exists()
    fourth = user("one_for_all")
    assert fourth.port == third.port
    third.kill()
    assert fourth.folder.exists()
    fourth.leave()
    assert gone(fourth.folder)


def test_a_shared_server_belongs_to_no_process_of_the_run(postgres_server, run_folder):
    stat = Path(f"/proc/{postgres_server.pid}/stat").read_text()
    guard = stat.rpartition(")")[2].split()[1]
    environment = Path(f"/proc/{guard}/environ").read_bytes()
    assert str(postgres_server.folder).encode() in environment
    assert str(run_folder).encode() not in environment
