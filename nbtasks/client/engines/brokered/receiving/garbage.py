"""Removes large values that nobody will read any more: arguments of what has ended, and files without a key."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from nbtasks.core.errors import OperationalError
from nbtasks.wire.values import IN_FILE, BlobPiece

if TYPE_CHECKING:
    from nbtasks.broker.verbs.blobs import Blobs
    from nbtasks.local.server.valuefiles import ValueFiles

#: Seconds that arguments are kept after the end. A server that loses its last second may have calls run again before
#: it is told their results anew; without arguments they would fail, and that would be their result then.
SPENT_AFTER_S = 60.0
#: The same for files: their server is on this machine, and when it loses what it has confirmed, all else is lost, too.
SPENT_FILE_AFTER_S = 5.0
#: Seconds between two looks at the files; one without a key at both of them is removed.
LOOK_EVERY_S = 60.0
#: Seconds after which what the broker did not take away is tried again.
_AGAIN_S = 10.0
#: Seconds that a file may be ahead of its key: its writer may be held up, and a server may have lost the key.
AHEAD_S = 600.0


class Garbage:
    """What one session has to clear away.

    Args:
        files: of large values; None where they are in the broker.
    """

    def __init__(self, files: ValueFiles | None, blobs: Blobs) -> None:
        self._files = files
        self._blobs = blobs
        #: Moment (monotonic) and keys of arguments, in files and in the broker.
        self._spent: tuple[deque[tuple[float, list[str]]], ...] = (deque(), deque())
        self._looked_at = 0.0
        self._without_key: set[str] = set()

    def spent(self, pieces: Collection[BlobPiece]) -> None:
        """The calls that these arguments were for have ended."""
        now = time.monotonic()
        for waiting, after, in_file in zip(
            self._spent, (SPENT_FILE_AFTER_S, SPENT_AFTER_S), (True, False), strict=True
        ):
            keys = [key for key, data in pieces if (data is IN_FILE) == in_file]
            if keys:
                waiting.append((now + after, keys))

    @property
    def due(self) -> bool:
        """Whether there is something to do."""
        now = time.monotonic()
        look = self._files is not None and now - self._looked_at >= LOOK_EVERY_S
        return look or any(waiting and waiting[0][0] <= now for waiting in self._spent)

    def clear(self) -> None:
        """Remove what is due."""
        for waiting in self._spent:
            while waiting and waiting[0][0] <= time.monotonic():
                keys = waiting[0][1]
                try:
                    self.drop(keys)
                except OperationalError:
                    # Nobody waits for it, and whoever looks after the connection says what it lacks.
                    waiting[0] = (time.monotonic() + _AGAIN_S, keys)
                    break
                waiting.popleft()
        if self._files is not None and time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self._look(self._files)

    def drop(self, keys: Sequence[str]) -> None:
        """Remove large values by their keys."""
        self._blobs.drop(keys)
        if self._files is not None:
            for name in {self._blobs.name_of(key) for key in keys}:
                if name is not None:
                    self._files.remove(name)

    def _look(self, files: ValueFiles) -> None:
        self._looked_at = time.monotonic()
        names = files.older_than(AHEAD_S)
        there = self._blobs.have([self._blobs.key(name, 0) for name in names])
        missing = {name for name, found in zip(names, there, strict=True) if not found}
        for name in missing & self._without_key:
            files.remove(name)
        self._without_key = missing
