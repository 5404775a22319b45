"""What one connection to a database has found silent, others of its process need not find out again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from nbtasks import BrokerUnavailable
from nbtasks.broker.legs import open_leg
from tests.broker.contract.servers import Place

from .databases import MARIADB, POSTGRESQL, DatabaseKind, through
from .proxy import Proxy


@dataclass(frozen=True)
class Server:
    """A kind of server, and what is said to one.

    Attributes:
        fixture: the server that the run shares.
        wait: has a connection wait so many seconds for what does not come.
        dawdle: has it ask what is answered after a minute.
    """

    kind: DatabaseKind
    fixture: str
    wait: Callable[[Any, float], Any]
    dawdle: Callable[[Any], Any]


def nothing(tx: Any) -> list[Any]:
    """Look for what never comes."""
    return list(tx.rows("SELECT ns FROM @namespaces WHERE ns < 0"))


def life(line: Any) -> str:
    """Ask the server a short question."""
    return str(line.housekeeping().server_life())


SERVERS = {
    "postgresql": Server(
        POSTGRESQL,
        "postgres_server",
        lambda line, within_s: line.wait_to_be_told(within_s, 0),
        lambda line: line.guarded(lambda connection: connection.execute("SELECT pg_sleep(60)")),
    ),
    "mariadb": Server(
        MARIADB,
        "mariadb_server",
        lambda line, within_s: line.wait_for(lambda: line.read(nothing), time.monotonic() + within_s),
        lambda line: line.read(lambda tx: tx.value("SELECT SLEEP(60)")),
    ),
}


@dataclass
class Lines:
    """A proxy before a server, and what makes connections through it."""

    server: Server
    proxy: Proxy
    url: str
    made: list[Any]

    def line(self) -> Any:
        """Return one that has been used."""
        line = open_leg(Place(self.url, "tests")).line()
        self.made.append(line)
        assert life(line)
        return line


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.long)])
def lines(request, run_folder, seed) -> Iterator[Lines]:
    """Of each kind of server."""
    kind = SERVERS[request.param]
    server = request.getfixturevalue(kind.fixture)
    proxy = Proxy(kind.kind.socket(server), run_folder, tcp=True, seed=seed)
    database: AbstractContextManager[str] = server.database()
    with database as name:
        found = Lines(kind, proxy, through(proxy, server, name), [])
        try:
            yield found
        finally:
            for line in found.made:
                line.close()
            proxy.close()


def test_what_one_connection_has_found_silent_no_other_waits_for_again(lines):
    one, other, waiting = lines.line(), lines.line(), lines.line()
    before = life(other)
    lines.proxy.go_silent()
    with ThreadPoolExecutor() as pool:
        told = pool.submit(lines.server.wait, waiting, 60.0)
        with pytest.raises(BrokerUnavailable):
            life(one)
        with pytest.raises(BrokerUnavailable):
            told.result()
    lines.proxy.heal()
    # Its connection is as silent as before.
    assert life(other) == before


def test_one_answer_that_takes_long_is_no_silence_where_others_come(lines):
    slow, other = lines.line(), lines.line()
    before = other.connections
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(lines.server.dawdle, slow)
        while not asked.done():
            life(other)
            lines.server.wait(other, 1.0)
        with pytest.raises(BrokerUnavailable):
            asked.result()
    life(other)
    assert other.connections == before
