"""Where a carrier is, and what connects to it: imports of what a carrier stands on happen here."""

from __future__ import annotations

from nbtasks.broker.verbs.carrier import Carrier
from nbtasks.core.errors import ConfigError

from .amqpurl import parse_amqp


def open_carrier(url: str, namespace: str) -> Carrier:
    """Return a connection to a carrier, which is made when it is used first.

    Raises:
        ConfigError: the URL is none that can be used, or py-amqp is not installed.
    """
    parsed = parse_amqp(url)
    try:
        from .amqpcarrier import AmqpCarrier
    except ImportError as error:
        raise ConfigError(
            f"a broker at {parsed.shown} needs py-amqp ({error}): pip install 'nbtasks[amqp]'"
        ) from None
    return AmqpCarrier(parsed, namespace)
