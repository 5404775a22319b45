"""Which batches wait for permits of a rate limit, or for locks."""

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


def may_be_aside(batch: Ledger) -> bool:
    """Whether calls of a batch may wait beside their queue: for a rate limit, for a lock, or nobody knows here."""
    return may_be_limited(batch) or (batch.parcel is not None and batch.parcel.options.task.is_locked)


def share_limit(one: Ledger, other: Ledger) -> bool:
    """Whether calls of both wait for the same permits, as far as known."""
    limit = rate_limit_of(one)
    return one is other or (limit is not None and (limit, one.name) == (rate_limit_of(other), other.name))
