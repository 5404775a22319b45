"""Secrets on their way through a server that may read everything: only who has the key of the namespace opens them.

The key makes, of the secret itself, a tag; and of the tag a stream of bytes that hides the secret (as in SIV: Rogaway
and Shrimpton, 2006, with HMAC-SHA256). The same secret looks the same each time, so a function that carries one is sent
once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from nbtasks.core.errors import SignatureMismatch

_TAG_BYTES = 32
_BLOCK_BYTES = 32


def hidden(secret: bytes, key: bytes) -> bytes:
    """Return a secret as nobody can read it without the key."""
    tag = _mac(_derived(key, b"tag"), secret)
    return tag + _with_stream(secret, _derived(key, b"stream"), tag)


def shown(data: bytes, keys: Iterable[bytes]) -> bytes:
    """Return what :func:`hidden` was given.

    Raises:
        SignatureMismatch: it was hidden with none of these keys, or was changed on its way.
    """
    tag, rest = data[:_TAG_BYTES], data[_TAG_BYTES:]
    for key in keys:
        secret = _with_stream(rest, _derived(key, b"stream"), tag)
        if hmac.compare_digest(_mac(_derived(key, b"tag"), secret), tag):
            return secret
    raise SignatureMismatch("a secret was hidden with another key, or was changed on its way")


def _with_stream(data: bytes, key: bytes, tag: bytes) -> bytes:
    blocks = -(-len(data) // _BLOCK_BYTES)
    stream = b"".join(_mac(key, tag + number.to_bytes(8, "big")) for number in range(blocks))
    return bytes(one ^ other for one, other in zip(data, stream, strict=False))


def _derived(key: bytes, what: bytes) -> bytes:
    return _mac(key, b"nbtasks secret " + what)


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
