"""Which servers are taken, which are refused, and what is said."""

from __future__ import annotations

import socket
import threading
import traceback

import pytest
import redis

from nbtasks import App, BrokerUnavailable, BrokerUnsuitable, ConfigError, OperationalError
from nbtasks.broker.redis.link import Link
from tests.servers.server import free_port

SOON = 60.0


class Pretender:
    """Answers INFO as some old server does. Nothing else is asked of it before it is refused."""

    def __init__(self, version: str) -> None:
        self._info = f"# Server\r\nredis_version:{version}\r\n".encode()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with link, link.makefile("rb") as lines:
            while line := lines.readline():
                words = [lines.readline() and lines.readline().strip().upper() for _ in range(int(line[1:]))]
                if words[0] == b"INFO":
                    link.sendall(b"$%d\r\n%s\r\n" % (len(self._info), self._info))
                elif words[0] == b"TIME":
                    link.sendall(b"*2\r\n$1\r\n1\r\n$1\r\n0\r\n")
                else:
                    link.sendall(b"+OK\r\n")

    def close(self) -> None:
        self._socket.close()


def test_an_unreachable_broker_is_told_at_the_call_with_host_and_fix(home):
    with App(broker="redis://:secret@127.0.0.1:1/0") as app, pytest.raises(BrokerUnavailable) as caught:
        app.task(len).delay("a")
    message = str(caught.value)
    assert "redis://127.0.0.1:1/0" in message
    assert "cannot be reached" in message
    assert "NBTASKS_BROKER" in message
    assert "nbtasks doctor" in message
    assert "secret" not in message


def test_what_is_no_redis_is_told(home):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        try:
            while True:
                link, _ = listener.accept()
                with link:
                    link.recv(4096)
                    link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        except OSError:
            pass

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with (
        App(broker=f"redis://127.0.0.1:{listener.getsockname()[1]}") as app,
        pytest.raises(BrokerUnavailable),
    ):
        app.task(len).delay("a")
    listener.close()


def test_a_missing_socket_is_told(home, tmp_path):
    with (
        App(broker=f"unix://{tmp_path}/none.sock") as app,
        pytest.raises(BrokerUnavailable, match=r"none\.sock"),
    ):
        app.task(len).delay("a")


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://localhost", "redis://", "redis://host:99999", "memory://", ""]
)
def test_a_wrong_url_is_told_at_once_with_the_accepted_forms(home, url):
    with pytest.raises(ConfigError, match="rediss://"):
        App(broker=url)


def test_a_server_that_may_evict_is_refused(server):
    evicting = server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with App(broker=evicting.url) as app, pytest.raises(BrokerUnsuitable) as caught:
        app.task(len).delay("a")
    assert "allkeys-lru" in str(caught.value)
    assert "set maxmemory-policy noeviction" in str(caught.value)
    assert evicting.client().dbsize() == 0


@pytest.mark.parametrize(
    "settings",
    [
        ("--maxmemory", "100mb", "--maxmemory-policy", "noeviction"),
        ("--maxmemory-policy", "allkeys-lru"),
    ],
)
def test_a_limit_without_eviction_and_eviction_without_a_limit_are_fine(server, settings):
    with App(broker=server(*settings).url) as app:
        app.start_workers(1)
        assert app.task(len).delay("ab").get(timeout=SOON) == 2


@pytest.mark.parametrize("version", ["5.0.14", "6.0.16", "2.8.0"])
def test_an_old_server_is_refused(home, version):
    old = Pretender(version)
    try:
        with App(broker=old.url) as app, pytest.raises(BrokerUnsuitable) as caught:
            app.task(len).delay("a")
        assert f"redis {version}" in str(caught.value)
        assert "Redis 6.2 or later, or Valkey" in str(caught.value)
    finally:
        old.close()


def test_a_wrong_password_is_told(server):
    locked = server("--requirepass", "right")
    wrong = locked.url.replace("unix://", "unix://:wrong@")
    with App(broker=wrong) as app, pytest.raises(ConfigError, match="refused the login") as caught:
        app.task(len).delay("a")
    assert "wrong@" not in str(caught.value)
    with App(broker=locked.url.replace("unix://", "unix://:right@")) as app:
        app.start_workers(1)
        assert app.task(len).delay("ab").get(timeout=SOON) == 2


def test_a_database_that_the_server_does_not_have_is_told(server):
    with (
        App(broker=f"{server().url}?db=99") as app,
        pytest.raises(ConfigError, match=r"does not have the database that the URL names[\s\S]*0 to 15"),
    ):
        app.task(len).delay("ab")


def test_a_missing_password_is_told(server):
    locked = server("--requirepass", "right")
    with (
        App(broker=locked.url) as app,
        pytest.raises(ConfigError, match=r"wants a password[\s\S]*unix://:PASSWORD@") as caught,
    ):
        app.task(len).delay("a")
    assert "cannot be reached" not in str(caught.value)


def test_a_user_without_a_password_is_told(server):
    locked = server("--requirepass", "right")
    with (
        App(broker=locked.url.replace("unix://", "unix://right@")) as app,
        pytest.raises(ConfigError, match="names a user and no password"),
    ):
        app.check()


def test_a_password_that_nobody_asked_for_is_told(server):
    with (
        App(broker=server().url.replace("unix://", "unix://:secret@")) as app,
        pytest.raises(ConfigError, match="has no password, and the URL names one") as caught,
    ):
        app.check()
    assert "secret" not in str(caught.value)


def test_a_login_that_is_lost_on_its_way_leaves_no_password_in_the_frames(home):
    """As tools print a traceback that show local variables."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            try:
                while True:
                    listener.accept()[0].close()
            except OSError:
                pass

        threading.Thread(target=hang_up, daemon=True).start()
        link = Link(f"redis://bob:secret@127.0.0.1:{listener.getsockname()[1]}", "there")
        with pytest.raises(BrokerUnavailable) as caught:
            link.call("PING")
        frames = caught.value.__traceback__.tb_next
        told = traceback.TracebackException(type(caught.value), caught.value, frames, capture_locals=True)
        assert "secret" not in "".join(told.format())


def test_a_login_that_is_changed_is_waited_for(server, eventually):
    """By who was logged in before: the other end may be told of it later, or the server be another one for a while."""
    locked = server("--requirepass", "right", "--appendonly", "yes")
    with App(broker=locked.url.replace("unix://", "unix://:right@")) as app:
        app.start_workers(1, lease=2.0)
        double = app.task(lambda x: 2 * x)
        assert double.delay(1).get(timeout=SOON) == 2
        admin = redis.Redis(
            unix_socket_path=str(locked.socket), password="right", single_connection_client=True
        )
        admin.config_set("requirepass", "another")
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        handle = double.delay(2)
        eventually(lambda: "refused the login" in (handle.why_pending() or ""), "it says what it waits for")
        eventually(lambda: "refused the login" in app.local_workers.log_tail(50), "the worker says it, too")
        admin.config_set("requirepass", "right")
        admin.close()
        assert handle.get(timeout=SOON) == 4


@pytest.mark.parametrize("network", [False, True])
def test_a_server_that_has_as_many_clients_as_it_may_says_so(server, network):
    full = server("--maxclients", "3", *(("--port", str(free_port())) if network else ()))
    port = full.client().config_get("port")["port"]
    url = f"redis://127.0.0.1:{port}" if network else full.url
    clients = [full.client() for _ in range(3)]
    for one in clients:
        one.ping()
    with App(broker=url) as app:
        for use in (app.check, lambda: app.start_workers(1)):
            with pytest.raises(BrokerUnavailable, match=r"as many clients as it may[\s\S]*maxclients"):
                use()
    for one in clients:
        one.close()


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"+OK\r\n" * 9, b":1\r\n" * 9,
     b"*0\r\n" * 9, b"$-1\r\n" * 9, b"$3\r\n\xff\xfe\xfd\r\n" * 9, b"*2\r\n$1\r\na\r\n$1\r\nb\r\n" * 9,
     b"-ERR unknown command\r\n" * 9, b"-\x1b[31m\r\n" * 9, b"\0" * 100, b"*99999999999999999999\r\n",
     b"%1\r\n" * 9, b"-\xff\xfe\r\n" * 9, b"_\r\n" * 9, b"~1\r\n~0\r\n" * 9, b">1\r\n+x\r\n" * 9, b",x\r\n",
     b"$99999999999999\r\n", b"*1\r\n" * 10_000, b""],
    ids=lambda answer: repr(answer[:9]),
)  # fmt: skip
def test_whatever_answers_is_told_as_an_error_of_ours(home, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            try:
                while True:
                    link, _ = listener.accept()
                    with link:
                        link.recv(4096)
                        link.sendall(answer)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        with (
            App(broker=f"redis://127.0.0.1:{listener.getsockname()[1]}") as app,
            pytest.raises((OperationalError, ConfigError)) as caught,
        ):
            app.task(len).delay("a")
    assert "127.0.0.1" in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "xn--", "a" * 60 + ".invalid", "1.2.3.4.5"])
def test_a_name_that_is_not_known_is_told(home, host):
    with (
        App(broker=f"redis://{host}") as app,
        pytest.raises((BrokerUnavailable, ConfigError), match=r"name|host"),
    ):
        app.task(len).delay("a")


def test_what_a_server_is(shared_app):
    facts = shared_app.check()
    assert facts.flavour in {"redis", "valkey"}
    assert int(facts.version.split(".")[0]) >= 6
    assert facts.policy == "noeviction"
    assert 0 < facts.latency_s < 1
    assert abs(facts.clock_offset_s) < 1
    assert facts.address.startswith("unix://")


def test_the_environment_names_a_broker(server, monkeypatch):
    monkeypatch.setenv("NBTASKS_BROKER", server().url)
    with App() as app:
        app.start_workers(1)
        assert app.connection.source == "NBTASKS_BROKER"
        assert app.task(len).delay("ab").get(timeout=SOON) == 2
