"""A MariaDB that is killed, and one that refuses."""

from __future__ import annotations

import time

import pytest

from nbtasks.exceptions import ConfigError
from tests.servers.mariadb import MariaDB

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


def test_a_server_that_is_killed_loses_no_call(start_server, new_app, eventually):
    server = start_server(MariaDB)
    with server.database() as name:
        app = new_app(server.url(name))
        app.start_workers(2)

        @app.task
        def slow(n):
            time.sleep(0.01)
            return n

        run = slow.map(range(300))
        eventually(lambda: run.completed_count() > 20, "some have ended", within=90)
        server.kill()
        server.start()
        assert run.get(timeout=200) == list(range(300))
        app.close()


def test_what_is_refused_says_why(mariadb_url, new_line):
    with pytest.raises(ConfigError, match="refuses the login"):
        new_line(mariadb_url.replace(":secret@", ":wrong@")).check()


@pytest.mark.parametrize("durable", [True, False])
def test_a_server_that_confirms_before_it_has_written_lives_as_long_as_it_runs(
    start_server, new_line, durable
):
    server = start_server(MariaDB, settings={"innodb_flush_log_at_trx_commit": int(durable)})
    with server.database() as name:
        line = new_line(server.url(name))
        line.check()
        before = line.housekeeping().server_life()
        assert line.housekeeping().server_life() == before
        server.kill()
        server.start()
        line.patience_s = 30.0
        assert (line.housekeeping().server_life() == before) == durable
        line.close()
