"""How what lies on the server is read: anybody may have written it, so it is taken only where it makes sense."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from typing import Any

from redis.exceptions import ResponseError

from nbtasks.core.address import Address

#: The most calls of a batch and tries of a call, as scripts and shared memory count them.
MOST = 2**31 - 1
#: The largest id of a stream that the server gave itself, in ms of its time: it has not come yet for a long time.
_LATEST_MS = 10**15
_MOST_DIGITS = 15
_BATCH = re.compile(rb"[0-9a-f]{1,20}")
_RANGE = re.compile(rb"([0-9]{1,10})\+([0-9]{1,10})")
#: A worker, as it names itself.
_NAME = re.compile(rb"[\x21-\x7e]{1,300}")


def number(text: Any) -> int:
    """Return a whole number that is not negative. ``int()`` takes ``1_000`` and `` 7 `` as well, and any length.

    Raises:
        ValueError: it is none, or a huge one.
    """
    # Of bytes, only 0 to 9 are digits.
    if type(text) is not bytes or len(text) > _MOST_DIGITS or not text.isdigit():
        raise ValueError("not a number")
    return int(text)


def number_or(text: Any, default: int) -> int:
    """Return what :func:`number` does, or a default where that raises."""
    try:
        return number(text)
    except ValueError:
        return default


def batch_name(text: bytes) -> str:
    """Return a batch's id.

    Raises:
        ValueError: it is none.
    """
    if not _BATCH.fullmatch(text):
        raise ValueError("not a batch")
    return text.decode()


def batch_names(found: Iterable[bytes]) -> list[str]:
    """Return those texts that are ids of batches."""
    return [name.decode() for name in found if _BATCH.fullmatch(name)]


def ranges_in(fields: Iterable[bytes]) -> list[tuple[int, int]]:
    """Return the (first, count) of result records out of the names of their fields, in order."""
    found = map(_RANGE.fullmatch, fields)
    ranges = ((int(match[1]), int(match[2])) for match in found if match)
    return sorted((first, count) for first, count in ranges if count and first + count <= MOST)


def span(first: bytes, count: bytes) -> tuple[int, int]:
    """Return the first and the number of calls in a row.

    Raises:
        ValueError: they are none.
    """
    one, n = number(first), number(count)
    if n < 1 or one + n > MOST:
        raise ValueError("not a span of calls")
    return one, n


def part(text: Any, first: int, count: int) -> tuple[int, int] | None:
    """Return (first, count) out of ``first count``; None where that is no part of the calls that it is a part of."""
    try:
        one, n = span(*text.split(b" "))
    except (AttributeError, TypeError, ValueError):
        return None
    return (one, n) if first <= one and one + n <= first + count else None


def is_own_id(entry_id: bytes) -> bool:
    """Whether a stream's server gave this id: a stream that has a much larger one takes no others after it."""
    return number_or(entry_id.partition(b"-")[0], _LATEST_MS) < _LATEST_MS


def names(found: Iterable[Any]) -> list[str]:
    """Return those names that a worker or a consumer may have."""
    return [item.decode() for item in found if isinstance(item, bytes) and _NAME.fullmatch(item)]


def addresses(found: Iterable[Any]) -> list[Address]:
    """Return those texts that are addresses of queues."""
    addresses = []
    for item in found:
        with contextlib.suppress(ValueError):
            addresses.append(Address.parse(item.decode()))
    return addresses


def is_of_another_type(reply: Any) -> bool:
    """Whether a reply is the error that says that somebody has put something else in the place of a key of ours."""
    return isinstance(reply, Exception) and "WRONGTYPE" in str(reply)


def pairs(reply: Any) -> list[tuple[Any, Any]]:
    """Return the fields of a hash with their values, as either protocol answers."""
    return list(reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=False))


def or_nothing(reply: Any, nothing: Any) -> Any:
    """Return a reply, or ``nothing`` where somebody has put something else in the place of the key."""
    if isinstance(reply, ResponseError) and is_of_another_type(reply):
        return nothing
    return reply
