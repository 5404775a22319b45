"""The one place where a broker is chosen, by its URL's scheme: imports of what a leg stands on happen here."""

from __future__ import annotations

from .pgurl import is_pg
from .verbs.leg import BrokerPlace, Leg


def open_leg(place: BrokerPlace) -> Leg:
    """Return the leg for a broker's URL; it talks to nobody yet.

    Raises:
        ConfigError: the URL is none that can be used.
    """
    if is_pg(place.url):
        from .postgres.postgresleg import PostgresLeg

        return PostgresLeg(place)
    from .redis.redisleg import RedisLeg

    return RedisLeg(place)
