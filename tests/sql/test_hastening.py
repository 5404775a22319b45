"""Who waits looks more and more rarely; a submit of the same process has it look often again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nbtasks.core.address import Address
from nbtasks.core.backoff import Backoff
from tests.broker.contract.bench import Bench

ADDRESS = Address("default", "3.11", "0a" * 4)
#: Long after the test has been given up.
NEVER_S = 60.0


class Legs:
    """What a bench makes its lines of: each waits, if it waits, for ever."""

    def __init__(self, new_line, url):
        self._new_line, self._url = new_line, url

    def line(self):
        """Return one."""
        line = self._new_line(self._url)
        line.dialect.polls = Backoff(NEVER_S)
        return line


@pytest.mark.timeout(55)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("mariadb", marks=pytest.mark.long)])
def test_a_submit_has_those_look_who_wait_in_this_process(kind, request, new_line, eventually):
    bench = Bench(Legs(new_line, request.getfixturevalue(f"{kind}_url")))
    waiting = bench.leg.line()
    looks = []

    def look():
        looks.append(1)
        return len(looks) > 1

    with ThreadPoolExecutor() as pool:
        found = pool.submit(waiting.wait_for, look, time.monotonic() + NEVER_S)
        eventually(lambda: looks, "it has looked once, and waits")
        eventually(lambda: bench.submitted() and found.done(), "it has looked again")
        assert found.result()
