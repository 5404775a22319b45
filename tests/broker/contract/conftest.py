"""A leg, in a namespace of its own for each test, and a bench on which its verbs are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nbtasks.broker.legs import open_leg
from nbtasks.broker.verbs.leg import Leg
from tests.chaos.servers import Missing

from .bench import Bench
from .servers import KINDS, PARAMETERS, Place


@pytest.fixture(scope="session", params=PARAMETERS)
def broker_url(request, run_folder: Path) -> Iterator[str]:
    """A running server."""
    try:
        with KINDS[request.param](run_folder) as url:
            yield url
    except Missing as missing:
        pytest.skip(str(missing))


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
