"""What a broker is, asked before anything else is opened there: it may be one that is not fit."""

from __future__ import annotations

from nbtasks.core.brokerfacts import BrokerFacts

from .newlink import BrokerPlace, new_link
from .redis.servercheck import look


def look_at(place: BrokerPlace) -> BrokerFacts:
    """Return what the broker is, over a connection of its own.

    Raises:
        BrokerUnavailable: it does not answer.
    """
    link = new_link(place)
    try:
        return look(link)
    finally:
        link.close()
