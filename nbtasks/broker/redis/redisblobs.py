"""Pieces of large values, each under a key of its own."""

from __future__ import annotations

from collections.abc import Sequence

from nbtasks.core.errors import OperationalError

from .keys import Keys
from .link import Link


class RedisBlobs:
    """Those of a namespace."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self.key = keys.blob

    def name_of(self, key: str) -> str | None:
        """Return the name that :meth:`key` was asked for with; None where it is none of ours."""
        return self._keys.blob_name(key)

    def read(self, key: str, target: memoryview) -> int | None:
        """Read a piece of a large value into ``target``; return its length, also where it does not fit."""
        try:
            return self._link.fetch(key, target)
        except OperationalError as error:
            if "WRONGTYPE" in str(error):
                # What somebody else has put there is as good as nothing.
                return None
            raise

    def have(self, keys: Sequence[str]) -> list[bool]:
        """Return of each key whether it is there."""
        return [bool(reply) for reply in self._link.several_or_nothing([("EXISTS", key) for key in keys], 0)]

    def drop(self, blobs: Sequence[str]) -> None:
        """Drop pieces of large values."""
        if blobs:
            self._link.call("DEL", *blobs)
