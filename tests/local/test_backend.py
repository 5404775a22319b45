"""``backend=`` of an App: the broker's own server, or one sentence with the next step."""

from __future__ import annotations

import warnings

import pytest

from nbtasks import App, ConfigError

SOON = 60.0


@pytest.mark.parametrize(
    ("broker", "backend"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://host", "valkey://host"),
        ("redis://:secret@HOST/0", "redis://other:s@host/0"),
        ("redis://localhost", "redis://127.0.0.1:6379"),
        ("redis://[::1]:6379", "redis://localhost"),
        ("rediss://host:6380/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://host:6380/0?ssl_cert_reqs=CERT_NONE"),
        ("unix:///run/s", "redis+socket:///run/s"),
        ("redis://host", "rpc://"),
        (None, "rpc://"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://host/db", "db+postgresql+psycopg2://host:5432/db"),
        ("postgresql://host/db", "rpc://"),
        ("sqla+sqlite:////srv/tasks.db", "db+sqlite:////srv/tasks.db"),
        ("sqlite:////srv/tasks.db", "rpc://"),
        ("sqla+mysql://host/db", "db+mysql+pymysql://host:3306/db"),
        ("mariadb+mariadbconnector://host/db", "db+mysql://host/db"),
    ],
)
def test_the_brokers_own_server_is_accepted(home, broker, backend):
    App(broker=broker, backend=backend).close()


@pytest.mark.parametrize(
    ("broker", "backend"),
    [
        ("redis://host", "redis://elsewhere"),
        ("redis://host", "redis://host:6380"),
        ("redis://host", "unix:///run/s"),
        ("redis://host", "db+postgresql://user:s3cr3t@host/db"),
        ("redis://host", "mongodb://user:s3cr3t@host"),
        ("redis://host", "cache+memcached://host"),
        ("redis://host", "file:///tmp/s3cr3t"),
        ("redis://:s3cr3t@host", "redis://:s3cr3t@elsewhere"),
        ("redis://host", "s3cr3t"),
        ("redis://host", ""),
        ("redis://host", 5),
        (None, "redis://host"),
        ("redis://host", "rediss://host"),
        ("rediss://host", "redis://host"),
        ("redis://host", True),
        ("postgresql://host/db", "redis://host"),
        ("postgresql://u:s3cr3t@host/db", "postgresql://u:s3cr3t@elsewhere/db"),
        (None, "postgresql://u:s3cr3t@host/db"),
        ("redis://host", "db+mysql://u:s3cr3t@host/db"),
        ("sqlite:////a.db", "db+sqlite:////b.db"),
        (None, "db+sqlite:////b.db"),
        ("mysql://host/db", "postgresql://u:s3cr3t@host/db"),
    ],
)
def test_any_other_is_refused_in_one_sentence_with_the_next_step(home, broker, backend):
    with pytest.raises(ConfigError, match=r"^backend: .*leave backend out") as caught:
        App(broker=broker, backend=backend)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("broker", "backend"),
    [
        ("amqp://localhost", "redis://localhost"),
        ("pyamqp://guest@localhost//", "redis://localhost:6379/0"),
        ("amqps://user:s3cr3t@host:5671/vhost?cacertfile=/ca.pem", "rediss://host"),
        ("amqp://[::1]/%2F", "unix:///run/s"),
        ("amqp://localhost", "postgresql://u:s3cr3t@host/db"),
        ("amqp://localhost", "mysql://u:s3cr3t@host/db"),
        ("amqp://localhost", "sqlite:////srv/tasks.db"),
    ],
)
def test_a_rabbitmq_goes_with_a_server_that_keeps_results(home, broker, backend):
    with App(broker=broker, backend=backend) as app:
        assert "s3cr3t" not in repr(app.connection)
        assert app.connection.carrier == broker
        assert app.connection.url == backend


@pytest.mark.parametrize(
    ("broker", "backend", "said"),
    [
        ("amqp://guest:s3cr3t@host//", None, "^broker: amqp://host//.* keeps no results.*backend='redis://"),
        ("amqp://host", "rpc://", "^backend: .*backend='redis://"),
        ("amqp://host", "db+oracle://u:s3cr3t@h/db", "^backend: .*backend='redis://"),
        ("amqp://host", "db+postgresql://u:s3cr3t@h/db?sslmod=x", "^backend: .*did you mean sslmode"),
        ("amqp://host", "amqp://host", "^backend: .*backend='redis://"),
        ("amqp://u:s3cr3t@", "redis://host", "^broker: .*host.*write amqp://"),
        ("amqp://host// ", "redis://host", "^broker: .*a blank"),
        ("amqp://u:s3cr3t@one;amqp://two", "redis://host", "^broker: these are several URLs.*balancer"),
        ("amqp://host:s3cr3t", "redis://host", "^broker: .*port.*write amqp://"),
        ("amqp://u:s3c/r3t@host", "redis://host", "^broker: .*@ behind its host.*%2F"),
        ("amqp://host?heartbeat=5", "redis://host", "^broker: .*heartbeat is not known"),
        ("amqp://host?verify=verify_none", "redis://host", "^broker: .*amqps:// only"),
        ("amqps://host?verify=maybe", "redis://host", "^broker: .*verify_peer or verify_none"),
        ("amqps://host?keyfile=/k", "redis://host", "^broker: .*certfile beside it"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_sentence(home, broker, backend, said):
    with pytest.raises(ConfigError, match=said) as caught:
        App(broker=broker, backend=backend)
    assert "s3c" not in str(caught.value)


def test_a_rabbitmq_and_its_backend_come_from_the_environment_or_settings(home, monkeypatch):
    with App() as app:
        app.conf.update(broker_url="amqp://one", result_backend="redis://two")
        assert (app.connection.carrier, app.connection.url) == ("amqp://one", "redis://two")
    monkeypatch.setenv("NBTASKS_BROKER", "amqp://three")
    with App() as app, pytest.raises(ConfigError, match="NBTASKS_BACKEND"):
        app.connection.title.strip()
    monkeypatch.setenv("NBTASKS_BACKEND", "redis://four")
    with App() as app:
        assert app.connection.title == "amqp://three over redis://four"


def test_it_is_compared_with_the_broker_that_the_environment_names(home, monkeypatch):
    monkeypatch.setenv("NBTASKS_BROKER", "redis://host/0")
    App(backend="redis://host/0").close()
    with pytest.raises(ConfigError, match="leave backend out"):
        App(backend="redis://elsewhere/1")


def test_options_of_a_backend_are_checked_too(home):
    with pytest.raises(ConfigError, match=r"backend: .*socket_timeout"):
        App(broker="redis://host", backend="redis://host?socket_timeout=1")


def test_celerys_word_for_a_postgresql_is_ours(home):
    with App(broker="amqp://host", backend="db+postgresql+psycopg2://u:s3cr3t@host/db") as app:
        assert app.connection.url == "postgresql://u:s3cr3t@host/db"
        assert app.connection.title == "amqp://host over postgresql://host/db"
    with App(broker="sqla+postgresql://u:s3cr3t@host/db") as app:
        assert app.connection.url == "postgresql://u:s3cr3t@host/db"
    with pytest.warns(
        UserWarning, match="kept in the broker's database, db, and not in other, as the backend says"
    ):
        App(broker="postgresql://host/db", backend="db+postgresql://host/other").close()


def test_another_database_is_said_once(home):
    said = r"kept in the broker's database, 7, and not in 8, as the backend says: leave backend out"
    with pytest.warns(UserWarning, match=said):
        App(broker="redis://host/7", backend="redis://host/8").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        App(broker="redis://host/7", backend="redis://host/8").close()


def test_a_backend_alone_says_where_its_url_belongs(home):
    with pytest.raises(
        ConfigError, match=r"redis://host is another one: .*name it as broker=, too"
    ) as caught:
        App(backend="redis://:s3cr3t@host")
    assert "s3cr3t" not in str(caught.value)


#: Backends of Celery 5.7 and of those before, with what is said of them.
BACKENDS = {
    "cache+memcached": "a cache",
    "mongodb": "MongoDB",
    "db+oracle db+mssql database": "an SQL database",
    "elasticsearch": "Elasticsearch",
    "cassandra": "Cassandra",
    "couchbase": "Couchbase",
    "couchdb": r"CouchDB\)",
    "cosmosdbsql": "Cosmos",
    "file": "a folder",
    "consul": "Consul",
    "etcd": "etcd",
    "dynamodb": "DynamoDB",
    "azureblockblob": "Azure Blob",
    "arangodb": "ArangoDB",
    "s3": "Amazon S3",
    "gs": "Google Cloud Storage",
    "redis-cluster": "Redis Cluster",
    "amqp": "RabbitMQ, not taken by Celery any more since 5.0",
    "riak": "Riak, not taken by Celery any more since 5.0, of 2020",
    "tyrant": "Tokyo Tyrant, not taken",
    "disabled": "no results.*ignore_result=True",
}


@pytest.mark.parametrize(
    ("scheme", "said"), [(one, said) for schemes, said in BACKENDS.items() for one in schemes.split()]
)
def test_every_backend_of_celerys_is_called_by_its_name(home, scheme, said):
    url = f"{scheme}://me:s3cr3t@host/s3cr3t"
    for use in (
        lambda: App(broker="redis://host", backend=url),
        lambda: App(broker="redis://host").conf.update(result_backend=url),
    ):
        with pytest.raises(ConfigError, match=rf"{said}.* leave (backend|result_backend) out") as caught:
            use()
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("word", ["django-db", "django-cache", "amqp", "disabled", "database"])
def test_words_without_a_url_are_known_too(home, word):
    with pytest.raises(ConfigError, match=rf"and {word} \(.*leave backend out"):
        App(backend=word)
