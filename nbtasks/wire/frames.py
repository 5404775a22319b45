"""The frame: every record on the wire, signed as a whole.

    b"NB2" kind(1) key id(4) header length(4, little endian) header(JSON) body MAC(32)

The MAC covers everything before it and the namespace. Nothing of a frame is parsed before it is verified.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from nbtasks.core.errors import SignatureMismatch
from nbtasks.core.wirejson import as_json

from .signing import MAC_BYTES, Keyring

MAGIC = b"NB2"
_HEAD = struct.Struct("<3sc4sI")

FUNCTION, CHUNK, RESULT, EVENT, CONTROL, LABEL, PLAN = b"F", b"C", b"R", b"E", b"T", b"L", b"W"
ANSWER = b"A"
PERIODIC = b"S"
HAPPENED = b"H"

_NAMES = {
    FUNCTION: "a function",
    CHUNK: "a chunk",
    RESULT: "a result",
    EVENT: "an event",
    CONTROL: "a control",
    LABEL: "a label",
    PLAN: "a plan",
    ANSWER: "an answer",
    PERIODIC: "a periodic task",
    HAPPENED: "a note of events",
}

Header = dict[str, Any]
_MOST_CHILDREN = 100_000

# One decoder for all: making one takes longer than using it. Headers are verified before they are read, so nobody has
# to look for another encoding, or for what may follow.
_from_json = json.JSONDecoder().raw_decode


def key_of(frame: bytes) -> str:
    """Return the id of the key that a frame says it is signed with."""
    return frame[4:8].hex()


class Sealer:
    """Seals and opens frames of one namespace."""

    def __init__(self, keyring: Keyring, namespace: str) -> None:
        self.keyring = keyring
        self._scope = b"nbtasks1\0" + namespace.encode()

    def seal(
        self, kind: bytes, header: Header, *body: bytes | memoryview, more: str = "", kid: str = ""
    ) -> bytes:
        """Return a signed frame.

        Args:
            more: further fields of the header, from :func:`as_json`: many frames have the same ones.
            kid: id of the key to sign with, where it is not the first: who asked with a key is answered with it.
        """
        signer = self.keyring.signing_id(kid)
        fields = as_json(header)
        text = f"{{{fields},{more}}}".encode() if more else f"{{{fields}}}".encode()
        head = _HEAD.pack(MAGIC, kind, signer, len(text))
        frame = b"".join((head, text, *body))
        return frame + self.keyring.sign(signer, self._scope, frame)

    def open(self, kind: bytes, frame: bytes, **expected: Any) -> tuple[Header, memoryview]:
        """Verify a frame and return its header and body.

        Args:
            expected: what the header must say, because it was asked for: a valid record of another call is refused.

        Raises:
            SignatureMismatch: the frame is not what was asked for, or not signed by an accepted key.
        """
        view = memoryview(frame)
        if len(view) < _HEAD.size + MAC_BYTES:
            raise SignatureMismatch(f"{_NAMES[kind]} record is cut short ({len(view)} bytes)")
        magic, found, kid, length = _HEAD.unpack_from(view)
        if magic != MAGIC:
            raise SignatureMismatch(
                f"{_NAMES[kind]} record has an unknown format; both sides need the same nbtasks"
            )
        body_end = len(view) - MAC_BYTES
        self.keyring.verify(kid, bytes(view[body_end:]), self._scope, view[:body_end])
        if found != kind:
            raise SignatureMismatch(
                f"{_NAMES.get(found, 'a strange')} record stands where {_NAMES[kind]} record belongs"
            )
        body_start = _HEAD.size + length
        header: Header = _from_json(str(view[_HEAD.size : body_start], "utf-8"))[0]
        for name, value in expected.items():
            if header.get(name) != value:
                raise SignatureMismatch(
                    f"{_NAMES[kind]} record of {header.get(name)!r} stands where one of {value!r} belongs"
                )
        return header, view[body_start:body_end]


def unreadable(what: str, error: Exception) -> SignatureMismatch:
    """Return the error for a record that is signed, and whose fields make no sense here."""
    return SignatureMismatch(f"{what} cannot be read here: {error}; both sides need the same nbtasks")


#: Under which the header of what workers tell has the number of the child.
CHILD = "c"


def child_of(header: Header) -> int | None:
    """Return the number of the child that tells; what makes no sense is not known."""
    child = header.get(CHILD)
    return child if type(child) is int and 0 <= child < _MOST_CHILDREN else None
