"""The one place where a broker is chosen, by its URL's scheme: imports of what a leg stands on happen here."""

from __future__ import annotations

from nbtasks.core.errors import ConfigError

from .pgurl import is_pg
from .verbs.leg import BrokerPlace, Leg


def open_leg(place: BrokerPlace) -> Leg:
    """Return the leg for a broker's URL; it talks to nobody yet.

    Raises:
        ConfigError: the URL is none that can be used, or its broker cannot do all that Apps and workers rely on.
    """
    leg = _leg_for(place)
    if leg.lacks:
        raise ConfigError(_refusal(place.address, dict(leg.lacks)))
    return leg


def _leg_for(place: BrokerPlace) -> Leg:
    if is_pg(place.url):
        from .postgres.postgresleg import PostgresLeg

        return PostgresLeg(place)
    from .redis.redisleg import RedisLeg

    return RedisLeg(place)


def _refusal(address: str, lacks: dict[str, str]) -> str:
    """Return what is said of a broker with which something would be done by halves."""
    each = "; ".join(f"{what} ({step})" for what, step in lacks.items())
    return f"the broker at {address} cannot be used as it is, for it lacks {each}"
