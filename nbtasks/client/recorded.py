"""An id that is given away: whoever looks it up finds the call, in any process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batches.ledger import Ledger


def recorded(batch: Ledger) -> Ledger:
    """Return a batch as soon as others find it by its id: in a burst of calls it may still be on its way.

    Where the broker does not answer, or nothing was read yet of what a map goes through, it is returned all the same.
    """
    parcel = batch.parcel
    if parcel is not None and not parcel.recorded:
        parcel.recorded = batch.engine.await_recorded(parcel)
    return batch
