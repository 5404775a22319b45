"""RabbitMQ as a broker, from end to end: an App, real workers, a real RabbitMQ, and what may happen to each of them."""

from __future__ import annotations

import contextlib
import time

import amqp
import pytest

from nbtasks import BrokerUnavailable, ConfigError
from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.carriers.carriage import open_carrier
from tests.servers.rabbitmq import RabbitMQ

from .pages import run_page
from .seen import address_of, numbers_of, runs

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
SOON = 120.0


@pytest.fixture
def app(rabbitmq_url, new_app):
    """Over the run's RabbitMQ, with two children."""
    app = new_app(rabbitmq_url)
    app.start_workers(2, lease=2)
    return app


def test_the_ledger_may_be_a_postgresql(rabbitmq_url, postgres_url, new_app, tmp_path):
    app = new_app(rabbitmq_url, backend=postgres_url)
    app.start_workers(2, lease=2)
    task = numbers_of(app, tmp_path)
    assert task.map(range(500)).get(timeout=SOON) == list(range(500))
    for n in range(500, 510):
        result = task.delay(n)
        purge(app)
        assert result.get(timeout=SOON) == n
    assert runs(tmp_path) == dict.fromkeys(range(510), 1)


def test_who_waits_is_woken_by_the_carrier(app, eventually):
    """No worker looks into the ledger by itself: what it waits for comes through RabbitMQ."""
    task = app.task(abs)
    assert task.delay(-1).get(timeout=SOON) == 1
    carrier = open_carrier(app.connection.carrier, app.connection.namespace)
    address = address_of(app)
    eventually(lambda: carrier.length(address) == 0, "all references are worked off")

    def listening():
        return carrier._channel.queue_declare(carrier._name(address), passive=True).consumer_count

    eventually(lambda: listening() == 2, "both children wait there")
    carrier.close()


def purge(app):
    """Throw away what lies in all of the App's queues."""
    carrier = open_carrier(app.connection.carrier, app.connection.namespace)
    address = address_of(app)
    carrier.length(address)
    carrier._channel.queue_purge(carrier._name(address))
    carrier.close()


def test_references_that_come_twice_or_are_nonsense_do_no_harm(app, tmp_path, eventually):
    task = numbers_of(app, tmp_path)
    results = [task.delay(n) for n in range(50)]
    carrier = open_carrier(app.connection.carrier, app.connection.namespace)
    address = address_of(app)
    carrier.put({address: 200})
    for body in (b"", b"\xff" * 1000, b'{"task": "x"}'):
        carrier._channel.basic_publish(amqp.Message(body), routing_key=carrier._name(address))
    assert [one.get(timeout=SOON) for one in results] == list(range(50))
    eventually(lambda: carrier.length(address) == 0, "old references are dropped")
    carrier.close()
    assert runs(tmp_path) == dict.fromkeys(range(50), 1)


def test_calls_go_on_while_rabbitmq_is_away_and_after_it(start_server, new_app, tmp_path):
    server = start_server(RabbitMQ)
    app = new_app(server.url())
    app.start_workers(2, lease=2)
    task = numbers_of(app, tmp_path)
    assert task.delay(0).get(timeout=SOON) == 0
    # Its queue is younger than what RabbitMQ has written about its queues.
    server.kill()
    assert [task.delay(n).get(timeout=SOON) for n in range(1, 10)] == list(range(1, 10))
    server.start()
    assert [task.delay(n).get(timeout=SOON) for n in range(10, 30)] == list(range(10, 30))
    server.restart()
    results = [task.delay(n) for n in range(30, 60)]
    assert [one.get(timeout=SOON) for one in results] == list(range(30, 60))
    with server.paused():
        assert [task.delay(n).get(timeout=SOON) for n in range(60, 70)] == list(range(60, 70))
    assert runs(tmp_path) == dict.fromkeys(range(70), 1)


def test_a_queue_that_a_killed_rabbitmq_has_lost_is_made_anew(start_server, eventually):
    """It is there, says that nothing is in it, and confirms nothing."""
    server = start_server(RabbitMQ)
    carrier = open_carrier(server.url(), "tests")
    carrier.put({"young": 3})
    server.kill()
    server.start()

    def is_put():
        with contextlib.suppress(BrokerUnavailable):
            carrier.put({"young": 1})
            return True

    eventually(is_put, "it confirms again", within=SOON)
    assert carrier.take(["young"], SOON) == "young"
    carrier.close()


def test_who_waits_hears_of_a_queue_that_is_made_anew(rabbitmq_server, rabbitmq_url):
    """RabbitMQ confirms nothing for a while, so the queue is made anew: under who listens to it all the time."""
    putting, waiting = (open_carrier(rabbitmq_url, "tests") for _ in range(2))
    putting.put({"slow": 1})
    assert waiting.take(["slow"], SOON) == "slow"
    waiting.settle(False)
    process = f"'{rabbitmq_url.rpartition('/')[2]}_{putting._name('slow')}'"
    rabbitmq_server.erlang(f"sys:suspend({process})")
    with pytest.raises(CarrierAway):
        putting.put({"slow": 1})
    rabbitmq_server.erlang(f"sys:resume({process})")
    end = time.monotonic() + SOON

    def put():
        putting.put({"slow": 1})
        return True

    assert until(put, end)
    assert until(lambda: waiting.take(["slow"], 0.1), end) == "slow"
    for one in (putting, waiting):
        one.close()


def until(act, end):
    """Try something again and again until something comes of it, which is returned."""
    while time.monotonic() < end:
        with contextlib.suppress(CarrierAway):
            if found := act():
                return found
    return None


@contextlib.contextmanager
def full(server):
    """A RabbitMQ of the test's own has no memory left: it takes nothing, and goes on otherwise."""
    server.erlang("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})")
    yield
    server.erlang("rabbit_alarm:clear_alarm({resource_limit, memory, node()})")


def test_a_rabbitmq_that_is_full_is_called_so(start_server):
    server = start_server(RabbitMQ)
    carrier = open_carrier(server.url(), "tests")
    carrier.put({"a": 1})
    with (
        full(server),
        pytest.raises(CarrierAway, match=r"its memory or its disk is full .connection.blocked.; make room"),
    ):
        carrier.put({"a": 1})
    carrier.close()


def test_the_ledger_may_be_killed(app, ledger, tmp_path):
    task = numbers_of(app, tmp_path, 0.01)
    results = [task.delay(n) for n in range(100)]
    results[10].get(timeout=SOON)
    ledger.kill()
    ledger.start()
    assert [one.get(timeout=SOON) for one in results] == list(range(100))
    assert runs(tmp_path).keys() == set(range(100))


def test_a_call_may_take_longer_than_a_consumer_may_hold_a_message(start_server, new_app, tmp_path):
    server = start_server(RabbitMQ, consumer_timeout_s=2)
    server.erlang("application:set_env(rabbit, channel_tick_interval, 1000)")
    app = new_app(server.url())
    app.start_workers(2, lease=2)
    task = numbers_of(app, tmp_path, 15)
    assert [one.get(timeout=SOON) for one in [task.delay(n) for n in range(4)]] == list(range(4))
    assert runs(tmp_path) == dict.fromkeys(range(4), 1)


def test_tls(start_server, new_app):
    server = start_server(RabbitMQ, tls=True)
    url = server.url().replace("127.0.0.1", "localhost")
    app = new_app(url)
    app.start_workers(1)
    assert app.task(abs).delay(-1).get(timeout=SOON) == 1
    plain = url.partition("?")[0]
    with pytest.raises(BrokerUnavailable, match=r"certificate.*cacertfile"):
        new_app(plain).task(abs).delay(-1)
    with pytest.raises(BrokerUnavailable, match="carrier at amqp://"):
        new_app(plain.replace("amqps", "amqp")).task(abs).delay(-1)


def test_who_is_not_let_in_is_told_so(rabbitmq_url, new_app):
    for wrong in (rabbitmq_url.replace(":secret@", ":wrong@"), f"{rabbitmq_url}-other"):
        with pytest.raises(ConfigError, match=r"carrier at amqp://.*does not let us in") as caught:
            new_app(wrong).task(abs).delay(-1)
        assert "wrong@" not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_the_page_runs_as_it_stands(rabbitmq_url, ledger, project):
    run_page("rabbitmq.md", project, {"amqp://localhost": rabbitmq_url, "redis://localhost": ledger.url})


def test_the_rights_that_the_page_names_are_enough(rabbitmq_server, new_app):
    with rabbitmq_server.vhost() as (vhost, user):
        rights = '<<"^nbtasks\\\\..*">>, <<"^(nbtasks\\\\..*|amq\\\\.default)$">>, <<"^nbtasks\\\\..*">>'
        rabbitmq_server.erlang(
            f'rabbit_auth_backend_internal:set_permissions(<<"{user}">>, <<"{vhost}">>, {rights}, <<"tests">>)'
        )
        app = new_app(rabbitmq_server.url(vhost, user))
        app.start_workers(1)
        assert app.task(abs).delay(-1).get(timeout=SOON) == 1
        key = address_of(app)
        carrier = open_carrier(app.connection.carrier, app.connection.namespace)
        carrier.put({key: 1})
        carrier.close()
        app.close()
