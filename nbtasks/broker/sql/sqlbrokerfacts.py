"""What kind of server the broker is, and whether it can be trusted with calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.broker.servertime import quickest_look
from nbtasks.core.brokerfacts import BrokerFacts
from nbtasks.core.errors import OperationalError

from .sqltime import server_time

if TYPE_CHECKING:
    from .sqllink import SqlLink


def look_at_database(line: SqlLink) -> BrokerFacts:
    """Ask the server what it is. What cannot be used is refused when the connection is made."""
    version = line.read(line.dialect.version)
    latency, offset = quickest_look(lambda: line.read(server_time)[0] / 1e6)
    return BrokerFacts(
        address=line.label,
        version=version,
        flavour=line.dialect.flavour,
        policy="",
        maxmemory=0,
        latency_s=latency,
        clock_offset_s=offset,
    )


def why_no_writes(line: SqlLink) -> str | None:
    """Return why a server that answers takes nothing; None where it takes."""
    try:
        line.write(lambda tx: tx.note("probe", ""))
    except OperationalError as error:
        return str(error)
    return None
