"""Calls whose results are kept for later runs, by their names. What is found is a hint: the signed records decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

#: A batch, and the first call and the number of calls of one of its records.
Place = tuple[str, int, int]


class KeptCalls(Protocol):
    """Finds them. They were put there by :meth:`Finish.named`."""

    def calls(self, names: Sequence[str]) -> list[tuple[str, int] | None]:
        """Return batch and index of the call that each name leads to; None where there is none.

        Args:
            names: 64 hex digits each.
        """

    def places(self, batches: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
        """Return batch -> (first, count) under which its records are filed, in order."""

    def records(self, places: Sequence[Place]) -> Iterable[tuple[Place, bytes]]:
        """Yield the records that are there, a part at a time."""
