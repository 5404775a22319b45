"""Pieces of large values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .pglink import PgLink


class PgBlobs:
    """Names, reads and drops them."""

    def __init__(self, line: PgLink) -> None:
        self._line = line

    def key(self, name: str, piece: int) -> str:
        """Return the key of a piece."""
        return f"{name}:{piece}"

    def name_of(self, key: str) -> str | None:
        """Return the name that :meth:`key` was asked for with; None where it is none of ours."""
        name, colon, piece = key.partition(":")
        return name if colon and piece.isdigit() and name.isalnum() else None

    def read(self, key: str, target: memoryview) -> int | None:
        """Read a piece into ``target``; return its length, also where it does not fit."""
        data = self._line.one("blob", key)
        if data is not None and len(data) <= len(target):
            target[: len(data)] = data
        return None if data is None else len(data)

    def have(self, keys: Sequence[str]) -> list[bool]:
        """Return of each key whether it is there."""
        there = {key for (key,) in self._line.rows("blobs_there", list(keys))} if keys else set()
        return [key in there for key in keys]

    def drop(self, keys: Sequence[str]) -> None:
        """Drop pieces of large values."""
        if keys:
            self._line.rows("drop_blobs", list(keys))
