"""What supervisors are told: what is written is read as the same, and what makes no sense is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core.orders import Order, Shutdown, StopCalls

numbers, texts = st.integers(0, 2**40), st.text('aü漢\n"', max_size=8)
whats = st.builds(StopCalls, texts, st.integers(-1, 2**31), st.booleans()) | st.builds(
    Shutdown, st.booleans()
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.builds(Order, whats, texts, numbers, st.floats(0, 1e10), texts))
def test_what_is_written_is_read_as_the_same(order):
    assert Order.from_wire(json.loads(json.dumps(order.to_wire()))) == order


ENVELOPE = {"from": "s1", "no": 1, "at": 5.5}


@pytest.mark.parametrize(
    "wire",
    [{}, {"t": "stop", "b": "b1"}, {"t": "dance", **ENVELOPE}, {"t": ["stop"], **ENVELOPE}, {"t": "stop", **ENVELOPE},
     {"t": "stop", "b": 1, **ENVELOPE}, {"t": "stop", "b": "b1", "i": -2, **ENVELOPE},
     {"t": "stop", "b": "b1", "kill": "yes", **ENVELOPE}, {"t": "stop", "b": "b1", **ENVELOPE, "no": "1"},
     {"t": "shutdown", **ENVELOPE, "to": None}, {"t": "shutdown", **ENVELOPE, "at": -1}],
)  # fmt: skip
def test_what_makes_no_sense(wire):
    with pytest.raises(ValueError, match=r"is no|is neither|lacks"):
        Order.from_wire(wire)


def test_an_order_to_stop_may_come_twice_and_another_one_may_not():
    assert Order(StopCalls("b1"), "s1", 1, 0.0).is_harmless
    assert not Order(Shutdown(), "s1", 1, 0.0).is_harmless
