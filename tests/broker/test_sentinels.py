"""Redis Sentinel as broker: the sentinels are asked before each connection, and what they name is looked at."""

from __future__ import annotations

import pytest

from nbtasks import App, BrokerUnavailable, ConfigError
from tests.chaos.servers import find
from tests.conftest import wait_until
from tests.servers.cache import Missing
from tests.servers.sentinels import MASTER, KeyServer, Sentinel, watched
from tests.servers.server import free_port
from tests.servers.tls import Certificates

SOON = 60.0
PASSWORD, OWN = "s3cr3t", "0ther"


def test_calls_go_to_the_master_and_follow_a_fail_over(home):
    with watched(find("bundled"), password=PASSWORD, own=OWN) as servers, App(broker=servers.url) as app:
        app.start_workers(1)
        double = app.task(lambda n: n * 2)
        assert double.map(range(50)).get(timeout=SOON) == list(range(0, 100, 2))
        servers.fail_over()
        # What the new master does not have is submitted again; what it has goes on.
        assert double.map(range(50)).get(timeout=SOON) == list(range(0, 100, 2))
        assert PASSWORD not in repr(app.connection)
        assert OWN not in repr(app.connection)
        assert app.check().address == f"sentinel://{servers.places}/0?master_name={MASTER}"


@pytest.fixture
def master(home):
    """A server, and no sentinel yet."""
    with KeyServer(find("bundled"), password=PASSWORD) as one:
        yield one.start()


@pytest.fixture
def sentinel(master):
    """One sentinel that watches it."""
    with Sentinel(find("bundled"), master, 1, OWN) as one:
        yield one.start()


def check(
    places: str, options: str = f"master_name={MASTER}&sentinel_password={OWN}", login: str = f":{PASSWORD}@"
):
    """Look at the broker behind a URL."""
    with App(broker=f"sentinel://{login}{places}/0?{options}") as app:
        return app.check()


def test_sentinels_that_are_away_are_passed_over(sentinel):
    assert check(f"127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}").flavour == "valkey"


def test_in_celerys_words(home, sentinel):
    app = App(broker=f"sentinel://:{PASSWORD}@127.0.0.1:{free_port()};sentinel://127.0.0.1:{sentinel.port}/0")
    app.conf.broker_transport_options = {
        "master_name": MASTER, "sentinel_kwargs": {"password": OWN, "socket_timeout": 0.5},
    }  # fmt: skip
    with app:
        assert OWN not in repr(app.conf)
        app.start_workers(1)
        assert app.task(len).delay("abc").get(timeout=SOON) == 3


@pytest.mark.parametrize(
    ("options", "login", "said"),
    [
        (f"master_name={MASTER}", f":{PASSWORD}@", "sentinel at .* refused the login: .*sentinel_password="),
        (
            f"master_name={MASTER}&sentinel_password=wrong",
            f":{PASSWORD}@",
            "sentinel at .* refused the login",
        ),
        (f"master_name={MASTER}&sentinel_password={OWN}", "", "broker at .* wants a password"),
        (f"master_name={MASTER}&sentinel_password={OWN}", ":wr0ng@", "broker at .* refused the login"),
        (
            f"master_name=mymastre&sentinel_password={OWN}",
            f":{PASSWORD}@",
            f"'mymastre', but {MASTER}: check master_",
        ),
    ],
)
def test_what_is_wrong_is_told(sentinel, options, login, said):
    with pytest.raises(ConfigError, match=said) as caught:
        check(f"127.0.0.1:{sentinel.port}", options, login)
    assert PASSWORD not in str(caught.value)
    assert OWN not in str(caught.value)


def test_a_server_is_no_sentinel(master):
    with pytest.raises(ConfigError, match=rf"is no sentinel, .*redis://127\.0\.0\.1:{master.port}"):
        check(f"127.0.0.1:{master.port}", f"master_name={MASTER}&sentinel_password={PASSWORD}")


def test_nobody_answers(home):
    first, second = free_port(), free_port()
    with pytest.raises(
        BrokerUnavailable, match=rf"{first} does not answer .*refused.*{second} does not answer"
    ):
        check(f"127.0.0.1:{first},127.0.0.1:{second}")


def test_a_call_that_waits_says_that_no_sentinel_answers(home, master, sentinel, eventually):
    login, options = f":{PASSWORD}@", f"master_name={MASTER}&sentinel_password={OWN}"
    with App(broker=f"sentinel://{login}127.0.0.1:{sentinel.port}/0?{options}") as app:
        call = app.task(len).delay("abc")
        eventually(
            lambda: call.why_pending() == "no worker listens on queue 'default': %workers start", "it waits"
        )
        sentinel.kill()
        eventually(
            lambda: "; besides, no sentinel says where" in call.why_pending(), "it says what else is wrong"
        )
        assert f"the sentinel at 127.0.0.1:{sentinel.port} does not answer" in call.why_pending()
        # What is connected goes on.
        assert app.task(len).delay("abcd").state == "PENDING"
        sentinel.start()
        eventually(lambda: "besides" not in call.why_pending(), "it is well again")
        app.start_workers(1)
        assert call.get(timeout=SOON) == 3


def test_too_few_sentinels_know_each_other(sentinel):
    with pytest.raises(BrokerUnavailable, match="knows of 0 others, and min_other_sentinels is 1"):
        check(
            f"127.0.0.1:{sentinel.port}",
            f"master_name={MASTER}&sentinel_password={OWN}&min_other_sentinels=1",
        )


def test_what_a_sentinel_takes_for_the_master_is_a_replica(master, sentinel):
    with master.client() as client:
        client.replicaof("127.0.0.1", str(free_port()))
    with pytest.raises(BrokerUnavailable, match="that is a replica: a fail-over is under way"):
        check(f"127.0.0.1:{sentinel.port}")


def test_the_master_is_away(master, sentinel):
    master.kill()
    with pytest.raises(
        BrokerUnavailable, match=rf"master is at 127\.0\.0\.1:{master.port}, says the sentinel at"
    ):
        check(f"127.0.0.1:{sentinel.port}")
    # One that is wrong says less than one that knows where the master is.
    wrong = KeyServer(find("bundled"))
    with wrong, pytest.raises(BrokerUnavailable, match=r"master is at .*refused the login"):
        check(f"127.0.0.1:{wrong.start().port},127.0.0.1:{sentinel.port}")


def test_a_connection_file_leads_there_too(home, tmp_path, sentinel):
    file = tmp_path / "c.json"
    app = App(broker=f"sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}")
    app.conf.broker_transport_options = {"master_name": MASTER, "sentinel_kwargs": {"password": OWN}}
    with app:
        app.write_connection_file(file)
    with App(connection_file=file) as other:
        wait_until(lambda: other.check().flavour == "valkey", "the server is found")


@pytest.mark.long
@pytest.mark.parametrize(
    ("url", "server_tls", "sentinel_tls"),
    [
        ("sentinels://{at}/0?master_name={name}&ssl_ca_certs={ca}&ssl_cert_reqs=CERT_REQUIRED", True, True),
        ("sentinels://{at}/0?master_name={name}&ssl_ca_certs={ca}&sentinel_ssl=no", True, False),
        ("sentinel://{at}/0?master_name={name}&sentinel_ssl=yes&sentinel_ssl_ca_certs={ca}", False, True),
    ],
)
def test_tls_to_the_server_and_to_the_sentinels(home, tmp_path, start_server, url, server_tls, sentinel_tls):
    try:
        flavour = find("redis-7")
    except Missing as reason:
        pytest.skip(str(reason))
    # What everybody may enter, for the files are given to whom servers run as.
    own = Certificates(tmp_path)
    files = {"tls-cert-file": own.chain, "tls-key-file": own.key, "tls-ca-cert-file": own.authority}
    options = {**files, "tls-auth-clients": "no"}
    tls_ports = free_port(), free_port()
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    master = start_server(KeyServer, flavour, "--tls-port", str(tls_ports[0]), *given)
    lines = [f"tls-port {tls_ports[1]}", *(f"{name} {value}" for name, value in options.items())]
    lines += ["tls-replication yes"] if server_tls else []
    sentinel = start_server(
        Sentinel, flavour, master, 1, port=tls_ports[0] if server_tls else None, lines=tuple(lines)
    )
    at = f"127.0.0.1:{tls_ports[1] if sentinel_tls else sentinel.port}"
    with App(broker=url.format(at=at, name=MASTER, ca=own.authority)) as app:
        app.start_workers(1)
        assert app.task(len).delay("abc").get(timeout=SOON) == 3
    trusting_nobody = url.format(at=at, name=MASTER, ca=own.authority).partition(f"={own.authority}")[0]
    trusting_nobody = trusting_nobody.rpartition("&")[0] + ("&sentinel_ssl=no" if not sentinel_tls else "")
    with (
        App(broker=trusting_nobody) as app,
        pytest.raises(BrokerUnavailable, match="not one that is trusted here"),
    ):
        app.check()
