"""One namespace's codec, without a broker."""

from __future__ import annotations

import pytest

from nbtasks.wire.codec import Codec
from nbtasks.wire.frames import Sealer
from nbtasks.wire.signing import Keyring, new_key


@pytest.fixture
def key() -> bytes:
    """A fresh key."""
    return new_key()


@pytest.fixture
def sealer(key: bytes) -> Sealer:
    """Seals and opens frames of the namespace ``test``."""
    return Sealer(Keyring([key]), "test")


@pytest.fixture
def codec(sealer: Sealer) -> Codec:
    """Turns calls and results into signed bytes and back."""
    return Codec(sealer)
