"""URLs of carriers: which are taken, what of them is shown, and what is said of all others."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from nbtasks import App, BrokerUnavailable, ConfigError
from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.carriers.carriage import is_carrier, open_carrier, parse_carrier
from nbtasks.broker.carriers.carriername import carrier_name, plain_name
from tests.chaos import servers
from tests.servers.sentinels import KeyServer

ADDRESS = "default@3.11.0123abcd"
#: What none may repeat.
SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("beanstalk://localhost", "beanstalk://localhost"),
        ("Beanstalk://[::1]:11300//", "beanstalk://[::1]:11300"),
        ("sqs://", "sqs://"),
        ("SQS://key:s3cr3t@?region=eu-central-1", "sqs://?region=eu-central-1"),
        ("sqs://key:s3cr3t%2F@localhost:4566//?queue_name_prefix=team-", "sqs://localhost:4566"),
        ("etcd://localhost:2379", "etcd://localhost:2379"),
        ("kombu+zookeeper://host:2181/calls", "zookeeper://host:2181/calls"),
        ("mongodb://me:s3cr3t@host/db?retryWrites=s3cr3t", "mongodb://host/db"),
        (
            "azurestoragequeues://s3/cr3t+s3cr3t==@https://me.queue.core.windows.net",
            "azurestoragequeues://https://me.queue.core.windows.net",
        ),
        ("azureservicebus://policy:s3cr3t@namespace", "azureservicebus://namespace"),
    ],
)
def test_what_is_taken_shows_no_secret(home, url, shown):
    assert is_carrier(url)
    assert parse_carrier(url).shown == shown
    with App(broker=url, backend="redis://localhost") as app:
        assert app.connection.title == f"{shown} over redis://localhost"
        assert SECRET not in repr(app.connection)
    with (
        pytest.raises(ConfigError, match=r"keeps no results.*backend='redis://") as caught,
        App(broker=url) as app,
    ):
        app.connection.title.strip()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("beanstalk://me:s3cr3t@host", "no users and no passwords.*write beanstalk://"),
        ("beanstalk://", "host is no name"),
        ("beanstalk://host:99999", "port no number"),
        ("beanstalk://host/s3cr3t", "nothing stands behind"),
        ("sqs://key@", "both, key and secret"),
        ("sqs://key:s3/cr3t@", "%2F"),
        ("sqs://key:s3cr3t@?visibility_timeout=5", "visibility_timeout is not taken"),
        ("sqs://key:s3cr3t@?sausage=1", "is not known"),
        ("sqs://key:s3cr3t@?region=", "needs one value"),
        ("sqs://key:s3cr3t@?queue_name_prefix=a.b", "letters, digits"),
        ("sqs://key:s3cr3t@host?is_secure=perhaps", "true or false"),
        ("kombu+memory://", "memory of one process"),
        ("kombu+filesystem://s3cr3t", "lost for ever"),
        ("kombu+sqla+postgresql://me:s3cr3t@host/db", "lost for ever"),
        ("kombu+redis://:s3cr3t@host", "without kombu"),
        ("kombu+amqp://me:s3cr3t@host", "write amqp://"),
        ("kombu+kafka://host", "given to one process"),
        ("kombu+slmq://me:s3cr3t@host", "March 2017"),
        ("kombu+pyro://host/s3cr3t", "cannot say that a queue is empty"),
        ("kombu+s3cr3t://host", "is known for"),
    ],
)
def test_what_is_not_taken_is_told_in_one_sentence(home, url, said):
    with pytest.raises(ConfigError, match=f"^broker: .*{said}") as caught:
        App(broker=url, backend="redis://localhost")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("namespace", ["nbtasks", "a.b", "a-b", "n" * 80, "ä"])
def test_names_keep_the_rules_of_each_and_are_different(namespace):
    letters = "A-Za-z0-9_-"
    other = namespace.replace("-", ".") + "." if namespace == "a-b" else f"{namespace}2"
    names = {carrier_name(one, ADDRESS, letters, 80, "team-") for one in (namespace, other)}
    names |= {plain_name(one, ADDRESS) for one in (namespace, other)}
    assert len(names) == 4
    assert all(len(one) <= 80 and one.replace("-", "").replace("_", "").isalnum() for one in names)
    assert all(one.isascii() for one in names)
    plain = plain_name(namespace, ADDRESS)
    assert len(plain) <= 63
    assert "--" not in plain
    assert plain == plain.lower()


def test_celerys_transport_options_say_where_queues_are(home):
    with App() as app:
        app.conf.update(
            broker_url="sqs://key:s3cr3t@localhost:4566//",
            result_backend="redis://localhost",
            broker_transport_options={
                "region": "eu-central-1", "queue_name_prefix": "team-", "is_secure": True,
            },
        )  # fmt: skip
        found = parse_carrier(app.connection.carrier)
    assert (found.region, found.prefix) == ("eu-central-1", "team-")
    assert found.endpoint == "https://localhost:4566"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"region": "eu-west-1"}, "two things of region"),
        ({"predefined_queues": {"a": {"url": "https://"}}}, "queue_name_prefix"),
        ({"sts_role_arn": "arn:aws:iam::1:role/x"}, "the machine's role"),
    ],
)
def test_transport_options_that_cannot_be_kept_are_refused(home, options, said):
    with pytest.raises(ConfigError, match=said):
        carrier_told(broker_url="sqs://?region=eu-central-1", broker_transport_options=options)


def carrier_told(**settings):
    """Return the carrier of an App with these settings."""
    with App() as app:
        app.conf.update(result_backend="redis://localhost", **settings)
        return app.connection.carrier


def test_options_that_change_nothing_for_a_carrier_are_said(home):
    with App() as app, pytest.warns(UserWarning, match="visibility_timeout"):
        app.conf.update(
            broker_url="sqs://",
            result_backend="redis://localhost",
            broker_transport_options={"region": "eu-central-1", "visibility_timeout": 5},
        )


@pytest.mark.parametrize("url", ["pyamqp://", "amqp://", "AMQP:////"])
def test_an_amqp_that_names_nothing_is_the_one_on_this_machine(home, url):
    """As in the first lines of Celery's tutorials."""
    found = parse_carrier(url)
    assert (found.host, found.port, found.vhost, found.user) == ("localhost", 5672, "/", "guest")
    with App("tasks", broker=url, backend="redis://localhost") as app:
        assert app.connection.title.startswith("amqp://localhost")
    with pytest.raises(ConfigError, match="a user and no host"):
        parse_carrier("amqp://me:s3cr3t@/vhost")


@pytest.mark.parametrize("first", ["broker_url", "result_backend"])
def test_carrier_and_backend_may_be_set_one_after_the_other(home, first):
    """As Celery's pages write them: app.conf.broker_url = ... on one line, and the backend on the next."""
    settings = {"broker_url": "amqp://localhost", "result_backend": "redis://localhost"}
    with App() as app:
        setattr(app.conf, first, settings.pop(first))
        app.conf.update(settings)
        assert app.connection.title == "amqp://localhost over redis://localhost"


def test_an_app_whose_carrier_never_got_a_backend_says_so_where_it_is_used_and_can_be_closed(home, caplog):
    with App() as app:
        app.conf.broker_url = "amqp://localhost"
        with pytest.raises(ConfigError, match=r"keeps no results: .*backend='redis://"):
            app.task(abs).delay(-1)
    assert not caplog.records


@pytest.mark.parametrize("backend", [b"redis://localhost", 5])
def test_beside_a_carrier_nobody_is_told_to_leave_the_backend_out(home, backend):
    with pytest.raises(ConfigError, match=r"^backend: .* is a text.*; name one of Redis.*backend='redis://"):
        App(broker="amqp://localhost", backend=backend)


def test_what_answers_and_is_no_beanstalkd_is_said_to_be_none(start_server, new_app):
    app = new_app(f"beanstalk://127.0.0.1:{start_server(KeyServer, servers.find('bundled')).port}")
    with pytest.raises(BrokerUnavailable, match=r"beanstalk://.* \(what answers there is no beanstalkd\)"):
        app.task(abs).delay(-1)


def test_what_greets_as_no_beanstalkd_does_is_said_to_be_none(mariadb_server, new_app):
    app = new_app(f"beanstalk://127.0.0.1:{mariadb_server.port}")
    with pytest.raises(BrokerUnavailable, match=r"beanstalk://.* \(what answers there is no beanstalkd\)"):
        app.task(abs).delay(-1)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ampq://me:s3cr3t@host", "did you mean amqp://"),
        ("py-amqp://me:s3cr3t@host", "did you mean pyamqp://"),
        ("postgre://me:s3cr3t@host/db", "did you mean postgres"),
        ("beanstalkd://host", "did you mean beanstalk://"),
        ("reddis://:s3cr3t@host", "did you mean redis://"),
        ("amqp:/me:s3cr3t@host", "one slash.* write amqp://, with two"),
        ("sqs:/s3cr3t@", "one slash.* write sqs://, with two"),
        ("amqp+ssl://me:s3cr3t@host", "write amqp://, or amqps:// for TLS"),
    ],
)
def test_what_is_nearly_one_says_what_to_write(home, url, said):
    with pytest.raises(ConfigError, match=f"^broker: .*{said}") as caught:
        App(broker=url, backend="redis://localhost")
    assert SECRET not in str(caught.value)


def test_a_server_that_hangs_up_is_said_to_be_none():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            connection, _ = server.accept()
            connection.recv(1)
            # With a reset, not with an end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        carrier = open_carrier(f"amqp://127.0.0.1:{server.getsockname()[1]}", "tests")
        with pytest.raises(CarrierAway, match=r"hung up\); check that it is RabbitMQ"):
            carrier.check()
        thread.join()
