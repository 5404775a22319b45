"""What lies in the tables is read strictly: what makes no sense costs itself alone."""

from __future__ import annotations

import secrets
import sqlite3

import pytest

from nbtasks.broker.verbs.finish import Finish
from nbtasks.broker.verbs.flush import Flush
from nbtasks.core.address import Address

ADDRESS = Address("default", "3.11", "0a" * 4)
NUMBERS = ("standing", "place", "first", "size", "attempt", "due", "queued")
TEXTS = ("batch", "flag", "holder", "waits_for", "begun_by", "follows")


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.long)])
def line(request, new_line):
    """One to each of them."""
    return new_line(request.getfixturevalue(f"{request.param}_url"), f"t{secrets.token_hex(4)}")


def submit(line, batch, number):
    flush = Flush()
    flush.batch(batch, 2, ADDRESS, "fn", b"function", b"label", 60_000)
    flush.chunk(batch, ADDRESS, "m", 0, 0, 2, b"a chunk of calls")
    line.submission().submit("5e" * 10, number, flush)


def spoil(line, batch, column, value):
    def verb(tx):
        tx.run(f"UPDATE @entries SET {column} = ? WHERE ns = ? AND batch = ?", value, tx.ns, batch)

    line.write(verb)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((column, value) for column in NUMBERS for value in (-1, -(2**62), 99, 2**62)),
        *((column, value) for column in TEXTS for value in ("", "x" * 300, "+", "-1+5", "1+0", "1+2+3")),
        ("frame", b""),
        ("frame", b"\xff" * 20),
    ],
)
@pytest.mark.parametrize("in_hand", [False, True])
def test_it_costs_itself_alone(line, column, value, in_hand):
    if in_hand and column == "standing":
        pytest.skip("then it is not in hand")
    submit(line, "ba" * 10, 1)
    delivery = line.delivery([ADDRESS], "w/0")
    if in_hand:
        assert len(delivery.take(10)) == 1
    submit(line, "bb" * 10, 2)
    spoil(line, "ba" * 10, column, value)
    taken = [entry for _ in range(3) for entry in delivery.take(10)]
    assert "bb" * 10 in [entry.batch for entry in taken]
    for entry in [*delivery.living(taken), *delivery.in_hand()]:
        assert entry.first >= 0
        assert 0 < entry.count <= 4
        assert 0 <= entry.attempt < 2**31
        assert entry.before is None or entry.before == (1, 2)
    line.stock().look(str(ADDRESS), ["ba" * 10, "bb" * 10])
    report = Finish()
    for entry in taken:
        report.results(entry.batch, entry.first, b"\x04" * entry.count, b"record")
        report.done(entry)
    delivery.finish(report)


@pytest.mark.parametrize("value", [b"\xff", "x", 1.5, ""])
def test_a_file_takes_no_value_of_another_type(sqlite_url, new_line, value):
    line = new_line(sqlite_url)
    submit(line, "ba" * 10, 1)
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as other:
        for column in NUMBERS:
            with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
                other.execute(f"UPDATE entries SET {column} = ?", [value])
    other.close()
