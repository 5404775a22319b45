"""What is known of a broker, for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BrokerFacts:
    """What is known of the broker.

    Attributes:
        version: as the server tells it; for Valkey its own version, not the Redis version that it claims to be.
        flavour: ``redis``, ``valkey``, or what else a leg stands on, as ``postgresql``.
        policy: what it does when its memory is full.
        maxmemory: its limit in bytes, 0 for none.
        latency_s: seconds of one round trip, the best of three.
        clock_offset_s: what to add to this machine's clock to get the server's.
        read_only: whether it is a replica that takes no writes.
    """

    address: str
    version: str
    flavour: str
    policy: str
    maxmemory: int
    latency_s: float
    clock_offset_s: float
    read_only: bool = False
