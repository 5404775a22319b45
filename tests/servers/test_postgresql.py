"""The PostgreSQL that tests get: it keeps what was committed, whatever ends it."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

from tests.servers.postgresql import PgBouncer, PostgreSQL


def connected(url):
    """A connection that commits each statement."""
    return contextlib.closing(psycopg.connect(url, autocommit=True))


def rows(url):
    """What the table holds."""
    with connected(url) as connection:
        return [n for (n,) in connection.execute("SELECT n FROM kept ORDER BY n")]


def test_each_test_has_a_database_of_its_own(postgres_server, postgres_url):
    with postgres_server.database() as other:
        for url in (postgres_url, postgres_server.url(other)):
            with connected(url) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
                assert connection.info.server_version // 10000 == 15
                (plain,) = connection.execute(
                    "SELECT NOT rolsuper AND NOT rolcreatedb FROM pg_roles WHERE rolname = current_user"
                ).fetchone()
                assert plain
    with (
        pytest.raises(psycopg.OperationalError, match="does not exist"),
        connected(postgres_server.url(other)),
    ):
        pass


def test_killed_stopped_and_paused_it_keeps_what_was_committed(start_server):
    server = start_server(PostgreSQL)
    with server.database() as name:
        url = server.url(name)
        with connected(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        assert not server.running
        server.start()
        with connected(url) as connection:
            connection.execute("INSERT INTO kept VALUES (2)")
        server.restart()
        with connected(url) as connection:
            with server.paused(), pytest.raises(psycopg.errors.ConnectionTimeout):
                psycopg.connect(url, connect_timeout=2)
            connection.execute("INSERT INTO kept VALUES (3)")
        assert rows(url) == [1, 2, 3]


def test_a_replica_takes_over(start_server, eventually):
    primary = start_server(PostgreSQL)
    with connected(primary.url(user="postgres")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        replica = start_server(PostgreSQL, primary=primary)
        connection.execute("INSERT INTO kept VALUES (2)")
        eventually(lambda: rows(replica.url(user="postgres")) == [1, 2], "the replica follows")
    primary.kill()
    with connected(replica.url(user="postgres")) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO kept VALUES (3)")
        replica.promote()
        connection.execute("INSERT INTO kept VALUES (3)")
    replica.restart()
    assert rows(replica.url(user="postgres")) == [1, 2, 3]


def test_tls_is_asked_for_and_verified(start_server):
    server = start_server(PostgreSQL, tls=True)
    with connected(server.url()) as connection:
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (
            True,
        )
    with pytest.raises(psycopg.OperationalError, match="pg_hba"), connected(server.url(sslmode="disable")):
        pass
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        psycopg.connect(server.url(sslrootcert="system"))


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(start_server):
    server = start_server(PostgreSQL, disk_mb=96)
    with server.database() as name, connected(server.url(name)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS n")
        server.fill_disk()
        with pytest.raises(psycopg.Error):
            connection.execute("CREATE TABLE large AS SELECT repeat('x', 500) FROM generate_series(1, 40000)")
        server.free_disk()
        if not server.running:
            server.start()
        assert rows(server.url(name)) == [1]
        with connected(server.url(name)) as again:
            again.execute("INSERT INTO kept VALUES (2)")


def test_pgbouncer_gives_each_transaction_any_connection(start_server):
    server = start_server(PostgreSQL)
    with server.database() as name:
        bouncer = start_server(PgBouncer, server, size=1)
        with connected(bouncer.url(name)) as one, connected(bouncer.url(name)) as two:
            (first,) = one.execute("SELECT pg_backend_pid()").fetchone()
            (second,) = two.execute("SELECT pg_backend_pid()").fetchone()
            assert first == second
        bouncer.restart()
        with connected(bouncer.url(name)) as connection:
            connection.execute("SELECT 1")
