"""The stream of events over PostgreSQL: what is committed late is not passed over."""

from __future__ import annotations

import contextlib

import psycopg
import pytest

from nbtasks.broker.verbs.finish import Finish


def notes(*texts):
    """A report that notes these."""
    report = Finish()
    for text in texts:
        report.happened(text)
    return report


def read_all(log):
    """What there is to read, without waiting."""
    found = []
    while entries := log.read(0.0):
        found += [parts[0][1] for parts in (entry.parts for entry in entries)]
    return found


@pytest.fixture
def open_transaction(postgres_url):
    """``open_transaction(note)`` notes something in a transaction that is not committed; returns what commits it."""
    with contextlib.ExitStack() as stack:

        def begin(note):
            connection = stack.enter_context(psycopg.connect(postgres_url))
            connection.execute(
                "INSERT INTO nbtasks.happened (ns, at, name, frame) "
                "SELECT ns, (extract(epoch FROM now()) * 1000)::bigint, 'h', %s FROM nbtasks.namespaces",
                (note,),
            )
            return connection.commit

        yield begin


def test_what_is_committed_late_is_read_and_once(postgres_url, new_line, open_transaction):
    line = new_line(postgres_url)
    line.check()
    log, store = new_line(postgres_url).event_log(), line.store()
    log.begin_now()
    store.finish(notes(b"before"))
    commit = open_transaction(b"late")
    store.finish(notes(*(b"%d" % number for number in range(1200))))
    assert read_all(log) == [b"before", *(b"%d" % number for number in range(1200))]
    store.finish(notes(b"after"))
    assert read_all(log) == [b"after"]
    commit()
    assert read_all(log) == [b"late"]
    assert read_all(log) == []
    assert log.missed == 0


def test_what_was_written_before_the_beginning_is_not_read(postgres_url, new_line, open_transaction):
    line = new_line(postgres_url)
    line.check()
    store = line.store()
    store.finish(notes(b"before"))
    commit = open_transaction(b"not there yet")
    log = new_line(postgres_url).event_log()
    log.begin_now()
    commit()
    assert read_all(log) == [b"not there yet"]


def test_who_was_missed_is_counted_once(postgres_url, new_line):
    line = new_line(postgres_url)
    line.check()
    log, store, housekeeping = new_line(postgres_url).event_log(), line.store(), line.housekeeping()
    store.finish(notes(*[b"x" * 1000] * 150))
    log.begin_at(0)
    assert len(log.read(0.0)) == 100
    assert housekeeping.bound_events(20 * 1050) == 130
    assert len(read_all(log)) == 20
    assert log.missed == 30
    store.finish(notes(b"y"))
    assert read_all(log) == [b"y"]
    assert log.missed == 30
    late = new_line(postgres_url).event_log()
    late.begin_at(0)
    assert len(read_all(late)) == 21
    assert late.missed == 0


def test_an_order_that_is_committed_late_is_heard_and_once(postgres_url, new_line):
    line = new_line(postgres_url)
    line.check()
    giving, hearing = line.ordering(), new_line(postgres_url).ordering()
    heard, after = [], None

    def hear():
        nonlocal after
        while True:
            hearing.ask(after, 0)
            some = hearing.asked(0)
            if not some:
                found = list(heard)
                heard.clear()
                return found
            after = some[-1].id
            heard.extend(one.data for one in some)

    giving.give([b"before"])
    assert hear() == [b"before"]
    with psycopg.connect(postgres_url) as late:
        late.execute(
            "INSERT INTO nbtasks.control (ns, told, kind, data) "
            "SELECT ns, (extract(epoch FROM now()) * 1000)::bigint, 'c', 'late' FROM nbtasks.namespaces"
        )
        many = [b"%d" % number for number in range(600)]
        giving.give(many)
        assert hear() == many
        giving.give([b"after"])
        assert hear() == [b"after"]
        late.commit()
    assert hear() == [b"late"]
    assert hear() == []


def test_what_was_heard_in_part_goes_on_there(postgres_url, new_line):
    line = new_line(postgres_url)
    line.check()
    hearing = line.ordering()
    line.ordering().give([b"one", b"two", b"three"])
    hearing.ask(None, 0)
    first = hearing.asked(0)[0]
    hearing.ask(first.id, 0)
    assert [one.data for one in hearing.asked(0)] == [b"two", b"three"]
