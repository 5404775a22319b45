"""Which locks the calls of a parcel hold: found out when they are packed, so that a bad key is an error at the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.core.errors import ConfigError
from nbtasks.core.lock import Lock, locks_of

if TYPE_CHECKING:
    from nbtasks.client.batches.parcel import Parcel

#: What is handed on by a step before has no value yet.
_WITH_VALUES = frozenset({"one", "list", "error-id", "error-call"})


def locks_at(parcel: Parcel, index: int) -> tuple[Lock, ...]:
    """Return the locks of one call.

    Raises:
        ConfigError: its key cannot be found out.
    """
    options = parcel.options.task
    if not options.is_locked:
        return ()
    key = options.concurrency_key
    if key is not None and parcel.step is not None:
        _refuse_unknown(parcel)
    args, kwargs = parcel.calls[index] if key is not None else ((), {})
    return locks_of(parcel.task.name, options.locks, options.max_concurrency, key, args, kwargs)


def _refuse_unknown(parcel: Parcel) -> None:
    assert parcel.step is not None
    if any(edge.kind in _WITH_VALUES for edge in parcel.step.node.ins):
        raise ConfigError(
            f"concurrency_key of {parcel.task.name} needs its arguments when it is submitted, and here they come from "
            "the step before. Submit its calls when that has ended, or leave the key out: "
            f"{parcel.task.name}.with_options(concurrency_key=None)"
        )
