"""A leg: all that one kind of broker does. What it cannot do, it says before anything is submitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .brokerline import BrokerLine


class BrokerPlace(Protocol):
    """Where a broker is, and what of it is ours."""

    @property
    def url(self) -> str:
        """With the password, if there is one."""

    @property
    def address(self) -> str:
        """The same without, for messages."""

    @property
    def carrier(self) -> str:
        """URL of what brings references to workers where the broker only keeps what is queued; empty for none."""

    @property
    def namespace(self) -> str:
        """Whatever is kept there belongs to a namespace; none sees anything of another one."""


class Leg(Protocol):
    """One kind of broker, for one place.

    To make a leg talks to nobody. It holds nothing that must be closed: that is what lines are for.
    """

    @property
    def lacks(self) -> Mapping[str, str]:
        """What it cannot do, by the name that users know it by, with the next step; empty where it does all.

        It may depend on the URL (a carrier without a store). Apps and workers refuse to begin with a leg that lacks
        something (``broker/legs.py``): nothing is ever done by halves.
        """

    def line(self) -> BrokerLine:
        """Return a new connection, which is made when it is used first."""
