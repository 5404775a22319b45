"""A leg, in a namespace of its own for each test, and a bench on which its verbs are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.leg import Leg
from tests.chaos.servers import Missing

from .bench import Bench
from .servers import KINDS, NOT_YET, PARAMETERS, Place


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


@pytest.fixture
def leg(broker_url: str) -> Leg:
    """What is tried."""
    return open_leg(Place(broker_url))


@pytest.fixture
def bench(leg: Leg) -> Iterator[Bench]:
    """A client and two workers, over lines of their own."""
    made = Bench(leg)
    yield made
    made.close()


@pytest.fixture
def another(broker_url: str) -> Iterator[Callable[[], Bench]]:
    """``another()`` returns a bench in another namespace of the same server."""
    made: list[Bench] = []

    def make() -> Bench:
        made.append(Bench(open_leg(Place(broker_url))))
        return made[-1]

    yield make
    for one in made:
        one.close()
