"""The page of the server: memory, commands, clients, how its data is kept. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtasks.core.brokerfacts import BrokerFacts

_MOST_LOOKS = 300
_KEYS = re.compile(r"keys=(\d{1,18})")


class BrokerPage:
    """The page, with what was seen while somebody looked."""

    def __init__(self, place: Mapping[str, Any]) -> None:
        self._place = dict(place)
        self._ops: deque[dict[str, Any]] = deque(maxlen=_MOST_LOOKS)

    def page(self, facts: BrokerFacts, told: Mapping[str, str], now: float) -> dict[str, Any]:
        """Return the page.

        Args:
            told: what the server says of itself, by its own words.
        """

        def count(name: str) -> int | None:
            text = told.get(name, "")
            return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

        def number(name: str) -> float | None:
            try:
                return float(told.get(name, ""))
            except ValueError:
                return None

        found = {
            **self._place,
            "kind": facts.flavour,
            "version": facts.version,
            "role": told.get("role"),
            "uptime_s": count("uptime_in_seconds"),
            "memory": count("used_memory"),
            "peak": count("used_memory_peak"),
            "limit": facts.maxmemory,
            "policy": facts.policy,
            "clients": count("connected_clients"),
            "blocked_clients": count("blocked_clients"),
            "commands_per_s": count("instantaneous_ops_per_sec"),
            "commands": count("total_commands_processed"),
            "keys": _keys(told),
            "input_kbps": number("instantaneous_input_kbps"),
            "output_kbps": number("instantaneous_output_kbps"),
            "latency_s": facts.latency_s,
            "clock_offset_s": facts.clock_offset_s,
            "persistence": {
                "aof": told.get("aof_enabled") == "1",
                "aof_ok": told.get("aof_last_write_status", "ok") == "ok",
                "rdb_last": count("rdb_last_save_time"),
                "rdb_ok": told.get("rdb_last_bgsave_status", "ok") == "ok",
                "loading": told.get("loading") == "1",
            },
        }
        self._ops.append(
            {
                "t": now,
                "commands": found["commands_per_s"],
                "memory": found["memory"],
                "clients": found["clients"],
            }
        )
        return {**found, "ops": list(self._ops)}


def _keys(told: Mapping[str, str]) -> int:
    return sum(
        int(match[1]) for name, text in told.items() if name[:2] == "db" and (match := _KEYS.search(text))
    )
