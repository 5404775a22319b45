"""What goes to a MariaDB at once is one transaction all the same: wholly done, or not at all."""

from __future__ import annotations

import pytest

from nbtasks.core.errors import OperationalError

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

TASKS = "SELECT count(*) FROM @task_limits WHERE ns = ?"
ADDED = "INSERT INTO @task_limits (ns, task, frame) VALUES (?, ?, ?)"


@pytest.fixture
def line(mariadb_url, new_line):
    """A line to an empty database."""
    return new_line(mariadb_url)


def count(tx):
    return tx.value(TASKS, tx.ns)


def test_where_one_of_several_changes_fails_none_is_made(line):
    def change(tx):
        tx.run(ADDED, tx.ns, "first", b"")
        tx.run("INSERT INTO @nowhere (n) VALUES (1)")
        tx.run(ADDED, tx.ns, "last", b"")

    with pytest.raises(OperationalError, match="nowhere"):
        line.write(change)
    assert line.read(count) == 0


def test_what_a_verb_has_changed_is_undone_where_it_raises(line):
    def change(tx):
        tx.run(ADDED, tx.ns, "first", b"")
        assert count(tx) == 1
        raise OperationalError("no")

    with pytest.raises(OperationalError, match="no"):
        line.write(change)
    assert line.read(count) == 0


def test_a_verb_sees_its_changes_and_others_see_all_of_them_at_its_end(line, mariadb_url, new_line):
    other = new_line(mariadb_url)

    def change(tx):
        tx.many(ADDED, [(tx.ns, f"{n} % ?; '", b"\x00'\\") for n in range(3)])
        assert count(tx) == 3
        assert other.read(count) == 0
        tx.run("DELETE FROM @task_limits WHERE ns = ? AND task = ?", tx.ns, "0 % ?; '")

    line.write(change)
    assert other.read(count) == 2


def test_more_goes_than_one_packet_takes(line):
    rows = 40

    def change(tx):
        tx.many(ADDED, [(tx.ns, f"{n}", bytes(700_000)) for n in range(rows)])
        tx.run(ADDED, tx.ns, "last", bytes(3_000_000))

    def sizes(tx):
        return tx.rows("SELECT length(frame) FROM @task_limits WHERE ns = ? ORDER BY 1", tx.ns)

    line.write(change)
    assert line.read(sizes) == [(700_000,)] * rows + [(3_000_000,)]


def test_what_no_packet_takes_is_refused_and_keeps_nobody(line):
    def change(size):
        return lambda tx: tx.run(ADDED, tx.ns, "large", bytes(size))

    # Each of these bytes takes two in a statement.
    with pytest.raises(OperationalError, match=r"17,000,... bytes in one .*max_allowed_packet = 33554432"):
        line.write(change(8_500_000))
    line.write(change(8_300_000))
    assert line.read(count) == 1
    assert line.connections == 1


def test_several_answers_come_at_once_each_with_its_question(line):
    line.write(lambda tx: tx.run(ADDED, tx.ns, "one", b"frame"))
    frame = "SELECT frame FROM @task_limits WHERE ns = ? AND task = ?"

    def asked(tx):
        tx.want_time()
        found = tx.each((frame, tx.ns, "one"), (frame, tx.ns, "two"), (TASKS, tx.ns))
        return found, tx.now_us()

    found, now_us = line.read(asked)
    assert found == [[(b"frame",)], [], [(1,)]]
    assert now_us > 1.7e15
