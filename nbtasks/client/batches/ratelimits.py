"""Which batches wait for permits of a rate limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ledger import Ledger
    from .loosecalls import Run


def rate_limit_of(batch: Run) -> str | None:
    """Return the rate limit of a batch's task, such as ``10/s``, as far as known: of another process's it is not."""
    return None if batch.parcel is None else batch.parcel.rate_limit


def may_be_limited(batch: Ledger) -> bool:
    """Whether a batch's task has a rate limit, or nobody knows here."""
    return batch.parcel is None or rate_limit_of(batch) is not None


def share_limit(one: Ledger, other: Ledger) -> bool:
    """Whether calls of both wait for the same permits, as far as known."""
    limit = rate_limit_of(one)
    return one is other or (limit is not None and (limit, one.name) == (rate_limit_of(other), other.name))
