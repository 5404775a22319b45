"""The page of locks and limits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .bounded import short

if TYPE_CHECKING:
    from nbtasks.core.occupancy import Holder, LockLook
    from nbtasks.core.orders import LimitTask

#: How locks of ``max_concurrency=`` are called.
_OF_TASK = "task:"


def locks_page(
    locks: Iterable[LockLook], more: int, limits: Iterable[LimitTask], names: Mapping[str, str]
) -> dict[str, Any]:
    """Return the page.

    Args:
        more: locks that are left out.
        names: of workers, by their ids.
    """
    return {
        "locks": [_lock(one, names) for one in locks if one.held.count or one.held.waiting],
        "limits": [
            {
                "task": short(one.task),
                "rate": short(one.rate) or None,
                "hard_s": one.hard_s or None,
                "soft_s": one.soft_s or None,
            }
            for one in limits
        ],
        "more": more,
    }


def _lock(one: LockLook, names: Mapping[str, str]) -> dict[str, Any]:
    capacity = min((holder.capacity for holder in one.held.holders), default=None)
    name, kind = short(one.name), "lock" if capacity in (None, 1) else "semaphore"
    if name.startswith(_OF_TASK):
        kind = "at once"
    return {
        "id": one.id,
        "name": name,
        "kind": kind,
        "capacity": capacity,
        "count": one.held.count,
        "waiting": one.held.waiting,
        "holders": [_holder(holder, names) for holder in one.held.holders],
    }


def _holder(holder: Holder, names: Mapping[str, str]) -> dict[str, Any]:
    batch, colon, index = holder.name.partition(":")
    is_call = bool(colon) and index.isdigit() and batch.isalnum()
    return {
        "call": holder.name if is_call else None,
        "title": short(holder.title),
        "worker": names.get(holder.worker),
        "since_s": holder.since_s,
    }
