"""A database server behind a proxy, and a client and a worker that see the proxy only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtasks import App
from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

from .proxy import Proxy
from .sites import RESUME_S, seconds_to_resume

LONG_S = (0.3,) * 8


@dataclass(frozen=True)
class DatabaseKind:
    """A kind of server.

    Attributes:
        name: as the report has it.
        server: what starts one.
        socket: where one listens on this machine.
        connections: the statement for the numbers of a database's clients.
        end: the statement that ends one of them.
        row: what that is called in the report.
        full: what its log says when its disk is.
    """

    name: str
    server: Callable[..., Any]
    socket: Callable[[Any], Path]
    connections: str
    end: str
    row: str
    full: str


POSTGRESQL = DatabaseKind(
    "postgresql-15",
    PostgreSQL,
    lambda server: server.folder / f".s.PGSQL.{server.port}",
    "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
    "SELECT pg_terminate_backend(%s)",
    "pg_terminate_backend of any two, again and again",
    "No space left on device",
)
MARIADB = DatabaseKind(
    "mariadb-10.11",
    MariaDB,
    lambda server: server.folder / "socket",
    "SELECT id FROM information_schema.processlist WHERE db = %s",
    "KILL %s",
    "KILL of any two connections, again and again",
    "failed with error 28",
)


@dataclass
class DatabaseSite:
    """What a row of the matrix breaks.

    Attributes:
        database: its name, on this server and on its standby.
        server: where the proxy leads to now.
    """

    kind: DatabaseKind
    database: str
    server: Any
    proxy: Proxy
    app: App

    @property
    def url(self) -> str:
        """Of the server itself."""
        return str(self.server.url(self.database))

    def lead_to(self, server: Any) -> None:
        """Have the proxy lead to another server."""
        self.server, self.proxy.target = server, self.kind.socket(server)
        self.proxy.reconnect()

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what the superuser finds."""
        with self.server.admin() as admin:
            found = admin.execute(statement, values)
            # A connection of psycopg returns its cursor, a cursor of PyMySQL a number.
            return list((admin if isinstance(found, int) else found).fetchall())


def through(proxy: Proxy, server: Any, database: str) -> str:
    """Return the URL of a server's database behind a proxy."""
    port = proxy.url.rpartition(":")[2].partition("/")[0]
    return str(server.url(database).replace(f":{server.port}/", f":{port}/"))


@contextmanager
def database_site(
    kind: DatabaseKind, start_server: Any, machine: Any, run_folder: Path, seed: int, **options: Any
) -> Iterator[DatabaseSite]:
    """Set one up, with a worker of two children, and take it down; ``options`` are the server's."""
    server = start_server(kind.server, **options)
    database: AbstractContextManager[str] = server.database()
    with database as name:
        proxy = Proxy(kind.socket(server), run_folder, tcp=True, seed=seed)
        try:
            with App("site", broker=through(proxy, server, name)) as app:
                worker = machine(app, concurrency=2)
                try:
                    yield DatabaseSite(kind, name, server, proxy, app)
                finally:
                    # The worker first: what it would tell, nobody wants to know any more.
                    worker.end()
                    proxy.heal()
        finally:
            proxy.close()


def run_through(
    site: DatabaseSite, matrix: Any, faults: Any, row: str, harm: Callable[[], None], *, n: int
) -> None:
    """Submit a load, do harm when a part of it has ended, and measure how long everything takes to go on."""
    load = matrix.submit(site.app, n, long_s=LONG_S)
    load.wait_for(0.1)
    assert len(load.seen) < n, "the harm is done in the midst of it"
    # What was on its way, or not on the disk yet, runs again; the second time where its second run was caught, too.
    notes = [faults.note(row) for _ in range(2)]
    harm()
    took = seconds_to_resume(site.app)
    load.wait()
    for note in notes:
        note.until = time.monotonic()
    matrix.close(
        site.app, row, server=site.kind.name, url=site.url, recovery_s=took, promised_s=RESUME_S
    )  # fmt: skip
