"""What is true over each carrier, from end to end: an App, real workers, real servers, and what may happen to each."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from nbtasks import BrokerUnavailable
from nbtasks.broker.carriers.carriage import open_carrier
from tests.servers.beanstalk import Beanstalk
from tests.servers.etcd import Etcd
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.server import Server
from tests.servers.sqs import SQS

from .pages import run_page
from .seen import address_of, numbers_of, runs

pytestmark = pytest.mark.timeout(300)
SOON = 120.0


@dataclass(frozen=True)
class Kind:
    """A carrier to try.

    Attributes:
        server: starts one of the test's own.
        url: of such a server.
    """

    server: Callable[[], Server]
    url: Callable[[Server], str] = lambda server: server.url()  # type: ignore[attr-defined]


KINDS = {
    "beanstalk": Kind(lambda: Beanstalk(durable=False)),
    "sqs": Kind(SQS),
    "rabbitmq": Kind(RabbitMQ),
    # Through kombu.
    "etcd": Kind(Etcd),
}


#: Those whose server starts in a moment; of the others all tests are long.
QUICK = ("beanstalk",)


@pytest.fixture(params=[one if one in QUICK else pytest.param(one, marks=pytest.mark.long) for one in KINDS])
def kind(request):
    """Which carrier is tried."""
    return KINDS[request.param]


@pytest.fixture
def server(kind, start_server):
    """One of the test's own."""
    return start_server(kind.server)


@pytest.fixture
def app(kind, server, new_app):
    """Over it, with two children."""
    app = new_app(kind.url(server))
    app.start_workers(2, lease=2)
    return app


@contextlib.contextmanager
def carrier_of(app):
    """A connection of the test's own to an App's carrier."""
    carrier = open_carrier(app.connection.carrier, app.connection.namespace)
    yield carrier
    carrier.close()


def lose(app):
    """Take away what lies in the App's queue."""
    with carrier_of(app) as carrier:
        while carrier.take([address_of(app)], 0.01) is not None:
            carrier.settle(False)


def test_calls_come_and_go(app, tmp_path):
    """The one that is not long, where the server starts in a moment."""
    task = numbers_of(app, tmp_path)
    assert task.delay(0).get(timeout=SOON) == 0
    assert task.map(range(1, 100)).get(timeout=SOON) == list(range(1, 100))
    assert runs(tmp_path) == dict.fromkeys(range(100), 1)


@pytest.mark.long
def test_references_that_are_lost_are_put_again(app, tmp_path):
    task = numbers_of(app, tmp_path)
    task.delay(0).get(timeout=SOON)
    for n in range(1, 10):
        result = task.delay(n)
        lose(app)
        assert result.get(timeout=SOON) == n
    assert runs(tmp_path) == dict.fromkeys(range(10), 1)


@pytest.mark.long
def test_old_references_do_no_harm(app, tmp_path, eventually):
    task = numbers_of(app, tmp_path)
    results = [task.delay(n) for n in range(50)]
    with carrier_of(app) as carrier:
        carrier.put({address_of(app): 200})
        assert [one.get(timeout=SOON) for one in results] == list(range(50))
        eventually(lambda: carrier.length(address_of(app)) == 0, "old references are dropped", within=SOON)
    assert runs(tmp_path) == dict.fromkeys(range(50), 1)


@pytest.mark.long
def test_children_and_workers_that_are_killed_lose_nothing(app, tmp_path, eventually):
    task = numbers_of(app, tmp_path, 0.05)
    results = [task.delay(n) for n in range(100)]
    for part in (10, 40, 70):
        eventually(lambda part=part: len(runs(tmp_path)) > part, "some have run", within=SOON)
        (worker,) = app.workers()
        if part == 40:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            app.start_workers(2, lease=2)
        else:
            newest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime)
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(newest.name.split("-")[1]), signal.SIGKILL)
    # A call whose process was killed is run again, as it is without a carrier; nothing else runs twice.
    assert [one.get(timeout=SOON) for one in results] == list(range(100))
    assert sum(runs(tmp_path).values()) <= 100 + 2 + 2


@pytest.mark.long
def test_calls_go_on_while_the_carrier_is_away_and_after_it(server, app, tmp_path):
    task = numbers_of(app, tmp_path)
    assert task.delay(0).get(timeout=SOON) == 0
    server.kill()
    assert [task.delay(n).get(timeout=SOON) for n in range(1, 10)] == list(range(1, 10))
    server.start()
    assert [task.delay(n).get(timeout=SOON) for n in range(10, 30)] == list(range(10, 30))
    server.restart()
    results = [task.delay(n) for n in range(30, 60)]
    assert [one.get(timeout=SOON) for one in results] == list(range(30, 60))
    with server.paused():
        assert [task.delay(n).get(timeout=SOON) for n in range(60, 64)] == list(range(60, 64))
    assert task.delay(64).get(timeout=SOON) == 64
    assert runs(tmp_path) == dict.fromkeys(range(65), 1)


@pytest.mark.long
def test_what_is_taken_and_not_settled_comes_again(kind, server):
    """Or it is lost with who took it, where the carrier is one of those, and put again by the sweep."""
    carriers = [open_carrier(kind.url(server), "tests") for _ in range(2)]
    carriers[0].put({"a@3.11.00000000": 1})
    assert carriers[0].take(["a@3.11.00000000"], SOON) == "a@3.11.00000000"
    carriers[0].settle(True, back=True)
    assert carriers[1].take(["a@3.11.00000000", "b@3.11.00000000"], SOON) == "a@3.11.00000000"
    carriers[1].settle(True)
    assert carriers[0].take(["a@3.11.00000000"], 0.3) is None
    for one in carriers:
        one.close()


@pytest.mark.long
def test_who_is_not_there_is_said_so(kind, server, new_app):
    url = kind.url(server)
    server.kill()
    with pytest.raises(BrokerUnavailable, match="carrier at"):
        new_app(url).task(abs).delay(-1)


@pytest.mark.long
def test_the_page_runs_as_it_stands(start_server, ledger, project):
    server = start_server(Beanstalk)
    run_page("carriers.md", project, {"beanstalk://localhost": server.url(), "redis://localhost": ledger.url})
