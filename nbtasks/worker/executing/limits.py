"""What a call that has reached a time limit ends with, wherever it runs."""

from __future__ import annotations

from nbtasks.core.context import CurrentCall
from nbtasks.core.errors import SoftTimeLimitExceeded, TimeLimitExceeded

#: Seconds that the result of a call with a time limit has at least to be packed.
_PACKING_S = 3.0


def soft_limit_reached(call: CurrentCall) -> SoftTimeLimitExceeded:
    """Return what is raised in a call at its soft limit."""
    return SoftTimeLimitExceeded(f"call {call.id} has reached its soft time limit", call.id)


def hard_limit_exceeded(call: CurrentCall, limit_s: float) -> TimeLimitExceeded:
    """Return what a call ends with at its hard limit."""
    return TimeLimitExceeded(f"call {call.id} ran longer than its time limit of {limit_s:g} s", call.id)


def packing_limit(limit_s: float | None) -> float:
    """Return how long the result of a call may be packed, 0 for ever: pickling runs code of the user's, too."""
    return max(limit_s, _PACKING_S) if limit_s else 0.0
