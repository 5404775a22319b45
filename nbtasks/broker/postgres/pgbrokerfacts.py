"""What kind of server the broker is, and whether it can be trusted with calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nbtasks.broker.brokererrors import LOADING_S, BrokerLoading
from nbtasks.core.brokerfacts import BrokerFacts

if TYPE_CHECKING:
    from .pglink import PgLink


def look_at_pg(line: PgLink) -> BrokerFacts:
    """Ask the server what it is."""
    version, read_only = line.rows("server_facts")[0]
    best, offset = float("inf"), 0.0
    for _ in range(3):
        before = time.time()
        micros, _ahead = line.rows("server_time")[0]
        after = time.time()
        if after - before < best:
            best, offset = after - before, micros / 1e6 - (before + after) / 2
    return BrokerFacts(
        address=line.label,
        version=version,
        flavour="postgresql",
        policy="",
        maxmemory=0,
        latency_s=best,
        clock_offset_s=offset,
        read_only=read_only,
    )


def check_pg(line: PgLink) -> BrokerFacts:
    """Ask the server what it is. What cannot be used is refused when the connection is made."""
    deadline = time.monotonic() + LOADING_S
    while True:
        try:
            return look_at_pg(line)
        except BrokerLoading:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def why_it_takes_nothing(line: PgLink) -> str | None:
    """Return why a server that answers takes nothing; None where it takes."""
    if line.rows("server_facts")[0][1]:
        return (
            f"the broker at {line.label} is a standby that takes no writes: name the primary, or all servers with "
            "target_session_attrs=read-write"
        )
    return None
