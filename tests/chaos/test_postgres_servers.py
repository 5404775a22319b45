"""A PostgreSQL is replaced by a standby, and the pooler before one is started anew, under calls."""

from __future__ import annotations

import time

import pytest

from nbtasks import App
from tests.servers.postgresql import PgBouncer, PostgreSQL

from .databases import LONG_S, POSTGRESQL, database_site, run_through
from .sites import RESUME_S, seconds_to_resume


@pytest.mark.long
def test_a_standby_takes_over_that_misses_the_end(
    start_server, machine, home, run_folder, seed, matrix, faults, eventually
):
    with database_site(POSTGRESQL, start_server, machine, run_folder, seed) as here:
        fail_over_in_midst(here, start_server, matrix, faults, eventually)


def fail_over_in_midst(here, start_server, matrix, faults, eventually):
    """Calls, and a standby that has not seen all of them."""
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
                app, "PgBouncer is killed and stopped, 3 times", server=POSTGRESQL.name, url=server.url(database),
                recovery_s=took, promised_s=RESUME_S,
            )  # fmt: skip
            worker.end()
