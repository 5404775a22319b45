"""The one place where a broker is chosen, by its URL's scheme: imports of what a leg stands on happen here.

What Redis needs is imported with this module, in one thread and before a module of the user's can be found in its
place. Of other brokers it is imported where the first leg is opened (``lateimports.py``); a worker does that before it
looks for modules of the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbtasks.core.errors import ConfigError

from .carriers.carriedleg import CarriedLeg
from .lateimports import importing
from .mysqlurl import is_mysql
from .pgurl import is_pg
from .redis.redisleg import RedisLeg
from .sqliteurl import is_sqlite
from .verbs.leg import BrokerPlace, Leg

if TYPE_CHECKING:
    from nbtasks.core.address import Address

    from .carriers.publisher import Publisher
    from .verbs.brokerline import BrokerLine


def open_leg(place: BrokerPlace) -> Leg:
    """Return the leg for a broker's URL; it talks to nobody yet.

    Raises:
        ConfigError: the URL is none that can be used, or its broker cannot do all that Apps and workers rely on.
    """
    leg = _leg_for(place)
    if leg.lacks:
        raise ConfigError(_refusal(place.address, dict(leg.lacks)))
    return leg


def open_publisher(
    place: BrokerPlace, addresses: Sequence[Address], worker: str
) -> tuple[Publisher, BrokerLine] | None:
    """Return what brings to a carrier what is queued in its ledger, and the line that ends it; None without a carrier.

    Args:
        addresses: those that the worker serves; the list may grow.
    """
    leg = _leg_for(place)
    return leg.publisher(addresses, worker) if isinstance(leg, CarriedLeg) else None


def _leg_for(place: BrokerPlace) -> Leg:
    with importing:
        leg = _ledger_for(place)
    return CarriedLeg(leg, place) if place.carrier else leg


def _ledger_for(place: BrokerPlace) -> Leg:
    if is_pg(place.url):
        from .postgres.postgresleg import PostgresLeg

        return PostgresLeg(place)
    if is_sqlite(place.url) or is_mysql(place.url):
        from .sql.sqlleg import SqlLeg

        return SqlLeg(place)
    return RedisLeg(place)


def _refusal(address: str, lacks: dict[str, str]) -> str:
    """Return what is said of a broker with which something would be done by halves."""
    each = "; ".join(f"{what} ({step})" for what, step in lacks.items())
    return f"the broker at {address} cannot be used as it is, for it lacks {each}"
