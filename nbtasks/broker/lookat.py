"""What a broker is, asked before anything else is opened there: it may be one that is not fit."""

from __future__ import annotations

from nbtasks.core.brokerfacts import BrokerFacts

from .legs import open_leg
from .verbs.leg import BrokerPlace


def look_at(place: BrokerPlace) -> BrokerFacts:
    """Return what the broker is, over a connection of its own.

    Raises:
        BrokerUnavailable: it does not answer.
    """
    line = open_leg(place).line()
    try:
        return line.look()
    finally:
        line.close()
