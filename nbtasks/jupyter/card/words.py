"""How the card says things: durations, rates, counts, lines of output. Pure."""

from __future__ import annotations

import re
import time

from nbtasks.core.appearance import SPANS

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def duration(seconds: float) -> str:
    """Return ``0.21 s``, ``12.3 s``, ``4 min 05 s`` or ``1 h 02 min``."""
    digits, units = next((digits, units) for below, digits, units in SPANS if seconds < below)
    unit, size = units[0]
    if len(units) == 1:
        return f"{seconds:.{digits}f} {unit}"
    smaller, step = units[1]
    whole = round(seconds)
    return f"{whole // size} {unit} {whole % size // step:02d} {smaller}"


def short_duration(seconds: float) -> str:
    """Return how long something took that may be very short: ``0.51 µs``, ``0.04 ms``, ``4.2 ms``, ``0.21 s``."""
    if seconds >= 0.00995:
        return duration(seconds)
    size, unit = (1e6, "µs") if 0 < seconds < 0.00000995 else (1e3, "ms")
    return f"{float(f'{seconds * size:.2g}'):g} {unit}"


def remaining(seconds: float) -> str:
    """Return how long it will still take, roughly."""
    if seconds < 1.5:
        return "a second left"
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"


def amount(number: float) -> str:
    """Return how much was done, as tasks report it: ``1,200`` or ``0.25``."""
    text = f"{number:,.3f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rate(per_second: float) -> str:
    """Return calls a second, or a minute where it is under one a second."""
    if per_second >= 1000:
        return f"{per_second:,.0f}/s"
    if per_second >= 1:
        return f"{per_second:.3g}/s"
    return f"{per_second * 60:.2g}/min"


def which_call(index: int, label: str) -> str:
    """Return how a call is named beside others: ``n=17`` or ``17``, its item; ``#17`` where nobody knows that."""
    return label or f"#{index:,}"


def calls(number: int) -> str:
    """Return ``1 call`` or ``2,000 calls``."""
    return f"{number:,} call" + ("" if number == 1 else "s")


def plain(text: str, limit: int) -> str:
    """Return ``text`` as a terminal would leave it, without colours; at most ``limit`` characters of it."""
    text = _ANSI.sub("", text).replace("\r\n", "\n").rstrip("\n")
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    text = _CONTROL.sub("", "\n".join(lines)).expandtabs(4)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def one_line(text: str, limit: int) -> str:
    """Return ``text`` as :func:`plain` does, on one line."""
    return " ".join(plain(text, limit).split())


def in_short(label: str, limit: int) -> str:
    """Return a call's name in so many characters at most. What tells long items apart is rather at their end."""
    return label if len(label) <= limit else f"{label[:6]}…{label[7 - limit :]}"


def short_id(batch_id: str) -> str:
    """Return the end of an id, which tells batches apart: the beginning is the time and hardly differs."""
    return batch_id[-6:]


def ago(seconds: float) -> str:
    """Return a span roughly: ``3 s``, ``12 min``, ``5 h``, ``2 d``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (seconds >= length and unit != "min"):
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def moment(at: float) -> str:
    """Return a moment, given in epoch seconds, as date and local time: ``2026-11-27 22:33``."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def clock(at: float, now: float) -> str:
    """Return ``10:32``, with the date before it where that is not the day of ``now``; both are epoch seconds."""
    local, here = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M" if local[:3] == here[:3] else "%Y-%m-%d %H:%M", local)


def size(number: int) -> str:
    """Return bytes for people: ``812 B``, ``1.4 MB``."""
    amount = float(number)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"
