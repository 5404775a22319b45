"""What a broker's server says of itself now, for people; None where it does not say that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ServerGauges:
    """Nothing of it is signed.

    Attributes:
        role: such as master, or slave.
        memory: bytes that it has now; peak: that it has had at most.
        blocked_clients: those of its clients that wait for something to come.
        commands: that it has followed in all.
        keys: things that it keeps.
        input_kbps, output_kbps: kilobytes a second.
        persistence: how its data is kept, as the page of the broker takes it.
    """

    role: str | None = None
    uptime_s: int | None = None
    memory: int | None = None
    peak: int | None = None
    clients: int | None = None
    blocked_clients: int | None = None
    commands_per_s: int | None = None
    commands: int | None = None
    keys: int | None = None
    input_kbps: float | None = None
    output_kbps: float | None = None
    persistence: Mapping[str, Any] = field(default_factory=dict)
