"""A PostgreSQL is killed, stopped, replaced by a standby, out of room, or rid of connections, under calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nbtasks import App
from tests.servers.postgresql import PgBouncer, PostgreSQL

from .proxy import Proxy
from .sites import RESUME_S, seconds_to_resume

NAME = "postgresql-15"
LONG_S = (0.3,) * 8


@dataclass
class Site:
    """A server behind a proxy, a client, and a worker with two children, which see the proxy only.

    Attributes:
        database: its name, on this server and on its standby.
        server: where the proxy leads to now.
    """

    database: str
    server: PostgreSQL
    proxy: Proxy
    app: App

    def lead_to(self, server: PostgreSQL) -> None:
        """Have the proxy lead to another server."""
        self.server, self.proxy.target = server, socket_of(server)
        self.proxy.reconnect()


def socket_of(server: PostgreSQL) -> Path:
    """Return where a server listens on this machine."""
    return server.folder / f".s.PGSQL.{server.port}"


@pytest.fixture
def site(
    start_server: Any, machine: Any, home: Path, run_folder: Path, seed: int
) -> Iterator[Callable[..., Site]]:
    """``site(disk_mb=200)`` starts a PostgreSQL with these options, and what is around it."""
    with contextlib.ExitStack() as stack:

        def build(**options: Any) -> Site:
            server = start_server(PostgreSQL, **options)
            database = stack.enter_context(server.database())
            proxy = Proxy(socket_of(server), run_folder, tcp=True, seed=seed)
            stack.callback(proxy.close)
            port = proxy.url.rpartition(":")[2].partition("/")[0]
            url = server.url(database).replace(f":{server.port}/", f":{port}/")
            app = stack.enter_context(App("site", broker=url))
            made = Site(database, server, proxy, app)
            worker = machine(app, concurrency=2)
            stack.callback(proxy.heal)
            stack.callback(worker.end)
            return made

        yield build


def run_through(
    site: Site, matrix, faults, row: str, harm: Callable[[], None], *, n: int, url: str | None = None
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
        site.app,
        row,
        server=NAME,
        url=url or site.server.url(site.database),
        recovery_s=took,
        promised_s=RESUME_S,
    )


@pytest.mark.long
@pytest.mark.parametrize("n", [150, 3000])
def test_the_server_is_killed(site, matrix, faults, n):
    here = site()

    def kill():
        for _ in range(1 if n < 1000 else 2):
            here.server.kill()
            here.server.start()

    run_through(here, matrix, faults, "kill -9 of the server", kill, n=n)


@pytest.mark.long
def test_the_server_is_stopped_and_started(site, matrix, faults):
    here = site()

    def stop():
        here.server.stop()
        time.sleep(3.0)
        here.server.start()

    run_through(here, matrix, faults, "the server is stopped for 3 s, longer than leases", stop, n=1000)


@pytest.mark.long
def test_a_standby_takes_over_that_misses_the_end(site, matrix, faults, start_server, eventually):
    here = site()
    standby = start_server(PostgreSQL, primary=here.server)
    old = here.server

    def streams():
        with old.admin() as admin:
            return admin.execute("SELECT count(*) FROM pg_stat_replication").fetchone()[0]

    def fail_over():
        with standby.admin() as admin:
            admin.execute("ALTER SYSTEM SET primary_conninfo = ''")
            admin.execute("SELECT pg_reload_conf()")
        eventually(lambda: not streams(), "the standby hears nothing any more")
        # Calls, and results, that the standby has never seen.
        late = matrix.submit(here.app, 300)
        late.wait_for(0.3)
        old.kill()
        standby.promote()
        here.lead_to(standby)

    eventually(streams, "the standby follows")
    run_through(here, matrix, faults, "failover to a standby that lacks the last calls", fail_over, n=1000)


@pytest.mark.long
def test_its_disk_is_full(site, matrix, faults):
    here = site(disk_mb=160)

    def fill():
        here.server.fill_disk()
        time.sleep(3.0)
        here.server.free_disk()
        if not here.server.running:
            # Where no room is left for what it writes ahead, it ends itself.
            here.server.kill()
            here.server.start()
        here.server.await_ready()

    run_through(here, matrix, faults, "disk full for 3 s", fill, n=3000)
    assert "No space left on device" in here.server.log.read_text(errors="replace")


@pytest.mark.long
def test_connections_are_cut_again_and_again(site, matrix, faults, chance):
    here = site()

    def cut():
        with faults.again_and_again(here.proxy.reconnect, chance, 0.05, 0.4):
            time.sleep(8.0)

    run_through(here, matrix, faults, "all connections cut, again and again for 8 s", cut, n=2000)


@pytest.mark.long
def test_connections_are_reset(site, matrix, faults):
    here = site()

    def reset():
        here.proxy.reset_rate = 0.01
        time.sleep(8.0)
        here.proxy.reset_rate = 0.0

    run_through(here, matrix, faults, "1 % of packets reset the connection", reset, n=2000)


@pytest.mark.long
def test_the_network_falls_silent(site, matrix, faults):
    here = site()

    def fall_silent():
        here.proxy.go_silent()
        time.sleep(5.0)
        here.proxy.heal()

    run_through(here, matrix, faults, "network silent for 5 s (half-open)", fall_silent, n=600)


@pytest.mark.long
def test_backends_are_terminated(site, matrix, faults, chance):
    here = site()

    def strike():
        with here.server.admin() as admin:
            pids = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
                [here.database],
            ).fetchall()
            for (pid,) in chance.sample(pids, min(2, len(pids))):
                admin.execute("SELECT pg_terminate_backend(%s)", [pid])

    def terminate():
        with faults.again_and_again(strike, chance, 0.05, 0.3):
            time.sleep(8.0)

    run_through(here, matrix, faults, "pg_terminate_backend of any two, again and again", terminate, n=2000)


@pytest.mark.long
def test_a_pooler_is_started_anew(start_server, machine, home, matrix, faults):
    server = start_server(PostgreSQL)
    with server.database() as database:
        pooler = start_server(PgBouncer, server)
        with App("pooled", broker=pooler.url(database)) as app:
            worker = machine(app, concurrency=2)
            load = matrix.submit(app, 1000, long_s=LONG_S)
            load.wait_for(0.1)
            notes = [faults.note("pooler") for _ in range(4)]
            for end in (pooler.kill, pooler.stop, pooler.kill):
                end()
                pooler.start()
            took = seconds_to_resume(app)
            load.wait()
            for note in notes:
                note.until = time.monotonic()
            matrix.close(
                app, "PgBouncer is killed and stopped, 3 times", server=NAME, url=server.url(database),
                recovery_s=took, promised_s=RESUME_S,
            )  # fmt: skip
            worker.end()
