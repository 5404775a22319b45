"""A leg, in a namespace of its own for each test, and a bench on which its verbs are tried."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.legs import open_leg, open_publisher
from nbtasks.broker.verbs.leg import Leg
from nbtasks.core.address import Address
from tests.chaos.servers import Missing

from .bench import Bench
from .servers import KINDS, NOT_YET, PARAMETERS, Place, place


@pytest.fixture(scope="session", params=PARAMETERS)
def broker_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A running server."""
    try:
        with KINDS[request.param](request) as url:
            yield url
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def not_yet(request: pytest.FixtureRequest) -> None:
    """What a leg does not do yet is not tried, or must fail: who has it done takes it off the list."""
    kind = getattr(request.node, "callspec", None) and request.node.callspec.params.get("broker_url")
    waiting, reason = NOT_YET.get(str(kind), ()), f"{kind} does not do this yet"
    if request.path.stem in waiting:
        pytest.skip(reason)
    if request.function.__name__ in waiting:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@contextlib.contextmanager
def published(where: Place, addresses: Sequence[Address]) -> Iterator[None]:
    """A supervisor tells the carrier what is queued, if there is a carrier."""
    found = open_publisher(where, addresses, "w1")
    if found is None:
        yield
        return
    publisher, line = found
    over = threading.Event()

    def publish() -> None:
        while not over.is_set():
            # As a supervisor does: a quorum queue that is just being made refuses what is put there.
            with contextlib.suppress(CarrierAway):
                publisher.step(100)

    thread = threading.Thread(target=publish)
    thread.start()
    yield
    over.set()
    thread.join()
    line.close()


@pytest.fixture
def where(broker_url: str) -> Place:
    """A namespace of the test's own."""
    return place(broker_url)


@pytest.fixture
def leg(where: Place) -> Leg:
    """What is tried."""
    return open_leg(where)


@pytest.fixture
def bench(leg: Leg, where: Place) -> Iterator[Bench]:
    """A client and two workers, over lines of their own."""
    made = Bench(leg)
    with published(where, made.addresses):
        yield made
    made.close()


@pytest.fixture
def another(broker_url: str) -> Iterator[Callable[[], Bench]]:
    """``another()`` returns a bench in another namespace of the same server."""
    made: list[Bench] = []

    def make() -> Bench:
        made.append(Bench(open_leg(place(broker_url))))
        return made[-1]

    yield make
    for one in made:
        one.close()
