"""When a call may start, and until when: moments and durations as people give them with a call."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from .durations import YEAR_S, Duration, seconds_from_now
from .errors import ConfigError
from .moments import is_moment, may_be_epoch, moment, other_zone
from .warning import warn

#: Seconds that an ``eta`` may be past before it looks like a mistake.
_MUCH_PAST_S = 25 * 60.0


def countdown_until(countdown: Duration | None, eta: Any, now: float, zone: tzinfo | None = None) -> float:
    """Return the seconds until a call may start, from ``countdown`` or ``eta`` (a moment); 0 for what is past.

    Args:
        zone: of moments that name none; None: this machine's.
    """
    if countdown is not None and eta is not None:
        raise ConfigError("give countdown or eta, not both")
    if countdown is not None:
        return _from_now(countdown, "countdown", now, "say eta= instead")
    if eta is None:
        return 0.0
    delay = moment(eta, "eta", now, zone) - now
    if delay < -_MUCH_PAST_S and (advice := other_zone(eta, now)):
        where = "local time here" if zone is None else f"of {zone}, as app.conf says"
        warn(
            f"eta: {eta!r} says no time zone, so it is {where}, and {-delay / 3600:.1f} hours ago: the call "
            f"starts at once. {advice}"
        )
    return max(0.0, delay)


def expires_in(expires: Any, now: float, zone: tzinfo | None = None) -> float:
    """Return the seconds until a call expires, from a duration or a moment; 0 for what is past."""
    if is_moment(expires) or (isinstance(expires, str) and ":" in expires):
        return max(0.0, moment(expires, "expires", now, zone) - now)
    return _from_now(expires, "expires", now, "give a datetime")


def _from_now(value: Any, what: str, now: float, advice: str) -> float:
    delay = seconds_from_now(value, what)
    if may_be_epoch(value, delay, now):
        raise ConfigError(
            f"{what}: {value!r} would be {delay / YEAR_S:.0f} years from now, for a number is a duration in "
            f"seconds; for a moment {advice}"
        )
    return delay
