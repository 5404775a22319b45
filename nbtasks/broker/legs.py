"""The one place where a broker is chosen, by its URL's scheme: imports of what a leg stands on happen here."""

from __future__ import annotations

from .verbs.leg import BrokerPlace, Leg


def open_leg(place: BrokerPlace) -> Leg:
    """Return the leg for a broker's URL; it talks to nobody yet.

    Raises:
        ConfigError: the URL is none that can be used.
    """
    from .redis.redisleg import RedisLeg

    return RedisLeg(place)
