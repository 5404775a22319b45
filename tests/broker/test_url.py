"""What a broker's URL may say: every option works or is refused by its name, and no message repeats a password."""

from __future__ import annotations

import traceback

import pytest

from nbtasks import App, ConfigError
from nbtasks.broker.url import parse, plainly

SECRET = "s3cr3t"


def refused(url: str) -> str:
    """What an App says to a URL, with its traceback's last words."""
    with pytest.raises(ConfigError) as caught:
        App(broker=url)
    return "".join(traceback.format_exception_only(caught.value)) + str(caught.value.__cause__)


@pytest.mark.parametrize("letter", list("/#?"))
@pytest.mark.parametrize(
    "url",
    ["redis://:{0}{2}{1}@host/0", "redis://user:{0}{2}{1}@host:6379", "redis://user:1{2}{0}@host/0",
     "redis://{0}{2}{1}@host", "rediss://:12{2}{0}={1}@host/0", "redis://:{0}{2}db=1@host", "redis://u:{2}{0}@host",
     "unix://:{0}{2}{1}@/run/s", "unix://u:{0}{2}@/run/s", "unix://u:p@{0}{2}{1}@/run/s", "redis://u:1{2}@{0}@host/0"],
)  # fmt: skip
def test_a_password_with_a_reserved_letter_is_neither_repeated_nor_taken_for_a_host(home, url, letter):
    message = refused(url.format(SECRET, "rest", letter))
    assert SECRET not in message
    assert "rest" not in message
    assert "%2F" in message


@pytest.mark.parametrize(
    ("written", "password"),
    [("a[b]c", b"a[b]c"), ("a[b", b"a[b"), ("p@ss", b"p@ss"), ("a:b", b"a:b"), ("50%", b"50%"), ("a%2Fb", b"a/b"),
     ("a%40b%23%3F", b"a@b#?"), ("%C3%A9", "é".encode()), ("é", "é".encode()), ("%FF", b"\xff"), ("a b", b"a b"),
     ("a+b", b"a+b"), ("%2525", b"%25")],
)  # fmt: skip
def test_other_passwords_are_taken_as_they_are(written, password):
    for url in (f"redis://bob:{written}@host:1/2", f"unix://bob:{written}@/run/s?db=2"):
        found = parse(url)
        assert (found.user, found.password, found.db) == (b"bob", password, 2)
        assert written not in repr(found)


def test_every_password_logs_in(server):
    from urllib.parse import quote

    one = server()
    for number, password in enumerate(["a/b", "a#b", "a?b", "a[b]", "100%", "p@ss", "é:+ x", "%41"]):
        one.client().acl_setuser(
            f"bob{number}", enabled=True, passwords=[f"+{password}"], categories=["+@all"], keys=["*"]
        )
        url = one.url.replace("unix://", f"unix://bob{number}:{quote(password, safe='')}@")
        with App(broker=url) as app:
            assert app.check().flavour == "valkey"


@pytest.mark.parametrize(
    ("url", "step"),
    [
        ("redis://", "redis://localhost:6379/0"),
        ("redis:///0", "redis://localhost:6379/0"),
        ("rediss://", "rediss://localhost:6379/0"),
        ("redis://host:6379/0;redis://:s3cr3t@other:6379/0", "on one server"),
        ("redis://host:6379/0|redis://:s3cr3t@other:6379/0", "on one server"),
        ("redis://:s3cr3t@host:6379,other:6379/0", "several hosts"),
        ("keydb://:s3cr3t@host", "write redis://"),
        ("dragonfly://host", "write redis://"),
        ("rabbitmq://u:s3cr3t@host", "write amqp://"),
        ("sentinel://:s3cr3t@one:26379;redis://two:26379", "on one server"),
        ("sqla+oracle://u:s3cr3t@host/db", "MySQL or SQLite"),
        ("pgmq://u:s3cr3t@host/db", "write postgresql://"),
        ("couchdb://u:s3cr3t@host/db", "Redis, Valkey, PostgreSQL"),
        ("db+mssql+pyodbc://u:s3cr3t@host/db", "MySQL or SQLite"),
        ("stomp://key:s3cr3t@h", "Redis, Valkey, PostgreSQL"),
        ("kafka://host", "Redis, Valkey, PostgreSQL"),
        ("redis-cluster://:s3cr3t@host", "one of the cluster's nodes"),
        ("memory://", "embedded server"),
        ("filesystem://", "embedded server"),
        ("rpc://", "by themselves"),
        ("http://u:s3cr3t@host", "redis://"),
        ("host:6379", "redis://"),
        ("u:s3cr3t@host", "redis://"),
        ("s3cr3t", "redis://"),
        ("redis:host", "redis://"),
        ("redis:/host", "redis://"),
        ("redis://host:0", "1 to 65535"),
        ("redis://host:123456", "1 to 65535"),
        ("redis://host:٣", "1 to 65535"),
        ("redis://[::1", "redis://"),
        ("redis://a..b", "a name"),
        (f"redis://{'x' * 64}.org", "a name"),
        ("redis://ho st/0", "redis://"),
        ("redis://host/zero", "number of a database"),
        ("redis://host/²", "number of a database"),
        ("redis://host/0\n", "line break"),
        ("unix://relative/path", "three slashes"),
        ("unix:/run/s", "slashes"),
        ("", "redis://"),
    ],
)
def test_what_is_no_url_is_told_in_one_sentence_with_the_next_step(home, url, step):
    message = refused(url)
    assert step in message
    assert SECRET not in message
    assert "rediss://" in message


@pytest.mark.parametrize("url", [5, b"redis://host", [5], []])
def test_what_is_no_text_is_told(home, url):
    with pytest.raises(ConfigError, match="a text"):
        App(broker=url)


@pytest.mark.parametrize(
    ("option", "step"),
    [
        ("socket_timeout=1", "leave it out"),
        ("socket_connect_timeout=1", "leave it out"),
        ("decode_responses=True", "leave it out"),
        ("protocol=3", "leave it out"),
        ("protocol=2", "leave it out"),
        ("single_connection_client=1", "leave it out"),
        ("health_check_interval=5", "leave it out"),
        ("max_connections=1", "leave it out"),
        ("retry_on_timeout=1", "leave it out"),
        ("encoding=utf-16", "leave it out"),
        ("ssl=true", "rediss:// says it"),
        ("ssl=s3cr3t", "leave it out"),
        ("host=elsewhere", "leave it out"),
        ("password=s3cr3t", "user:password@"),
        ("username=bob", "user:password@"),
        ("visibility_timeout=5", "is not known"),
        ("cilent_name=me", "did you mean client_name"),
        ("ssl_cert_req=none", "did you mean ssl_cert_reqs"),
        ("ssl_validate_ocsp=1", "is not known"),
        ("ssl_crlfile=x", "is not known"),
        ("db=-1", "a number"),
        ("db=one", "a number"),
        ("db=", "a value"),
        ("db", "a value"),
        ("db=1&db=1", "twice"),
        ("client_name=a b", "without a space"),
        ("client_name=a%0Ab", "without a space"),
        ("=s3cr3t", "is not known"),
        ("s3cr3t!=1", "is not known"),
    ],
)
@pytest.mark.parametrize("base", ["redis://host/0", "rediss://host", "unix:///run/s"])
def test_every_other_option_is_refused_by_its_name(home, base, option, step):
    message = refused(f"{base}?{option}")
    assert step in message
    assert SECRET not in message
    name = option.partition("=")[0]
    assert name in message or SECRET in name or not name


@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_cert_reqs=CERT_REQUIRED", "ssl_ca_certs=/x"])
@pytest.mark.parametrize("base", ["redis://host/0", "unix:///run/s"])
def test_tls_options_go_with_tls(home, base, option):
    assert "rediss://" in refused(f"{base}?{option}")


@pytest.mark.parametrize(
    ("option", "step"),
    [
        ("ssl_cert_reqs=maybe", "required, optional or none"),
        ("ssl_check_hostname=maybe", "true or false"),
        ("ssl_min_version=1.0", "1.2 or 1.3"),
        ("ssl_ciphers=nothing", "ciphers"),
        ("ssl_ca_data=nothing", "PEM"),
        ("ssl_keyfile=/x", "ssl_certfile beside it"),
    ],
)
def test_values_are_checked(home, option, step):
    assert step in refused(f"rediss://host/0?{option}")


@pytest.mark.parametrize(
    "option",
    [
        "ssl_cert_reqs=CERT_REQUIRED", "ssl_cert_reqs=required", "ssl_cert_reqs=ssl.CERT_NONE", "ssl_cert_reqs=none",
        "ssl_cert_reqs=CERT_OPTIONAL", "ssl_check_hostname=False", "ssl_min_version=TLSv1.3", "ssl_min_version=771",
        "ssl_ciphers=HIGH", "client_name=me", "db=3",
    ],
)  # fmt: skip
def test_each_known_option_is_one_that_a_connection_takes(home, option):
    from nbtasks.broker.redis.link import Link

    link = Link(f"rediss://127.0.0.1:1?{option}", "there")
    with pytest.raises(Exception, match="connection refused"):
        link.call("PING")


@pytest.mark.parametrize("content", [None, "no certificate"])
@pytest.mark.parametrize(
    "option", ["ssl_ca_certs={0}", "ssl_certfile={0}", "ssl_certfile={0}&ssl_keyfile={0}"]
)
def test_files_that_are_missing_or_something_else_are_named(home, tmp_path, option, content):
    file = tmp_path / "x.pem"
    if content:
        file.write_text(content)
    with (
        App(broker=f"rediss://127.0.0.1:1?{option.format(file)}") as app,
        pytest.raises(ConfigError, match=r"x\.pem"),
    ):
        app.check()


def test_options_work(server):
    one = server()
    with App(broker=f"{one.url}?db=3&client_name=me") as app:
        assert app.task(len).delay("ab").state == "PENDING"
        names = {(client["name"], client["db"]) for client in one.client().client_list()}
    assert ("me", "3") in names


def test_two_databases_are_one_too_many(home):
    assert "two databases, 1 and 2" in refused("redis://host/1?db=2")
    assert parse("redis://host/1?db=1").db == 1


@pytest.mark.parametrize("base", ["redis://host", "valkeys://host"])
def test_a_virtual_host_goes_with_a_socket(home, base):
    assert "stands behind the host" in refused(f"{base}?virtual_host=1")


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("redis+socket://:pw@/run/s?virtual_host=/2", "unix://:pw@/run/s?db=2"),
        ("redis+socket:///run/s?virtual_host=2", "unix:///run/s?db=2"),
        ("socket:///run/s", "unix:///run/s"),
        ("redis+unix://:pw@/run/s", "unix://:pw@/run/s"),
        ("valkey+socket:///run/s?virtual_host=1", "unix:///run/s?db=1"),
        ("redis+ssl://host/1", "rediss://host/1"),
        ("redis+tls://host/1", "rediss://host/1"),
        ("valkey://u:pw@[::1]:6380/4", "redis://u:pw@[::1]:6380/4"),
        ("VALKEYS://host?ssl_cert_reqs=CERT_NONE", "rediss://host?ssl_cert_reqs=none"),
        ("unix:///run/s?virtual_host=3", "unix:///run/s?db=3"),
    ],
)
def test_other_words_mean_the_same(written, same):
    assert parse(written) == parse(same)
    assert parse(plainly(written)) == parse(same)
    assert plainly(written).partition(":")[0] == same.partition(":")[0]


def test_a_socket_in_celerys_words_is_that_socket(server):
    one = server()
    url = one.url.replace("unix://", "redis+socket://")
    with App(broker=f"{url}?virtual_host=3&client_name=me", backend=f"{url}?virtual_host=3") as app:
        assert app.task(len).delay("ab").state == "PENDING"
        names = {(client["name"], client["db"]) for client in one.client().client_list()}
        assert app.connection.is_local
        assert app.connection.url.startswith("unix:///")
    assert ("me", "3") in names


def test_a_variable_with_a_wrong_url_is_named(home, monkeypatch):
    monkeypatch.setenv("NBTASKS_BROKER", "stomp://key:s3cr3t@h")
    with (
        App() as app,
        pytest.raises(ConfigError, match=r"^NBTASKS_BROKER: stomp:// \(STOMP.*\) is not") as caught,
    ):
        app.check()
    assert SECRET not in str(caught.value)


#: Brokers of kombu 5.7 and of those before, with what is said of them.
BROKERS = {
    "librabbitmq": "RabbitMQ",
    "confluentkafka kafka": "Kafka",
    "sqlalchemy sqla sqla+oracle sqla+mssql": "an SQL database",
    "SLMQ slmq": "SoftLayer",
    "filesystem": "a folder",
    "memory": "this process",
    "qpid": "Qpid",
    "redis-cluster rediss-cluster": "Redis Cluster",
    "pyro": "Pyro",
    "pgmq": "pgmq",
    "stomp": "ActiveMQ",
    "couchdb": "CouchDB, not taken by Celery any more since 4.0, of 2016",
    "ironmq": "since 4.0",
    "django": "since 4.0",
    "zmq": "since 4.0",
}


@pytest.mark.parametrize(
    ("scheme", "said"), [(one, said) for schemes, said in BROKERS.items() for one in schemes.split()]
)
def test_every_broker_of_celerys_is_called_by_its_name(home, scheme, said):
    message = refused(f"{scheme}://me:{SECRET}@host:1/{SECRET}")
    assert f"broker: {scheme.lower()}:// (" in message
    assert said in message
    assert SECRET not in message


def test_several_urls_are_refused_with_what_to_name(home):
    with pytest.raises(ConfigError, match=r"these are several URLs, and calls of one App are on one server"):
        App(broker=["redis://one", "redis://two"])
