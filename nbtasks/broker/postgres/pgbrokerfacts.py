"""What kind of server the broker is, and whether it can be trusted with calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.patience import once_loaded
from nbtasks.broker.servertime import quickest_look
from nbtasks.core.brokerfacts import BrokerFacts

from .pgerrors import takes_no_writes

if TYPE_CHECKING:
    from .pglink import PgLink


def look_at_pg(line: PgLink) -> BrokerFacts:
    """Ask the server what it is."""
    version, read_only = line.rows("server_facts")[0]
    latency, offset = quickest_look(lambda: float(line.one("server_time") / 1e6))
    return BrokerFacts(
        address=line.label,
        version=version,
        flavour="postgresql",
        policy="",
        maxmemory=0,
        latency_s=latency,
        clock_offset_s=offset,
        read_only=read_only,
    )


def check_pg(line: PgLink) -> BrokerFacts:
    """Ask the server what it is. What cannot be used is refused when the connection is made."""
    return once_loaded(lambda: look_at_pg(line))


def why_it_takes_nothing(line: PgLink) -> str | None:
    """Return why a server that answers takes nothing; None where it takes."""
    if line.rows("server_facts")[0][1]:
        return takes_no_writes(line.label)
    return None
