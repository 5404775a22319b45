"""Where large values are of those whose calls an executor runs: nothing goes through a broker."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbtasks.wire.values import Shelf

if TYPE_CHECKING:
    from nbtasks.client.batches.parcel import Parcel
    from nbtasks.wire.pickling import Parts
    from nbtasks.wire.values import BlobPiece


class PieceShelf(Shelf):
    """Finds what is put apart among pieces that this process has."""

    def __init__(self, pieces: Mapping[str, bytes]) -> None:
        super().__init__(lambda name, number: f"{name}:{number}", self._read)
        self._pieces = pieces

    def _read(self, key: str, target: memoryview) -> int | None:
        data = self._pieces.get(key)
        if data is None:
            return None
        target[: len(data)] = data
        return len(data)


class InlineShelf(PieceShelf):
    """Puts nothing apart: a large value is its own payload."""

    def __init__(self) -> None:
        super().__init__({})

    def put(self, parts: Parts, in_file: bool) -> tuple[bytes, list[BlobPiece]]:
        """Return the value as it is."""
        return b"".join(parts), []


class ParcelShelf(PieceShelf):
    """Keeps what is put apart, each piece as long as its parcel."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        super().__init__(self._kept)

    def keep(self, parcel: Parcel, pieces: list[BlobPiece]) -> None:
        """Keep the large values of a parcel."""
        added = {key: bytes(data) for key, data in pieces}
        self._kept.update(added)
        weakref.finalize(parcel, self._drop, list(added)).atexit = False

    def _drop(self, keys: list[str]) -> None:
        for key in keys:
            self._kept.pop(key, None)

    def pieces(self, keys: set[str]) -> dict[str, bytes]:
        """Return what is kept under these keys."""
        return {key: self._kept[key] for key in keys if key in self._kept}
