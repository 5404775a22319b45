"""The compose file: it follows the specification, holds no secret, and what it starts works together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from ruamel.yaml import YAML

from nbtasks import App
from nbtasks.wire.signing import encode_key
from tests.chaos.servers import find
from tests.conftest import wait_until
from tests.servers.sentinels import KeyServer
from tests.servers.server import free_port

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
SOON = 60.0
PASSWORD = "0123456789abcdef"


@pytest.fixture(scope="module")
def services() -> dict:
    """The services of the file."""
    return YAML(typ="safe").load(FOLDER / "compose.yaml")["services"]


def test_it_follows_the_specification():
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        cwd=FOLDER, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_docker_compose_takes_it(tmp_path):
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], check=False).returncode
    ):
        pytest.skip("there is no docker compose here")
    shutil.copytree(FOLDER, tmp_path / "compose")
    filled = re.sub(
        r"^(\w+_PASSWORD)=$", rf"\1={PASSWORD}", (FOLDER / "example.env").read_text(), flags=re.MULTILINE
    )
    (tmp_path / "compose" / ".env").write_text(filled)
    (tmp_path / "compose" / "nbtasks.key").write_text("key")
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=tmp_path / "compose", check=True)


def test_it_is_of_all_parts_with_a_look_whether_they_are_well(services):
    assert list(services) == ["rabbitmq", "redis", "postgres", "worker"]
    assert services["worker"]["deploy"]["replicas"] == 2
    assert all("healthcheck" in one and "restart" in one for one in services.values())
    waits = services["worker"]["depends_on"]
    assert waits == {name: {"condition": "service_healthy"} for name in services if name != "worker"}


def test_no_password_has_a_default_and_no_port_is_open_for_others(services):
    text = (FOLDER / "compose.yaml").read_text()
    assert all(found.startswith(":?") for found in re.findall(r"\$\{\w+_PASSWORD(.*?)\}", text))
    settings = dict(
        line.split("=", 1)
        for line in (FOLDER / "example.env").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert set(re.findall(r"\$\{(\w+)", text)) == set(settings)
    assert {name for name, value in settings.items() if not value} == {
        name for name in settings if name.endswith("_PASSWORD")
    }
    assert all(port.startswith("127.0.0.1:") for one in services.values() for port in one.get("ports", ()))


def test_what_is_secret_is_kept_out_of_git_and_of_the_image():
    assert {".env", "nbtasks.key"} <= set((FOLDER / ".gitignore").read_text().split())
    kept = (FOLDER / ".dockerignore").read_text().split()
    assert kept[0] == "*"
    copied = re.findall(r"^COPY (?:--\S+ )*(\S+)", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    assert {f"!{name}" for name in [*copied, "Dockerfile"]} == set(kept[1:])


def test_the_redis_has_its_password_and_shows_it_to_nobody(services, tmp_path):
    port = free_port()
    (tmp_path / "redis-server").symlink_to(find("bundled").binary)
    command = services["redis"]["command"]
    script = command[2].replace("$$", "$").replace("/data", f"{tmp_path} --port {port}")
    server = subprocess.Popen(
        [*command[:2], script], stdout=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "REDIS_PASSWORD": PASSWORD},
    )  # fmt: skip
    try:
        client = redis.Redis(port=port, password=PASSWORD)

        def answers():
            try:
                return client.ping()
            except redis.exceptions.ConnectionError:
                return False

        wait_until(answers, "the server answers")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=port).ping()
        if sys.platform == "linux":
            assert PASSWORD.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    finally:
        # What it is started as is the server itself: a stop reaches it.
        server.terminate()
        assert server.wait(SOON) == 0


def command_of_image() -> list[str]:
    """What the image runs."""
    line = re.search(r"^CMD (.*)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)[1]
    found: list[str] = YAML(typ="safe").load(line)
    return found


@pytest.mark.long
def test_two_workers_take_calls_and_are_well(services, rabbitmq_url, home, tmp_path, start_server):
    ledger = start_server(KeyServer, find("bundled"))
    backend = f"redis://127.0.0.1:{ledger.port}/0"
    key = os.urandom(32)
    (tmp_path / "nbtasks.key").write_text(encode_key(key) + "\n")
    around = {
        **os.environ,
        "PATH": f"{FOLDER}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NBTASKS_BROKER": rabbitmq_url, "NBTASKS_BACKEND": backend,
        "NBTASKS_KEY_SECRET": str(tmp_path / "nbtasks.key"),
    }  # fmt: skip
    names = ["host-one", "host-two"]
    started = [subprocess.Popen(command_of_image(), env={**around, "HOSTNAME": name}) for name in names]
    try:
        with App(broker=rabbitmq_url, backend=backend, key=key) as app:
            wait_until(lambda: {one.name for one in app.workers()} == set(names), "both are there")
            assert app.task(len).map([[1], [2, 3]]).get(timeout=SOON) == [1, 2]
            check = services["worker"]["healthcheck"]["test"][1].replace("$$", "$")
            for name in (*names, "nobody"):
                done = subprocess.run(
                    ["sh", "-c", check], env={**around, "HOSTNAME": name}, capture_output=True, check=False
                )
                assert (done.returncode == 0) == (name in names), done.stderr
    finally:
        for worker in started:
            worker.terminate()
        assert [worker.wait(SOON) for worker in started] == [0, 0]
