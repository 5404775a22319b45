"""Where large values are of those whose calls an executor runs: nothing goes through a broker."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from nbtasks.wire.values import Shelf

if TYPE_CHECKING:
    from nbtasks.client.batches.parcel import Parcel
    from nbtasks.wire.pickling import Parts
    from nbtasks.wire.values import BlobPiece


class InlineShelf(Shelf):
    """Puts nothing apart: a large value is its own payload."""

    def __init__(self) -> None:
        super().__init__(_key_of, _nothing)

    def put(self, parts: Parts, in_file: bool) -> tuple[bytes, list[BlobPiece]]:
        """Return the value as it is."""
        return b"".join(parts), []


def _key_of(name: str, number: int) -> str:
    return f"{name}:{number}"


def _nothing(key: str, target: memoryview) -> None:
    """There is nothing under any key."""


class PieceShelf(Shelf):
    """Keeps what is put apart in this process, as long as its parcel."""

    def __init__(self) -> None:
        super().__init__(_key_of, self._read)
        self._pieces: dict[str, bytes] = {}

    def _read(self, key: str, target: memoryview) -> int | None:
        data = self._pieces.get(key)
        if data is None:
            return None
        target[: len(data)] = data
        return len(data)

    def keep(self, parcel: Parcel, pieces: list[BlobPiece]) -> None:
        """Keep the large values of a parcel."""
        added = {key: bytes(data) for key, data in pieces}
        self._pieces.update(added)
        weakref.finalize(parcel, self._drop, list(added)).atexit = False

    def _drop(self, keys: list[str]) -> None:
        for key in keys:
            self._pieces.pop(key, None)

    def pieces(self, keys: set[str]) -> dict[str, bytes]:
        """Return what is kept under these keys."""
        return {key: self._pieces[key] for key in keys if key in self._pieces}
