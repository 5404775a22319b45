"""The tutorials' decorator and base class over ZooKeeper (kazoo) and etcd run in tasks as they are, as users' code.

Debian's servers are unpacked into the cache folder of the tests; where they cannot be had, the tests are skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from tests.servers.cache import Missing
from tests.servers.debian import unpacked
from tests.servers.server import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
PACKAGES = (
    *("zookeeper", "libzookeeper-java", "libnetty-java", "libslf4j-java", "libsnappy-java", "libsnappy-jni"),
    *("libcommons-cli-java", "libcommons-io-java", "libjackson2-core-java", "libjackson2-databind-java"),
    *("libjackson2-annotations-java", "libdropwizard-metrics-java", "libjetty9-java", "liblog4j1.2-java"),
    "etcd-server",
)
#: Of two of these the server would not know which one it logs with.
NOT_ALONG = (
    "jcl-over",
    "jul-to",
    "log4j-over",
    "slf4j-jcl",
    "slf4j-jdk14",
    "slf4j-log4j12",
    "slf4j-nop",
    "migrator",
)

COMMON = """
import functools, json, os, sys, time, urllib.request
from nbtasks import App, Task

PLACE, LEDGER = sys.argv[1:3]

def work(n):
    with open(LEDGER, "a") as file:
        file.write(f"+{n}\\n"); file.flush()
        time.sleep(0.05)
        file.write(f"-{n}\\n")
    return n
"""
ZOOKEEPER = """
from kazoo.client import KazooClient

def locked(name, max_leases=1):
    def decorate(function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            client = KazooClient(hosts=PLACE)
            client.start()
            try:
                with client.Semaphore(f"/locks/{name}", max_leases=max_leases):
                    return function(*args, **kwargs)
            finally:
                client.stop()
                client.close()
        return run
    return decorate

class LockedTask(Task):
    def __call__(self, *args, **kwargs):
        client = KazooClient(hosts=PLACE)
        client.start()
        try:
            with client.Lock(f"/tasks/{self.name}"):
                return self.run(*args, **kwargs)
        finally:
            client.stop()
            client.close()
"""
ETCD = """
import base64

def ask(path, **fields):
    request = urllib.request.Request(f"http://{PLACE}/v3/{path}", json.dumps(fields).encode())
    return json.load(urllib.request.urlopen(request, timeout=60))

def locked(name, max_leases=1):
    def decorate(function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            lease = ask("lease/grant", TTL=30)["ID"]
            key = ask("lock/lock", name=base64.b64encode(name.encode()).decode(), lease=lease)["key"]
            try:
                return function(*args, **kwargs)
            finally:
                ask("lock/unlock", key=key)
                ask("lease/revoke", ID=lease)
        return run
    return decorate

class LockedTask(Task):
    def __call__(self, *args, **kwargs):
        return locked(self.name)(self.run)(*args, **kwargs)
"""
MAIN = """
if __name__ == "__main__":
    with App() as app:
        app.start_workers(4)

        @app.task
        @locked("counter", max_leases=2)
        def decorated(n):
            return work(n)

        @app.task(base=LockedTask, name="import-data")
        def based(n):
            return work(n)

        assert decorated.map(range(8)).get(timeout=120) == list(range(8))
        with open(LEDGER, "a") as file:
            file.write("=0\\n")
        assert based.map(range(8)).get(timeout=120) == list(range(8))
"""


@pytest.fixture(scope="module")
def programs():
    """The folder with Debian's ZooKeeper and etcd."""
    try:
        return unpacked("locks", *PACKAGES)
    except Missing as reason:
        pytest.skip(str(reason))


@contextlib.contextmanager
def serving(command, folder, port):
    """A server, as soon as it listens."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def zookeeper(root, folder):
    """A ZooKeeper of its own."""
    java, port = shutil.which("java"), free_port()
    if java is None:
        pytest.skip("ZooKeeper needs java, which is not here")
    lines = [f"dataDir={folder}/data", f"clientPort={port}", "clientPortAddress=127.0.0.1"]
    (folder / "zoo.cfg").write_text("\n".join(["tickTime=2000", *lines, "admin.enableServer=false\n"]))
    jars = [str(jar) for jar in (root / "usr/share/java").glob("*.jar") if not jar.name.startswith(NOT_ALONG)]
    jars = [jar for jar in jars if "migrator" not in jar]
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    with serving([java, "-Xmx256m", "-cp", os.pathsep.join(jars), main, "zoo.cfg"], folder, port) as place:
        yield place


@contextlib.contextmanager
def etcd(root, folder):
    """An etcd of its own."""
    port, peers = free_port(), free_port()
    command = [str(root / "usr/bin/etcd"), "--data-dir", str(folder / "data")]
    for name, number in (("client", port), ("peer", peers)):
        command += [f"--listen-{name}-urls", f"http://127.0.0.1:{number}"]
    command += ["--advertise-client-urls", f"http://127.0.0.1:{port}"]
    command += ["--initial-advertise-peer-urls", f"http://127.0.0.1:{peers}"]
    command += ["--initial-cluster", f"default=http://127.0.0.1:{peers}"]
    with serving(command, folder, port) as place:
        yield place


@pytest.mark.parametrize(
    ("server", "source", "most"), [(zookeeper, ZOOKEEPER, 2), (etcd, ETCD, 1)], ids=["ZooKeeper", "etcd"]
)
def test_their_decorators_and_base_classes_run_as_they_are(
    project, tmp_path, programs, packages, server, source, most
):
    script, ledger = project / "locking.py", tmp_path / "ledger"
    script.write_text(COMMON + source + MAIN)
    path = os.pathsep.join([packages("kazoo"), os.environ.get("PYTHONPATH", "")])
    folder = tmp_path / "server"
    folder.mkdir()
    with server(programs, folder) as place:
        command = [sys.executable, str(script), place, str(ledger)]
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    decorated, based = ledger.read_text().split("=0")
    assert most_inside(decorated) <= most
    assert most_inside(based) == 1


def most_inside(text):
    """How many were in at once."""
    inside = most = 0
    for line in text.split():
        inside += 1 if line[0] == "+" else -1
        most = max(most, inside)
    return most
