"""What nobody needs any more goes, whoever dies in between."""

from __future__ import annotations

import psycopg
import pytest

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.core.address import Address

ADDRESS = Address("default", "3.11", "0a" * 4)


@pytest.fixture
def owner(postgres_url, new_line):
    """A connection of the tables' owner, whose path leads to them; and the schema is there."""
    new_line(postgres_url).check()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET search_path = nbtasks")
        yield connection


def count(owner, table: str) -> int:
    return owner.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def submit(line, batch: str, *, number: int = 1, key: str = "") -> None:
    flush = Flush()
    flush.batch(batch, 1, ADDRESS, "fn", b"function", b"label", 60_000)
    if key:
        flush.blob(batch, key, b"a large value")
    flush.chunk(batch, ADDRESS, "m", 0, 0, 1, b"the chunk")
    line.submission().submit("5e", number, flush)


def test_orders_are_no_more_than_supervisors_read(owner, postgres_url, new_line):
    """Each call that is due later leaves a word there: in a day there could be millions."""
    line = new_line(postgres_url)
    line.ordering().give([b"old"])
    owner.execute(
        "INSERT INTO control (ns, told, kind, data) SELECT ns, 1, 'due', '' FROM control, generate_series(1, 12000)"
    )
    line.ordering().give([b"new"])
    line.housekeeping().bound_events(2**20)
    assert count(owner, "control") == 10_000
    assert owner.execute("SELECT data FROM control WHERE kind = 'c'").fetchall() == [(b"new",)]


def test_large_values_go_also_where_nobody_is_left_to_drop_them(owner, postgres_url, new_line):
    """Who forgets a batch drops them a moment later; killed in between, it left them for ever."""
    line = new_line(postgres_url)
    for number, batch in enumerate(("ab", "cd"), start=1):
        submit(line, batch, number=number, key="of-both:0")
    submit(line, "ef", number=3, key="of-one:0")
    assert line.store().forget("ef") == ["of-one:0"]
    assert line.store().forget("ab") == ["of-both:0"]
    owner.execute("UPDATE blobs SET expires = expires - 86400000")
    line.housekeeping().sweep_batches(0)
    assert owner.execute("SELECT key FROM blobs").fetchall() == [("of-both:0",)]


def test_of_a_batch_that_has_expired_nothing_is_left(owner, postgres_url, new_line):
    line = new_line(postgres_url)
    submit(line, "ab", key="large:0")
    line.submission().revoke("ab", b"order", -1)
    report = Finish()
    report.results("ab", 0, b"\4", b"record")
    line.store().finish(report)
    owner.execute("UPDATE batches SET expires = 1")
    # By any supervisor that looks what is due.
    line.queues().promote(ADDRESS, 1.0)
    for table in ("batches", "results", "revocations", "blobs", "batch_blobs"):
        assert count(owner, table) == 0, table
    line.housekeeping().sweep_batches(0)
    assert count(owner, "functions") == 0
    # What waits in a queue is taken out by who comes to it, and by nobody else.
    assert line.delivery([ADDRESS], "w/0").take(10) == []
    assert count(owner, "entries") == 0


def test_what_clients_leave_that_were_killed_goes(owner, postgres_url, new_line):
    line = new_line(postgres_url)
    submit(line, "ab")
    report = Finish()
    report.results("ab", 0, b"\4", b"record")
    line.store().finish(report)
    line.session_news().ask("5e", None, 1)
    line.locks()
    line.periodic_store("0a" * 4).say_there("c1", 1000)
    line.ordering().answer("reply", "w1", b"answer")
    for table in ("news", "listeners", "sessions", "periodic_clients"):
        assert count(owner, table) == 1, table
    for column, table in (
        ("told", "news"),
        ("seen", "sessions"),
        ("said", "periodic_clients"),
        ("told", "answers"),
    ):
        owner.execute(f"UPDATE {table} SET {column} = 1")
    owner.execute("UPDATE sleepers SET since = 1")
    line.housekeeping().sweep_batches(0)
    line.ordering().answer("other", "w1", b"answer")
    for table in ("news", "listeners", "sessions", "sleepers", "periodic_clients"):
        assert count(owner, table) == 0, table
    assert count(owner, "answers") == 1
