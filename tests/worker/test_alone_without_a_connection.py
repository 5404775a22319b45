"""A process that gets no connection while its worker has one says so: nobody else would."""

from __future__ import annotations

import logging

import pytest

from nbtasks import BrokerUnavailable
from nbtasks.core.clock import steady
from nbtasks.local.connection import Connection
from nbtasks.worker.child.brokerlines import BrokerLines
from nbtasks.worker.executing.interrupts import Interrupts
from nbtasks.worker.slots import ALONE, FINE, make_slots


@pytest.mark.parametrize("renewed", [True, False])
def test_it_says_so_once(tmp_path, caplog, renewed):
    caplog.set_level(logging.WARNING, "nbtasks.worker")
    slot = make_slots(1)[0]
    until = steady() + 15
    slot.set_lease(until, False, 0.0)
    connection = Connection(f"sqlite:///{tmp_path}/broker.db", (b"k" * 32,), "tests", "App(broker=...)")
    lines = BrokerLines(connection, (), "w/0", slot, Interrupts(slot, lambda: None), lambda *_: None)
    tries = iter(range(1, 6))

    def asked():
        number = next(tries)
        if number == 5:
            assert slot.trouble == (ALONE if renewed else FINE)
            return "answered"
        if renewed:
            slot.set_lease(until + 3 * number, False, 0.0)
        raise BrokerUnavailable("too many connections")

    assert lines.retrying(asked) == "answered"
    assert slot.trouble == FINE
    said = [record.message for record in caplog.records]
    assert (
        said
        == ["this process does not reach the broker, and its worker does: too many connections"] * renewed
    )
