"""Secrets that travel: only who has the key reads them, and nobody changes them unseen."""

from __future__ import annotations

import pytest

from nbtasks.core.errors import SignatureMismatch
from nbtasks.wire.secrets import hidden, shown
from nbtasks.wire.signing import new_key


@pytest.mark.parametrize("secret", [b"", b"x", b"redis://:password@host" * 20])
def test_who_has_the_key_reads_it(secret):
    key, older = new_key(), new_key()
    assert shown(hidden(secret, key), [key]) == shown(hidden(secret, older), [key, older]) == secret
    assert hidden(secret, key) == hidden(secret, key) != hidden(secret, older)


def test_nobody_else_does():
    secret, key = b"redis://:password@host", new_key()
    data = hidden(secret, key)
    assert b"password" not in data
    with pytest.raises(SignatureMismatch):
        shown(data, [new_key()])
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(SignatureMismatch):
            shown(bytes(changed), [key])
    for short in (data[:-1], data[:31], b""):
        with pytest.raises(SignatureMismatch):
            shown(short, [key])
