"""A queue's address: what is written is read as the same, and nothing else is an address."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbtasks.core.address import PYTHON, Address
from nbtasks.core.options import check_queue

key_ids = st.text("0123456789abcdef", min_size=8, max_size=8)
versions = st.builds("{}.{}".format, st.integers(0, 999), st.integers(0, 999))
queues = st.text("aZ0_.-é漢٣", min_size=1, max_size=64)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(queues, versions, key_ids)
def test_what_is_written_is_read_as_the_same(queue, python, key_id):
    address = Address(check_queue(queue), python, key_id)
    read = Address.parse(str(address))
    assert read == address
    assert hash(read) == hash(str(address))
    assert (read.queue, *read.kind) == (queue, python, key_id)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text("@.a1 \n-", max_size=30))
def test_an_address_is_read_to_its_end_or_not_at_all(text):
    whole = str(Address("default", PYTHON, "abcdef01"))
    for other in (text, text + whole, whole + text):
        try:
            assert str(Address.parse(other)) == other
        except ValueError:
            continue


@pytest.mark.parametrize(
    "text",
    ["", "default", "@3.11.abcdef01", "a@b@3.11.abcdef01", "a b@3.11.abcdef01", "a@3.11.abcdef0", "a@3.11.ABCDEF01",
     "a@3.11.abcdef01\n", "a@3.x.abcdef01", "a@3.11", f"{'a' * 65}@3.11.abcdef01", "a@3.1111.abcdef01"],
)  # fmt: skip
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="not an address"):
        Address.parse(text)


def test_what_a_worker_here_lacks():
    assert Address("default", "2.7", "abcdef01").lacking == "Python 2.7"
    assert Address("default", PYTHON, "abcdef01").lacking == "key abcdef01"
