"""Calls whose results are kept for later runs, by their names. What is found is a hint: the signed records decide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nbtasks.broker.verbs.keptcalls import Place

from .channel import Command
from .keys import Keys
from .link import Link
from .untrusted import batch_name, number, ranges_in

#: Names that one command asks for, and commands that are sent together.
_MOST_NAMES = 500
_MOST_RECORDS = 100


class RedisKeptCalls:
    """Finds them."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def calls(self, names: Sequence[str]) -> list[tuple[str, int] | None]:
        """Return batch and index of the call that each name leads to; None where there is none."""
        keys = [self._keys.kept(name) for name in names]
        asked: list[Command] = [
            ("MGET", *keys[at : at + _MOST_NAMES]) for at in range(0, len(keys), _MOST_NAMES)
        ]
        return [_call(text) for reply in self._link.several_or_nothing(asked, []) for text in reply]

    def places(self, batches: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
        """Return batch -> (first, count) of each of its records."""
        asked = list(batches)
        replies = self._link.several_or_nothing([("HKEYS", self._keys.records(batch)) for batch in asked], [])
        return {batch: ranges_in(reply) for batch, reply in zip(asked, replies, strict=True)}

    def records(self, places: Sequence[Place]) -> Iterable[tuple[Place, bytes]]:
        """Yield the records that are there."""
        for at in range(0, len(places), _MOST_RECORDS):
            some = places[at : at + _MOST_RECORDS]
            replies = self._link.several_or_nothing(
                [("HGET", self._keys.records(batch), f"{first}+{count}") for batch, first, count in some],
                None,
            )
            yield from (
                (place, frame) for place, frame in zip(some, replies, strict=True) if isinstance(frame, bytes)
            )


def _call(text: Any) -> tuple[str, int] | None:
    try:
        batch, index = text.split(b" ")
        return batch_name(batch), number(index)
    except (AttributeError, ValueError):
        return None
