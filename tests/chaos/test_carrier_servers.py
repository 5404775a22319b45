"""What brings references to workers is killed, emptied, cut off, silent or full, while calls run: no call suffers.

A carrier holds nothing that counts, so a fault of it touches no call: each is run once, unless its process or its
ledger is harmed as well.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import greenstalk
import pytest

from nbtasks import App
from nbtasks.broker.carriers.carriage import open_carrier
from tests.carriers.seen import address_of
from tests.servers.beanstalk import Beanstalk
from tests.servers.postgresql import PostgreSQL
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.sqs import SQS

from . import servers
from .proxy import Proxy
from .sites import DURABLE, RESUME_S, SOON

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
LONG_S = (0.3,) * 8
N = 400
#: Of some faults: seconds for which they last.
AWAY_S = 5.0


# --- carriers, and what is done to each of them past nbtasks ------------------------------------------------------


def _remove_from_rabbitmq(server: RabbitMQ) -> None:
    server.erlang('[rabbit_amqqueue:delete(Q, false, false, <<"tests">>) || Q <- rabbit_amqqueue:list()], ok')


def _remove_from_beanstalk(server: Beanstalk) -> None:
    with contextlib.closing(server.client()) as client:
        for tube in client.tubes():
            client.use(tube)
            # Of two who delete the same one finds nothing.
            with contextlib.suppress(greenstalk.NotFoundError):
                while True:
                    client.delete(client.peek_ready())


def _remove_from_sqs(server: SQS) -> None:
    client = server.client()
    for queue in client.list_queues().get("QueueUrls", ()):
        client.delete_queue(QueueUrl=queue)


@dataclass(frozen=True)
class Kind:
    """A carrier before a ledger.

    Attributes:
        server: starts a carrier of the test's own.
        remove: takes its queues away, or what is in them where it has no queues that could be removed.
        ledger: starts the ledger, which survives that it is killed.
    """

    server: Callable[[], Any]
    remove: Callable[[Any], None]
    ledger: str = "bundled"


KINDS = {
    "rabbitmq": Kind(RabbitMQ, _remove_from_rabbitmq),
    "rabbitmq-postgresql": Kind(RabbitMQ, _remove_from_rabbitmq, "postgresql"),
    "beanstalk": Kind(Beanstalk, _remove_from_beanstalk),
    "sqs": Kind(SQS, _remove_from_sqs),
}


# --- a row ----------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """A carrier behind a proxy, its ledger, an App, and a worker with two children, which see the proxy only.

    Attributes:
        name: of the carrier with its ledger, for the report.
        slowest_s: the longest time that one of the calls took which were submitted while harm was done.
    """

    name: str
    kind: Kind
    carrier: Any
    ledger: Any
    proxy: Proxy
    app: App
    worker: Any
    matrix: Any
    faults: Any
    chance: Any
    slowest_s: float = field(default=0.0)

    def run_through(self, row: str, harm: Callable[[], None], *, seconds: float = 0.0) -> None:
        """Submit a load with an entry for each call, do harm, and submit others ahead of it as long as that lasts.

        Those who wait for these have nothing to do, and hear of each from the carrier.

        Args:
            seconds: for which each of these runs.
        """
        load = self.matrix.submit(self.app, N, long_s=LONG_S, chunk=1)
        load.wait_for(0.1)
        with ThreadPoolExecutor(1) as pool:
            harming = pool.submit(harm)
            while not harming.done():
                self._go_on(seconds)
            harming.result()
        self._go_on(seconds)
        load.wait()
        self._await_none_left()
        self.matrix.close(self.app, row, server=self.name, recovery_s=self.slowest_s, promised_s=RESUME_S)

    def note(self, kind: str) -> None:
        """Write a fault down that touches no call."""
        self.faults.note(kind, ())

    def _go_on(self, seconds: float) -> None:
        began = time.monotonic()
        n = self.chance.randrange(1, 4)
        self.matrix.submit(self.app, n, long_s=(seconds,) * n * 4, chunk=1, priority=9).wait()
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        time.sleep(self.chance.uniform(0.0, 0.2))

    def _await_none_left(self) -> None:
        """Wait until workers have dropped the references that nobody needs any more."""
        end = time.monotonic() + SOON
        with self.direct() as carrier:
            while left := carrier.length(address_of(self.app)):
                assert time.monotonic() < end, f"{left} references are left"
                time.sleep(0.05)

    @contextlib.contextmanager
    def direct(self) -> Iterator[Any]:
        """A connection of nbtasks' own to the carrier, past the proxy."""
        carrier = open_carrier(self.carrier.url(), self.app.connection.namespace)
        yield carrier
        carrier.close()


@pytest.fixture(params=KINDS)
def here(
    request: pytest.FixtureRequest, start_server: Any, machine: Any, home: Path, run_folder: Path, tmp_path: Path,
    seed: int, matrix: Any, faults: Any, chance: Any,
) -> Iterator[Site]:  # fmt: skip
    """A carrier to break, with what is around it."""
    kind = KINDS[request.param]
    with contextlib.ExitStack() as stack:
        carrier = start_server(kind.server)
        if kind.ledger == "postgresql":
            ledger = start_server(PostgreSQL)
            backend = ledger.url(stack.enter_context(ledger.database()))
        else:
            try:
                ledger = stack.enter_context(servers.running(kind.ledger, run_folder, *DURABLE))
            except servers.Missing as missing:
                pytest.skip(str(missing))
            backend = ledger.url
        proxy = Proxy(carrier.port, run_folder, tcp=True, seed=seed)
        stack.callback(proxy.close)
        port = proxy.url.rpartition(":")[2].partition("/")[0]
        url = carrier.url().replace(f":{carrier.port}", f":{port}")
        app = stack.enter_context(App("site", broker=url, backend=backend))
        worker = machine(app, concurrency=2)
        stack.callback(proxy.heal)
        stack.callback(worker.end)
        assert app.task(abs).delay(-1).get(timeout=SOON) == 1
        yield Site(request.param, kind, carrier, ledger, proxy, app, worker, matrix, faults, chance)


# --- faults ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps", [True, False], ids=["with its data", "empty"])
def test_the_carrier_is_killed(here, keeps):
    how = "started with its data" if keeps else "started empty"

    def kill():
        for _ in range(3):
            here.note("carrier")
            here.carrier.kill()
            time.sleep(1.0)
            if not keeps:
                here.carrier.lose_all()
            here.carrier.start()
            time.sleep(1.0)

    here.run_through(f"kill -9 of the carrier, {how}, 3 times", kill)


def test_its_connections_are_cut_again_and_again(here):
    def cut():
        here.note("cut")
        here.proxy.reconnect()

    def harm():
        with here.faults.again_and_again(cut, here.chance, 0.05, 0.4):
            time.sleep(8.0)

    here.run_through("connections to the carrier cut, again and again for 8 s", harm)


def test_it_cannot_be_reached(here):
    def cut():
        here.note("away")
        here.proxy.cut()
        time.sleep(AWAY_S)
        here.proxy.heal()
        time.sleep(1.0)

    here.run_through("carrier cannot be reached for 5 s", cut)


def test_the_network_to_it_falls_silent(here):
    def fall_silent():
        here.note("silent")
        here.proxy.go_silent()
        time.sleep(AWAY_S)
        here.proxy.heal()
        # What was open then stays silent.
        time.sleep(2 * AWAY_S)

    here.run_through("network to the carrier silent for 5 s (half-open)", fall_silent)


def test_it_stands_still(here):
    def stop():
        here.note("stop")
        with here.carrier.paused():
            time.sleep(AWAY_S)
        time.sleep(1.0)

    here.run_through("SIGSTOP of the carrier for 5 s, then SIGCONT", stop)


def test_its_queues_are_removed(here):
    def remove():
        here.note("remove")
        here.kind.remove(here.carrier)

    def harm():
        with here.faults.again_and_again(remove, here.chance, 0.1, 0.8):
            time.sleep(8.0)

    here.run_through("queues of the carrier removed, again and again for 8 s", harm)


def test_it_brings_far_too_much(here):
    def repeat():
        here.note("repeat")
        with here.direct() as carrier:
            carrier.put({address_of(here.app): 100})

    def harm():
        with here.faults.again_and_again(repeat, here.chance, 0.2, 0.8):
            time.sleep(5.0)

    here.run_through("100 references too many, again and again for 5 s", harm)


@pytest.mark.parametrize("here", ["rabbitmq", "rabbitmq-postgresql"], indirect=True)
def test_it_takes_nothing_more(here):
    def fill():
        here.note("full")
        here.carrier.erlang("rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []})")
        time.sleep(3 * AWAY_S)
        here.carrier.erlang("rabbit_alarm:clear_alarm({resource_limit, memory, node()})")
        time.sleep(1.0)

    here.run_through("the carrier's memory is full for 15 s: it takes nothing more", fill)


def test_children_are_killed_while_it_is_away(here):
    def strike():
        alive = here.worker.children()
        if alive:
            here.faults.kill([here.chance.choice(alive)], "kill a child")

    def harm():
        for _ in range(2):
            here.note("carrier")
            here.carrier.kill()
            with here.faults.again_and_again(strike, here.chance, 0.4, 0.8):
                time.sleep(3.0)
            here.carrier.start()
            with here.faults.again_and_again(strike, here.chance, 0.4, 0.8):
                time.sleep(3.0)

    here.run_through("kill -9 of the carrier, and of children before and after it is back", harm, seconds=0.3)


def test_carrier_and_ledger_are_killed_at_once(here):
    def kill():
        # What was on its way to the ledger runs again; the second time where its second run was caught, too.
        notes = [here.faults.note("ledger") for _ in range(2)]
        here.note("carrier")
        here.carrier.kill()
        here.ledger.kill()
        time.sleep(1.0)
        here.ledger.start()
        here.carrier.start()
        time.sleep(1.0)
        for note in notes:
            note.until = time.monotonic()

    here.run_through("kill -9 of carrier and ledger at once", kill)
