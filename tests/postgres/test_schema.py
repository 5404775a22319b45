"""The schema is made and upgraded by itself, and needs few rights from then on."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from nbtasks.exceptions import BrokerUnsuitable, ConfigError, NbtasksError
from tests.servers.postgresql import PASSWORD


@contextlib.contextmanager
def connected(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def test_whoever_comes_first_makes_it(postgres_url, new_line):
    line = new_line(postgres_url)
    assert line.check().flavour == "postgresql"
    with connected(postgres_url) as connection:
        version, verbs = connection.execute("SELECT version, verbs FROM nbtasks.meta").fetchone()
    assert version >= 1
    assert verbs


def test_many_who_come_at_once_make_one(postgres_url, new_line):
    problems = []

    def come(number):
        try:
            new_line(postgres_url, f"n{number % 2}").check()
        except NbtasksError as error:
            problems.append(error)

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    with connected(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM nbtasks.namespaces").fetchone() == (2,)


def test_an_app_waits_while_it_is_made(postgres_url, new_app, eventually):
    """That may take longer than a server may take to answer."""
    name = int.from_bytes(hashlib.sha256(b"nbtasks").digest()[:4], "big", signed=True)
    with connected(postgres_url) as connection:
        connection.execute("SELECT pg_advisory_lock(1851946098, %s)", (name,))
        app, began = new_app(postgres_url), time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            queues = pool.submit(app.workers)
            eventually(
                lambda: queues.done() or time.monotonic() > began + 3.5, "as long as an answer may take"
            )
            connection.execute("SELECT pg_advisory_unlock(1851946098, %s)", (name,))
            assert queues.result(60) == []


def test_its_name_can_be_another_one(postgres_url, new_line):
    new_line(f"{postgres_url}?schema=ours").check()
    with connected(postgres_url) as connection:
        found = connection.execute(
            "SELECT to_regclass('ours.meta') IS NULL, to_regclass('nbtasks.meta') IS NULL"
        )
        assert found.fetchone() == (False, True)


def test_one_that_is_newer_is_refused_where_it_must_be(postgres_url, new_line):
    new_line(postgres_url).check()
    with connected(postgres_url) as connection:
        connection.execute("UPDATE nbtasks.meta SET version = 99")
    new_line(postgres_url).check()
    with connected(postgres_url) as connection:
        connection.execute("UPDATE nbtasks.meta SET usable_since = 98")
    with pytest.raises(BrokerUnsuitable, match=r"of a newer nbtasks \(version 99.*update nbtasks here"):
        new_line(postgres_url).check()


def test_verbs_of_another_build_are_made_anew(postgres_url, new_line):
    new_line(postgres_url).check()
    with connected(postgres_url) as connection:
        connection.execute("UPDATE nbtasks.meta SET verbs = 'other'")
        connection.execute("DROP FUNCTION nbtasks.server_time")
    assert new_line(postgres_url).clock().now() > 0


def test_verbs_keep_to_their_conventions(postgres_url, new_line):
    new_line(postgres_url).check()
    with connected(postgres_url) as connection:
        functions = connection.execute(
            "SELECT proname, prosecdef, coalesce(proconfig, '{}'), proargnames, proargtypes::regtype[]::text[] "
            "FROM pg_proc WHERE pronamespace = 'nbtasks'::regnamespace"
        ).fetchall()
    assert len(functions) > 60
    for name, is_verb, settings, arguments, types in functions:
        if is_verb:
            assert {one.partition("=")[0] for one in settings} == {"search_path", "plan_cache_mode"}, name
            assert "integer" not in types, f"{name}: all whole numbers are bigint"
            assert name == "namespace" or arguments[0] == "_ns", name
        assert all(one.startswith("_") for one in (arguments or [])[: len(types)]), name


def test_one_batch_is_found_without_a_look_at_all_others(postgres_url, new_line, new_app, eventually):
    with connected(postgres_url) as connection:
        app = new_app(postgres_url)
        app.start_workers(1)
        # Plans are made while there is nothing, and kept.
        assert [app.task(len).delay([1]).get(timeout=60) for _ in range(100)] == [1] * 100
        app.close()

        def read(kind: str, name: str) -> int:
            table = f"pg_stat_user_{kind}"
            column = {"indexes": "indexrelname", "tables": "relname"}[kind]
            number = {"indexes": "idx_tup_read", "tables": "seq_tup_read"}[kind]
            return connection.execute(f"SELECT {number} FROM {table} WHERE {column} = '{name}'").fetchone()[0]

        eventually(lambda: read("indexes", "batches_pkey") >= 300, "all that was read is counted")
        assert read("indexes", "batches_by_age") < 1000
        assert read("tables", "batches") < 1000
        assert read("tables", "entries") < 1000


def test_who_may_not_make_it_is_told_so(postgres_server, postgres_url, new_line):
    with (
        role(postgres_server, postgres_url) as url,
        pytest.raises(ConfigError, match=r"may not change that") as caught,
    ):
        new_line(url).check()
    assert PASSWORD not in str(caught.value)


def test_a_role_needs_no_right_but_to_call(postgres_server, postgres_url, new_line, new_app, eventually):
    new_line(postgres_url).check()
    with role(postgres_server, postgres_url) as url:
        with connected(postgres_url) as owner:
            name = sql.Identifier(psycopg.conninfo.conninfo_to_dict(url)["user"])
            owner.execute(sql.SQL("GRANT USAGE ON SCHEMA nbtasks TO {}").format(name))
            owner.execute(sql.SQL("GRANT SELECT ON nbtasks.meta TO {}").format(name))
        app = new_app(url)
        app.start_workers(1)
        assert app.task(len).delay([1, 2, 3]).get(timeout=60) == 3
        task = app.add_periodic_task(0.25, app.task(len).s([1, 2]), name="often")
        eventually(lambda: task.count, "it is fired")
        assert task.last().get(timeout=60) == 2
        assert task.remove()
        with connected(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM nbtasks.results")


@contextlib.contextmanager
def role(server, url):
    """A role that may do nothing; yields its URL."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    name = f"guest_{parts['dbname']}"
    with server.admin() as admin:
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(PASSWORD))
        )
    try:
        yield f"postgresql://{name}:{PASSWORD}@127.0.0.1:{parts['port']}/{parts['dbname']}"
    finally:
        with server.admin(parts["dbname"]) as admin:
            admin.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    "theirs",
    [
        "CREATE FUNCTION shop.price() RETURNS integer LANGUAGE sql AS 'SELECT 7'",
        "CREATE TABLE shop.entries (x integer)",
        "CREATE TABLE shop.meta (x integer)",
        "CREATE TYPE shop.size AS (x integer)",
    ],
)
def test_a_schema_of_somebody_else_is_left_alone(postgres_url, new_line, theirs):
    """In its own one, nbtasks drops all functions when it is updated."""
    with connected(postgres_url) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute(theirs)
        had = _things(connection, "shop")
        with pytest.raises(ConfigError, match=r"holds what is not of nbtasks \(\w+\).*schema=\.\.\."):
            new_line(f"{postgres_url}?schema=shop").check()
        assert _things(connection, "shop") == had


def test_an_empty_schema_that_was_made_for_us_is_taken(postgres_url, new_line):
    with connected(postgres_url) as connection:
        connection.execute("CREATE SCHEMA ours")
    assert new_line(f"{postgres_url}?schema=ours").check().flavour == "postgresql"


def _things(connection, schema):
    return connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %(s)s::regnamespace "
        "UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = %(s)s::regnamespace ORDER BY 1",
        {"s": schema},
    ).fetchall()
