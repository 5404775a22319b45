"""The embedded server listens for other machines: with TLS and a password, on request, as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import redis

from nbtasks.core.errors import ConfigError
from nbtasks.local.server import embedded, listening
from nbtasks.local.server.keeper import tlsproxy
from nbtasks.local.server.listening import close_listener, listener_url, open_listener, parse_place

# Python leaves a socket open whose peer has gone between connection and handshake, as a killed listener's has.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

HERE = "127.0.0.1"
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


@pytest.fixture
def proxies(processes):
    """``proxies()`` returns the pids of the processes that listen."""
    return lambda: [pid for pid, command in processes().items() if "import tlsproxy" in command]


#: Seconds; redis-py's own 5 are few on a machine that is busy.
PATIENCE_S = 60


def ping(url: str, protocol: int = 2) -> bool:
    with redis.Redis.from_url(url, protocol=protocol, retry=None, socket_timeout=PATIENCE_S) as client:
        return client.ping()


def answers(url: str) -> bool:
    try:
        return ping(url)
    except redis.ConnectionError:
        return False


def unasked() -> ssl.SSLContext:
    """TLS of somebody who asks for no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def talk(url: str, *words: bytes) -> bytes:
    """Say something over TLS; return all that comes back."""
    port = redis.connection.parse_url(url)["port"]
    context = unasked()
    heard = b""
    with socket.create_connection((HERE, port), 20) as plain, context.wrap_socket(plain) as secure:
        try:
            # It may have had enough before it has heard all.
            secure.sendall(b"".join(words))
            while data := secure.recv(4096):
                heard += data
        except (ssl.SSLError, ConnectionError):
            pass
    return heard


def test_it_listens_nowhere_until_it_is_asked_to(lease, proxies):
    assert lease.listening() is None
    assert listener_url(lease) is None
    assert proxies() == []


@pytest.mark.parametrize("protocol", [2, 3])
def test_who_has_the_url_reaches_the_server(lease, protocol):
    url = open_listener(lease, HERE)
    with redis.Redis.from_url(url, protocol=protocol) as there, redis.Redis.from_url(lease.url) as here:
        there.set("big", os.urandom(3_000_000))
        assert here.get("big") == there.get("big")
    assert lease.listening() == (HERE, redis.connection.parse_url(url)["port"])


def test_large_values_both_ways_at_once(lease):
    url = open_listener(lease, HERE)
    with redis.Redis.from_url(url) as there:
        pipe = there.pipeline(transaction=False)
        for n in range(40):
            pipe.echo(bytes([n]) * 500_000)
        assert [reply[:1] + reply[-1:] for reply in pipe.execute()] == [bytes([n, n]) for n in range(40)]


def test_nobody_else_does(lease):
    url = open_listener(lease, HERE)
    user = "nbtasks:"
    for wrong in (
        url.replace(user, "nbtasks:x"),
        url.replace(user, "default:"),
        url.replace("rediss://nbtasks:", "rediss://:"),
    ):
        for protocol in (2, 3):
            with pytest.raises(redis.AuthenticationError):
                ping(wrong, protocol)
    with pytest.raises(redis.AuthenticationError):
        ping("rediss://" + url.partition("@")[2])
    with pytest.raises(redis.ConnectionError):
        ping(url.replace("rediss://", "redis://").partition("?")[0])
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        ping(url.partition("?")[0])
    assert ping(url)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        (b"*1\r\n$4\r\nPING\r\n" * 3, b"-NOAUTH Authentication required.\r\n" * 3),
        (b"*1\r\n$5\r\nRESET\r\n" * 3, b"-NOAUTH Authentication required.\r\n" * 3),
        (b"*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*1\r\n$4\r\nPING\r\n", WRONG),
        (b"*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$1\r\nx\r\n", WRONG),
        (b"PING\r\n", b""),
        (b"*0\r\n", b""),
        (b"*-1\r\n", b""),
        (b"*9999999999\r\n", b""),
        (b"*1\r\n$999999999\r\n", b""),
        (b"*1\r\n$-1\r\n", b""),
        (b"x" * 400_000, b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    ],
)  # fmt: skip
def test_a_stranger_gets_nowhere_and_harms_nothing(lease, said, heard):
    url = open_listener(lease, HERE)
    assert talk(url, said) == heard
    assert ping(url)


def test_what_proves_it_is_its_owners_alone_and_stays(lease):
    url = open_listener(lease, HERE)
    for file in lease.listen_folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(lease.listen_folder.stat().st_mode) == 0o700
    assert open_listener(lease, HERE) == url
    again = embedded.acquire()
    assert listener_url(again) == url
    again.close()


def test_neither_password_nor_key_is_on_a_command_line(lease, processes):
    url = open_listener(lease, HERE)
    password = redis.connection.parse_url(url)["password"]
    assert all(password not in command for command in processes().values())


def test_the_name_in_the_url_may_be_chosen(lease):
    assert "@mybox.example:" in open_listener(lease, HERE, host="mybox.example")
    assert "@[2001:db8::7]:" in str(listener_url(lease, "2001:db8::7"))


def test_a_taken_port_is_said(lease):
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"nothing can listen on 127.0.0.1 port {port} .*choose another port"
        ):
            open_listener(lease, f"{HERE}:{port}")
    with pytest.raises(ConfigError, match=r"an address of this machine"):
        open_listener(lease, "203.0.113.7")
    assert lease.listening() is None
    assert ping(open_listener(lease, HERE))


def test_closing_it_makes_earlier_invitations_void(lease, proxies, eventually):
    url = open_listener(lease, HERE)
    with redis.Redis.from_url(url, retry=None) as guest:
        assert guest.ping()
        close_listener(lease)
        with pytest.raises(redis.ConnectionError):
            guest.ping()
    eventually(lambda: not proxies(), "nobody listens")
    port = redis.connection.parse_url(url)["port"]
    after = open_listener(lease, f"{HERE}:{port}")
    assert ping(after)
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        ping(url)


def test_it_stops_with_the_server(project, processes, eventually):
    held = embedded.acquire()
    url = open_listener(held, HERE)
    assert ping(url)
    held.close()
    eventually(lambda: not processes(), "nothing is left")
    assert not answers(url)


def test_it_is_not_opened_again_unasked_and_then_at_the_same_place(project):
    held = embedded.acquire()
    url = open_listener(held, HERE)
    held.close()
    held = embedded.acquire()
    assert held.listening() is None
    assert not answers(url)
    assert open_listener(held, HERE) == url
    held.close()


def test_a_port_of_the_last_time_that_is_taken_is_another_one(project):
    held = embedded.acquire()
    url = open_listener(held, HERE)
    held.close()
    with (
        socket.create_server((HERE, redis.connection.parse_url(url)["port"])),
        closing(embedded.acquire()) as again,
    ):
        other = open_listener(again, HERE)
        assert other != url
        assert ping(other)


def test_a_proxy_that_dies_is_replaced_at_the_same_place(lease, proxies, eventually):
    url = open_listener(lease, HERE)
    (pid,) = proxies()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: answers(url), "it listens again")
    assert proxies() != [pid]


def test_a_server_that_dies_is_there_again_behind_the_same_port(lease, processes, eventually):
    url = open_listener(lease, HERE)
    server = [pid for pid, command in processes().items() if "valkey-server" in command.split()[0]]
    os.kill(server[0], signal.SIGKILL)
    eventually(lambda: answers(url), "the server is back")


def test_after_a_crash_of_everything_it_listens_again(lease, eventually):
    url = open_listener(lease, HERE)
    os.killpg(lease.pid, signal.SIGKILL)
    eventually(lambda: not lease.alive, "all is dead")
    assert lease.ensure()
    eventually(lambda: answers(url), "the same place, the same proofs")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (True, ("0.0.0.0", 0)),
        ("0.0.0.0:6390", ("0.0.0.0", 6390)),
        ("box", ("box", 0)),
        (":6390", ("0.0.0.0", 6390)),
        ("[::]:6390", ("::", 6390)),
        ("[::1]", ("::1", 0)),
    ],
)
def test_places(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["box:port", "box:70000", "a b:1", "box:-1"])
def test_a_place_that_is_none(text):
    with pytest.raises(ConfigError, match="write HOST:PORT"):
        parse_place(text)


def test_without_the_package_that_makes_certificates(lease, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(ConfigError, match=r"pip install 'nbtasks\[listen\]'"):
        listening.open_listener(lease, HERE)
    assert lease.listening() is None


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks into /proc")
@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01\x02\x00"], ids=["nothing", "half a handshake"])
def test_strangers_in_great_number_take_little_memory_and_shut_nobody_out(lease, proxies, says):
    url = open_listener(lease, HERE)
    with (
        redis.Redis.from_url(url, retry=None, socket_timeout=PATIENCE_S) as inside,
        contextlib.ExitStack() as strangers,
    ):
        assert inside.ping()
        (pid,) = proxies()
        before = resident(pid)
        port = redis.connection.parse_url(url)["port"]
        for number in range(500):
            # From many machines, as far as the listener can see.
            stranger = socket.create_connection((HERE, port), 20, (f"127.0.1.{number % 250 + 1}", 0))
            strangers.enter_context(stranger)
            stranger.sendall(says)
        assert inside.ping()
        assert ping(url)
        # Unbounded it would be 400 MB.
        assert resident(pid) - before < 250 * 2**20


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks into /proc")
def test_whoever_is_inside_does_not_wait_for_a_crowd_at_the_door(lease):
    open_listener(lease, HERE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(lease.listen_folder / tlsproxy.CERTIFICATE_FILE)

    async def at_most_let_in() -> int:
        """Let a crowd in; return how many at most between two turns of somebody else."""
        (door,) = await tlsproxy.listen(HERE, 0)
        with door, contextlib.ExitStack() as crowd:
            for number in range(100):
                crowd.enter_context(
                    socket.create_connection(door.getsockname(), 20, (f"127.0.1.{number + 1}", 0))
                )
            accepting = asyncio.create_task(tlsproxy.Proxy("nowhere", "", context).accept(door))
            opened = [open_files()]
            while opened[-1] < opened[0] + 50:
                await asyncio.sleep(0)
                opened.append(open_files())
            accepting.cancel()
        return max(after - before for before, after in itertools.pairwise(opened))

    assert asyncio.run(asyncio.wait_for(at_most_let_in(), PATIENCE_S)) == 1


def test_many_of_one_machine_that_belong_here_all_get_in(lease):
    place = redis.connection.parse_url(open_listener(lease, HERE))
    password = place["password"].encode()
    login = b"*3\r\n$4\r\nAUTH\r\n$7\r\nnbtasks\r\n$%d\r\n%s\r\n" % (len(password), password)
    context = unasked()

    def gets_in(_: int) -> bool:
        # redis-py reads all of the machine's certificates for each connection, which would take most of the time that
        # all have.
        with (
            socket.create_connection((HERE, place["port"]), PATIENCE_S) as plain,
            context.wrap_socket(plain) as secure,
        ):
            secure.sendall(login)
            return secure.recv(5) == b"+OK\r\n"

    with ThreadPoolExecutor(40) as threads:
        assert all(threads.map(gets_in, range(50)))


def test_a_flood_from_one_machine_holds_up_no_other(lease):
    url = open_listener(lease, HERE)
    port = redis.connection.parse_url(url)["port"]
    with contextlib.ExitStack() as strangers:
        for _ in range(100):
            strangers.enter_context(socket.create_connection((HERE, port), 20, ("127.0.1.9", 0)))
        assert ping(url)
