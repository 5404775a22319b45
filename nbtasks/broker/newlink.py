"""The one place where connections to brokers are made: another kind of broker is chosen here, by its URL's scheme."""

from __future__ import annotations

from typing import Protocol

from .redis.link import Link


class BrokerPlace(Protocol):
    """Where a broker is."""

    @property
    def url(self) -> str:
        """With the password, if there is one."""

    @property
    def address(self) -> str:
        """The same without, for messages."""


def new_link(place: BrokerPlace) -> Link:
    """Return a connection; it is made when it is used."""
    return Link(place.url, place.address)
