"""What kind of server the broker is, and whether it can be trusted with calls."""

from __future__ import annotations

import re

from redis.exceptions import NoPermissionError

from nbtasks.broker.patience import once_loaded
from nbtasks.broker.servertime import quickest_look
from nbtasks.broker.unreachable import plain
from nbtasks.core.brokerfacts import BrokerFacts
from nbtasks.core.errors import BrokerUnsuitable, OperationalError

from .link import Link, translated

OLDEST = (6, 2)
#: How the configuration file of an embedded server is called.
_LIFE = re.compile(r"/life-([0-9a-f]{32})\.conf$")


def look(link: Link) -> BrokerFacts:
    """Ask the server what it is.

    Raises:
        BrokerUnavailable: it does not answer.
    """
    info = _info(link)
    latency, offset = quickest_look(lambda: _moment(link.call("TIME"), link))
    valkey = info.get("valkey_version")
    return BrokerFacts(
        address=link.label,
        version=valkey or info.get("redis_version", "0"),
        flavour="valkey" if valkey else "redis",
        policy=info.get("maxmemory_policy", "noeviction"),
        maxmemory=_count(info.get("maxmemory", "")),
        latency_s=latency,
        clock_offset_s=offset,
        read_only=info.get("role") == "slave" and info.get("slave_read_only") == "1",
    )


def server_life(link: Link) -> str:
    """Return what names the server's life: its runs between which it has surely forgotten nothing.

    The embedded server's goes on over an orderly stop (``local/server/keeper/life.py``). For all others each run is a
    life of its own, for the next one does not say how the last one has ended.
    """
    info = told_in(link.call("INFO", "server"))
    named = _LIFE.search(info.get("config_file", ""))
    return named[1] if named else info.get("run_id", "")


def check(link: Link) -> BrokerFacts:
    """Ask the server what it is, and refuse one that would lose calls. One that loads its data is waited for.

    Raises:
        BrokerUnsuitable: it is too old, or may evict data.
        BrokerUnavailable: it does not answer.
    """
    facts = once_loaded(lambda: look(link))
    numbers = tuple(int(part) for part in re.findall(r"\d+", facts.version)[:2])
    if numbers < OLDEST:
        raise BrokerUnsuitable(
            f"the broker at {facts.address} is {facts.flavour} {facts.version}; "
            "nbtasks needs Redis 6.2 or later, or Valkey"
        )
    if facts.maxmemory and facts.policy != "noeviction":
        raise BrokerUnsuitable(
            f"the broker at {facts.address} may evict data when its memory is full (maxmemory-policy {facts.policy}), "
            "and calls with it; set maxmemory-policy noeviction"
        )
    return facts


def write_problem(link: Link) -> str | None:
    """Return why a server that answers takes nothing: it cannot write to its disk; None where it can."""
    reply = link.pipeline([("INFO", "persistence")])[0]
    if isinstance(reply, bytes) and b"aof_last_write_status:err" in reply:
        return (
            f"the broker at {link.label} cannot write its data, so it takes nothing: make room on its disk, then it "
            "goes on by itself"
        )
    return None


def _info(link: Link) -> dict[str, str]:
    info: dict[str, str] = {}
    # A server that still loads its data answers INFO, and nothing else.
    link.call("PING")
    for reply in link.pipeline([("INFO", "server"), ("INFO", "memory"), ("INFO", "replication")]):
        if isinstance(reply, NoPermissionError):
            raise translated(reply, link.label)
        if isinstance(reply, Exception):
            raise OperationalError(f"the broker at {link.label} does not answer INFO: {plain(reply)}")
        if not isinstance(reply, bytes):
            raise _no_redis(link)
        info.update(told_in(reply))
    return info


def told_in(reply: bytes) -> dict[str, str]:
    """Return what an answer to INFO says, value by the server's own word."""
    lines = reply.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def _moment(reply: object, link: Link) -> float:
    try:
        seconds, micros = map(int, reply)  # type: ignore[call-overload]  # whatever answers there
        return float(seconds + micros / 1e6)
    except (TypeError, ValueError, OverflowError):
        raise _no_redis(link) from None


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _no_redis(link: Link) -> BrokerUnsuitable:
    return BrokerUnsuitable(
        f"what answers at {link.label} is no Redis and no Valkey; check host and port of the URL (App(broker=...), "
        "NBTASKS_BROKER, connection file)"
    )
