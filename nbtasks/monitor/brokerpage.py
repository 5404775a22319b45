"""The page of the server: memory, commands, clients, how its data is kept. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.core.brokerfacts import BrokerFacts
    from nbtasks.core.servergauges import ServerGauges

_MOST_LOOKS = 300


class BrokerPage:
    """The page, with what was seen while somebody looked."""

    def __init__(self, place: Mapping[str, Any]) -> None:
        self._place = dict(place)
        self._ops: deque[dict[str, Any]] = deque(maxlen=_MOST_LOOKS)

    def page(self, facts: BrokerFacts, told: ServerGauges, now: float) -> dict[str, Any]:
        """Return the page.

        Args:
            told: what the server says of itself.
        """
        self._ops.append(
            {"t": now, "commands": told.commands_per_s, "memory": told.memory, "clients": told.clients}
        )
        return {
            **self._place,
            "kind": facts.flavour,
            "version": facts.version,
            "limit": facts.maxmemory,
            "policy": facts.policy,
            "latency_s": facts.latency_s,
            "clock_offset_s": facts.clock_offset_s,
            **vars(told),
            "ops": list(self._ops),
        }
