"""Values as payloads of calls and results, and back; large ones are put apart, and the payload refers to them.

A large value lies in the broker, in pieces whose hash the signed payload holds; or in a file of this machine, whose
random name it holds. Only files in folders that are this user's alone are read, so what lies there needs no hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from nbtasks.core.errors import PayloadTooLarge, SignatureMismatch, ValueLost
from nbtasks.core.mapping import contents, nameless_file

from . import pickling
from .pickling import Parts

#: Values from here on are put apart.
BLOB_BYTES = 64 * 1024
#: From here on they go into a file, where there may be files.
FILE_BYTES = 256 * 1024
#: An argument of this size that all calls of a map have is sent once.
SHARED_BYTES = 2**20
#: Small enough to be written within the time of one command on a slow line.
PIECE_BYTES = 4 * 2**20
#: Bytes of shared values from the broker that one process keeps.
_MOST_HELD_BYTES = 2**30

#: The first byte of the payload of a value that is put apart.
REFERENCE = 0x02
#: Bytes of the shortest one: the name of a file is in it, or a hash.
LEAST_REFERENCE = 32
_SHARED = 0x03
#: Position among the arguments, length of the reference.
_PLACE = struct.Struct("<HI")
#: What stands in the broker for a value that is in a file: the file lives as long as this.
IN_FILE = b"file"

BlobPiece = tuple[str, "bytes | memoryview"]


class Files(Protocol):
    """Files of large values, for processes of one machine."""

    def write(self, name: str, parts: Parts) -> bool:
        """Write a new file; False where there is no room."""

    def read(self, name: str, size: int) -> memoryview:
        """Return the bytes of a file, writable, changes being private.

        Raises:
            OSError: it is not there, or not ours alone.
            EOFError: it is too short.
        """

    def has(self, name: str, size: int = 0) -> bool:
        """Whether a file of at least ``size`` bytes is there."""


class Shelf:
    """Where one process puts large values, and finds them.

    Args:
        key: returns the broker's key of a piece of a value.
        fetch: reads such a key into a buffer; returns the length of what is there, or None.
        files: None where there are none that other processes could read.
    """

    def __init__(
        self,
        key: Callable[[str, int], str],
        fetch: Callable[[str, memoryview], int | None],
        files: Files | None = None,
    ) -> None:
        self.files = files
        self._key = key
        self._fetch = fetch
        #: Shared values from the broker, as files without a name, by reference.
        self._held: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, parts: Parts, in_file: bool) -> tuple[bytes, list[BlobPiece]]:
        """Return a reference to a value, and the pieces that the broker has to store for it."""
        name, size = secrets.token_hex(12), size_of(parts)
        if in_file and size >= FILE_BYTES and self.files is not None and self.files.write(name, parts):
            return _reference({"n": size, "f": name}), [(self._key(name, 0), IN_FILE)]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        pieces: list[BlobPiece] = [
            (self._key(name, number), piece) for number, piece in enumerate(_in_pieces(parts))
        ]
        keys = [key for key, _ in pieces]
        return _reference({"n": size, "k": keys, "h": digest.hexdigest()}), pieces

    def lacks(self, payload: bytes | memoryview) -> bool:
        """Whether a payload is that of a value in a file which this process should see, and which is gone."""
        if self.files is None or not is_reference(payload):
            return False
        facts = json.loads(bytes(payload[1:]))
        return "f" in facts and not self.files.has(str(facts["f"]), int(facts["n"]))

    def get(self, reference: bytes | memoryview) -> memoryview:
        """Return the bytes of a value, writable.

        Raises:
            ValueLost: it is gone.
            SignatureMismatch: it is not what was signed.
        """
        facts = json.loads(bytes(reference[1:]))
        return self._from_file(facts) if "f" in facts else memoryview(self._from_broker(facts))

    def get_shared(self, reference: bytes) -> memoryview:
        """Do as :meth:`get`, again and again for the same value: its bytes are fetched once, changes are private."""
        facts = json.loads(reference[1:])
        if "f" in facts:
            return self._from_file(facts)
        with self._lock:
            held = self._held.get(reference)
            if held is None:
                held = self._held[reference] = (nameless_file(self._from_broker(facts)), facts["n"])
                self._make_room()
            self._held.move_to_end(reference)
            return contents(*held)

    def close(self) -> None:
        """Let go of the shared values that are kept; who has them in hand can go on with them."""
        with self._lock:
            while self._held:
                os.close(self._held.popitem()[1][0])

    def _make_room(self) -> None:
        while len(self._held) > 1 and sum(size for _, size in self._held.values()) > _MOST_HELD_BYTES:
            os.close(self._held.popitem(last=False)[1][0])

    def _from_file(self, facts: dict[str, Any]) -> memoryview:
        if self.files is None:
            raise SignatureMismatch(
                "a large value lies in a file of the machine where the embedded server is; only processes there can "
                "read it. Let the workers listen through a Redis that all machines reach, or write large values to "
                "files of your own"
            )
        try:
            return self.files.read(str(facts["f"]), int(facts["n"]))
        except (OSError, EOFError) as error:
            raise ValueLost(
                f"the file of a large value is gone or is not as it was written ({error}); it may have expired"
            ) from error

    def _from_broker(self, facts: dict[str, Any]) -> bytearray:
        data, at = bytearray(facts["n"]), 0
        for key in facts["k"]:
            length = self._fetch(key, memoryview(data)[at:])
            if length is None:
                raise ValueLost("a part of a large value is gone from the broker; it may have expired")
            at += length
            if at > len(data):
                break
        if at != len(data) or hashlib.sha256(data).hexdigest() != facts["h"]:
            raise SignatureMismatch("a large value was changed after it was signed; it was refused unread")
        return data


def payload_of(
    value: Any,
    limit: int,
    shelf: Shelf,
    in_file: Callable[[], bool],
    check: Callable[[Any, Parts, int], None] | None = None,
) -> tuple[bytes, list[BlobPiece]]:
    """Return a value as the payload of a call, and the pieces that the broker has to store where it is large.

    Args:
        limit: bytes that it may take.
        in_file: whether it may go into a file of this machine; asked where it is large.
        check: told of a value that is not plain, the parts that it was written as and their size; raises where it must
            not be sent.

    Raises:
        PayloadTooLarge: it is larger than ``limit`` bytes.
        NotPicklable: it cannot travel.
    """
    if type(value) in pickling.SMALL:
        # For each call: as few steps as can be. A number may have millions of digits.
        data = pickling.dump_plain(value)
        if len(data) < BLOB_BYTES and len(data) <= limit:
            return data, []
    plain = type(value) in pickling.SCALARS or pickling.is_plain(value)
    parts = pickling.dumps(value, plain)
    size = len(parts[0]) if len(parts) == 1 else size_of(parts)
    if size > limit:
        raise PayloadTooLarge(f"{type(value).__name__} takes {size:,} bytes, over the limit of {limit:,}")
    if check is not None and not plain:
        check(value, parts, size)
    if size < BLOB_BYTES:
        return b"".join(parts), []
    return shelf.put(parts, in_file())


def value_of(payload: bytes | memoryview, shelf: Shelf) -> Any:
    """Rebuild a value from a verified payload.

    Raises:
        ValueLost: what it refers to is gone.
        SignatureMismatch: what it refers to is not what was signed.
    """
    if len(payload) == 0:
        return None
    kind = payload[0]
    if kind == REFERENCE:
        return pickling.loads(shelf.get(payload))
    if kind == _SHARED:
        return _with_shared(payload, shelf)
    return pickling.loads(payload)


class Original:
    """The value of a result as it arrived. Whoever asks gets a copy of their own, for a result never changes.

    What is large is kept as bytes, so that it is there when the broker has removed it.
    """

    def __init__(self, payload: bytes | memoryview, shelf: Shelf) -> None:
        self._payload = payload
        self._shelf = shelf
        self._bytes: memoryview | None = None
        self._fixed: list[Any] = []

    def copy(self) -> Any:
        """Rebuild the value; as :func:`value_of`."""
        if self._fixed:
            return self._fixed[0]
        value = self._large() if is_reference(self._payload) else value_of(self._payload, self._shelf)
        if type(value) in pickling.SCALARS:
            # Nobody can change it.
            self._fixed.append(value)
            self._bytes = None
        return value

    def _large(self) -> Any:
        if self._bytes is None:
            self._bytes = self._shelf.get(self._payload).toreadonly()
        if files_of(self._payload):
            # To map the file again costs less than to copy its bytes.
            with contextlib.suppress(ValueLost):
                return pickling.loads(self._shelf.get(self._payload))
        return pickling.loads(self._bytes)


def is_reference(payload: bytes | memoryview) -> bool:
    """Whether a payload is that of a value that is put apart."""
    return len(payload) > 0 and payload[0] == REFERENCE


def sharing(payload: bytes, shared: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the payload of a call that has some arguments in common with others.

    Args:
        payload: the call without them.
        shared: (position, reference) of each of them, in order.
    """
    parts = [bytes((_SHARED, len(shared)))]
    for position, reference in shared:
        parts += [_PLACE.pack(position, len(reference)), reference]
    return b"".join((*parts, payload))


def _with_shared(payload: bytes | memoryview, shelf: Shelf) -> Any:
    shared, rest = _shared_of(payload)
    args, kwargs = value_of(rest, shelf)
    together = list(args)
    #: One that stands in two places is one object.
    known: dict[bytes, Any] = {}
    for position, reference in shared:
        if reference not in known:
            known[reference] = pickling.loads(shelf.get_shared(reference))
        together.insert(position, known[reference])
    return tuple(together), kwargs


def _shared_of(payload: bytes | memoryview) -> tuple[list[tuple[int, bytes]], memoryview]:
    view, at, shared = memoryview(payload), 2, []
    for _ in range(view[1]):
        position, length = _PLACE.unpack_from(view, at)
        at += _PLACE.size
        shared.append((position, bytes(view[at : at + length])))
        at += length
    return shared, view[at:]


def files_of(payload: bytes | memoryview) -> list[str]:
    """Return the names of the files that a payload refers to."""
    return [str(facts["f"]) for facts in _references(payload) if "f" in facts]


def keys_of(payload: bytes | memoryview) -> list[str]:
    """Return the keys of the pieces that a payload refers to."""
    return [str(key) for facts in _references(payload) for key in facts.get("k", ())]


def _references(payload: bytes | memoryview) -> list[dict[str, Any]]:
    """Return what the references in a payload say."""
    if len(payload) == 0:
        return []
    if payload[0] == _SHARED:
        shared, rest = _shared_of(payload)
        return [*(facts for _, reference in shared for facts in _references(reference)), *_references(rest)]
    return [json.loads(bytes(payload[1:]))] if payload[0] == REFERENCE else []


def size_of(parts: Parts) -> int:
    """Return the bytes that parts take."""
    return sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in parts)


def _reference(facts: dict[str, Any]) -> bytes:
    return bytes((REFERENCE,)) + json.dumps(facts, separators=(",", ":")).encode()


def _in_pieces(parts: Parts) -> Iterator[bytes | memoryview]:
    """Cut parts into pieces, without copying what is large."""
    small: list[bytes | memoryview] = []
    for part in parts:
        if len(part) < BLOB_BYTES:
            small.append(part)
            continue
        if small:
            yield b"".join(small)
            small = []
        whole = memoryview(part)
        for start in range(0, len(whole), PIECE_BYTES):
            yield whole[start : start + PIECE_BYTES]
    if small:
        yield b"".join(small)
