"""What a MariaDB refuses, and what a line makes of one that was killed, or is slow."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pymysql
import pytest

from nbtasks.exceptions import ConfigError
from tests.servers.mariadb import MariaDB

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


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


def test_a_line_counts_as_connected_while_its_namespace_is_written(mariadb_url, new_line, eventually):
    """Who connects waits longer then: the server is there."""
    new_line(mariadb_url).check()
    url = urlsplit(mariadb_url)
    line = new_line(mariadb_url, "another")
    with (
        contextlib.closing(
            pymysql.connect(
                host=url.hostname, port=url.port, user=url.username, password=url.password, database=url.path[1:]
            )
        ) as other,
        other.cursor() as cursor,
        ThreadPoolExecutor(1) as threads,
    ):  # fmt: skip
        cursor.execute("INSERT INTO nbtasks_namespaces (name) VALUES ('another')")

        def waits() -> bool:
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.processlist "
                "WHERE id <> CONNECTION_ID() AND info LIKE 'INSERT%nbtasks_namespaces%'"
            )
            return cursor.fetchone()[0] == 1

        checked = threads.submit(line.check)
        eventually(waits, "it writes its namespace")
        assert line.connected
        other.rollback()
        assert checked.result(60)
