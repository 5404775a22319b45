"""Pieces of large values. What they hold is signed where they are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Blobs(Protocol):
    """Names, reads and drops them. They are stored along with a flush or a report, and then belong to a batch."""

    def key(self, name: str, piece: int) -> str:
        """Return the key of a piece, as calls and results refer to it. No round trip.

        Args:
            name: of the value: letters and digits.
        """

    def name_of(self, key: str) -> str | None:
        """Return the name that :meth:`key` was asked for with; None where it is none of ours. No round trip."""

    def read(self, key: str, target: memoryview) -> int | None:
        """Read a piece into ``target``; return its length, also where it does not fit, None where there is none.

        What is in ``target`` counts only where the length fits.
        """

    def have(self, keys: Sequence[str]) -> list[bool]:
        """Return of each key whether it is there."""

    def drop(self, keys: Sequence[str]) -> None:
        """Drop pieces, whoever they belong to. May be said again."""
