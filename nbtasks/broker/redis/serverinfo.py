"""What a server says to INFO, read. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nbtasks.core.servergauges import ServerGauges

_KEYS = re.compile(r"keys=(\d{1,18})")


def gauges_of(told: Mapping[str, str]) -> ServerGauges:
    """Return what is of interest of that.

    Args:
        told: values by the server's own words.
    """

    def count(name: str) -> int | None:
        text = told.get(name, "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def number(name: str) -> float | None:
        try:
            return float(told.get(name, ""))
        except ValueError:
            return None

    return ServerGauges(
        role=told.get("role"),
        uptime_s=count("uptime_in_seconds"),
        memory=count("used_memory"),
        peak=count("used_memory_peak"),
        clients=count("connected_clients"),
        blocked_clients=count("blocked_clients"),
        commands_per_s=count("instantaneous_ops_per_sec"),
        commands=count("total_commands_processed"),
        keys=_keys(told),
        input_kbps=number("instantaneous_input_kbps"),
        output_kbps=number("instantaneous_output_kbps"),
        persistence={
            "aof": told.get("aof_enabled") == "1",
            "aof_ok": told.get("aof_last_write_status", "ok") == "ok",
            "rdb_last": count("rdb_last_save_time"),
            "rdb_ok": told.get("rdb_last_bgsave_status", "ok") == "ok",
            "loading": told.get("loading") == "1",
        },
    )


def _keys(told: Mapping[str, str]) -> int:
    return sum(
        int(match[1]) for name, text in told.items() if name[:2] == "db" and (match := _KEYS.search(text))
    )
