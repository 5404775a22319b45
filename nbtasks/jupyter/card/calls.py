"""The single calls of a card, for those who look at them; also after the end, when it holds little of its batch."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtasks.client.batches.loosecalls import Run

#: A card keeps the results of a batch that has ended, where they are so few and so small; and so many labels.
_MOST_KEPT_CALLS = 20_000
_MOST_KEPT_BYTES = 2_000_000
_MOST_LABELS = 2_000


class Calls:
    """Knows the whole of a batch as long as anybody holds it, and later what is small of it."""

    def __init__(self, batch: Run) -> None:
        self._batch = batch
        self._whole: weakref.ref[Run] | None = None
        self._labels: list[str] = []

    @property
    def batch(self) -> Run:
        """The batch with all that is known of it here."""
        whole = self._whole() if self._whole is not None else None
        return self._batch if whole is None else whole

    def label(self, index: int) -> str:
        """Return the arguments of a call in short, with their names."""
        batch = self.batch
        if batch.parcel is None and index < len(self._labels):
            return self._labels[index]
        return batch.item_label(index)

    def let_go(self, shown: Run) -> None:
        """Hold no arguments, and results only where they are small: a card may stay for long.

        Args:
            shown: what the card goes on to hold of the batch.
        """
        batch = self._batch
        if self._whole is not None:
            return
        if batch.parcel is not None and batch.n <= _MOST_LABELS:
            self._labels = [batch.item_label(index) for index in range(batch.n)]
        self._whole = weakref.ref(batch)
        self._batch = batch.without_arguments() if _is_small(batch) else shown


def _is_small(batch: Run) -> bool:
    if batch.n > _MOST_KEPT_CALLS:
        return False
    sizes = (sum(map(len, record.payloads)) for record, _, _ in batch.known_records())
    return sum(sizes) <= _MOST_KEPT_BYTES
