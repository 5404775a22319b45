"""HMAC-SHA256 over every record, and the keys for it.

A keyring signs with its first key and accepts all of them, so that keys can be rotated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence

from nbtasks.core.errors import ConfigError, SignatureMismatch
from nbtasks.core.unsendable import refuse_to_travel

KEY_BYTES = 32
MAC_BYTES = 32
#: Of SHA-256.
_BLOCK_BYTES = 64


def new_key() -> bytes:
    """Return a new random key, 32 bytes."""
    return os.urandom(KEY_BYTES)


def encode_key(key: bytes) -> str:
    """Return a key as text (base64url without padding)."""
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def decode_key(text: str) -> bytes:
    """Read a key from text.

    Raises:
        ConfigError: it is not 32 bytes of base64url. The text itself is never repeated in the message.
    """
    text = text.strip()
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"the signing key is not {KEY_BYTES} bytes of base64url (43 characters, here {len(text)}); "
            "copy it whole, or remove the key file to have a new one made"
        )
    return key


def key_id(key: bytes) -> str:
    """Return the public id of a key, 8 hex digits."""
    return hashlib.sha256(b"nbtasks key id" + key).hexdigest()[:8]


class Keyring:
    """The keys of one namespace: the first signs, all verify."""

    __stays_here__ = "it holds the key, which a worker has already"
    __reduce_ex__ = refuse_to_travel

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ConfigError("no signing key was given")
        #: Ids of all keys, the signing one first.
        self.ids = tuple(key_id(key) for key in keys)
        self.id = self.ids[0]
        self._by_id = {bytes.fromhex(key_id(key)): _Keyed(key) for key in keys}
        self.id_bytes = bytes.fromhex(self.id)

    def __repr__(self) -> str:
        return f"<Keyring {self.id}>"

    def signing_id(self, kid: str = "") -> bytes:
        """Return the id of the key to sign with: the one that is asked for, else the first."""
        wanted = bytes.fromhex(kid) if kid else self.id_bytes
        return wanted if wanted in self._by_id else self.id_bytes

    def sign(self, kid: bytes, *parts: bytes | memoryview) -> bytes:
        """Return the MAC over the parts, as if they were one, by the key with an id from :meth:`signing_id`."""
        return self._by_id[kid].digest(parts)

    def verify(self, kid: bytes, mac: bytes, *parts: bytes | memoryview) -> None:
        """Check a MAC.

        Raises:
            SignatureMismatch: the key is not one of ours, or the MAC is not of these parts.
        """
        known = self._by_id.get(bytes(kid))
        if known is None:
            raise SignatureMismatch(
                f"a record is signed with key {bytes(kid).hex()}, and this process accepts {self._names()}; "
                "give both sides the same key (NBTASKS_KEY or a connection file)"
            )
        if not hmac.compare_digest(known.digest(parts), bytes(mac)):
            raise SignatureMismatch("a record was changed after it was signed; it was refused unread")

    def _names(self) -> str:
        return ", ".join(kid.hex() for kid in self._by_id)


class _Keyed:
    """HMAC with SHA-256 (RFC 2104) by one key, which is taken in once. The standard library's takes twice as long."""

    def __init__(self, key: bytes) -> None:
        self._inner, self._outer = (hashlib.sha256(_padded(key, pad)) for pad in (0x36, 0x5C))

    def digest(self, parts: Sequence[bytes | memoryview]) -> bytes:
        """Return the MAC over the parts, as if they were one."""
        inner, outer = self._inner.copy(), self._outer.copy()
        for part in parts:
            inner.update(part)
        outer.update(inner.digest())
        return outer.digest()


def _padded(key: bytes, pad: int) -> bytes:
    # No key is longer than a block, for then its hash would stand in its place.
    assert len(key) <= _BLOCK_BYTES
    return bytes(byte ^ pad for byte in key.ljust(_BLOCK_BYTES, b"\0"))
