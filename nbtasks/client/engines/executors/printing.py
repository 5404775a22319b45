"""What calls print in an executor's process: each keeps its own; what belongs to no call goes its usual way."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

from nbtasks.core.context import current_call

#: Characters that are kept of what one call prints.
_MOST_CHARACTERS = 64 * 1024


class Paper:
    """What one call has printed, in its order: its beginning, where it is more than is kept."""

    def __init__(self) -> None:
        self._parts: list[list[str]] = []
        self._told = 0
        #: Characters of stdout and stderr so far, and how often they were cleared.
        self.printed = [0, 0, 0]
        self._lock = threading.Lock()

    def write(self, stream: str, text: str) -> None:
        """Add text of a stream, ``o`` or ``e``."""
        with self._lock:
            room = _MOST_CHARACTERS - sum(self.printed)
            self.printed[stream == "e"] += len(text)
            if room > 0 and text:
                self._parts.append([stream, text[:room]])

    def news(self) -> tuple[list[list[str]], list[int]]:
        """Return what was printed since this was asked last, and the characters of stdout and stderr up to there."""
        with self._lock:
            news, self._told = self._parts[self._told :], len(self._parts)
            return news, list(self.printed)

    def kept(self) -> list[list[str]]:
        """Return all that is kept."""
        with self._lock:
            left_out = sum(self.printed) - sum(len(text) for _, text in self._parts)
            gap = [["e", f"\n... {left_out:,} characters left out ...\n"]] if left_out else []
            return [*self._parts, *gap]


class _Divided:
    """Stands in for a text stream.

    Args:
        stream: ``o`` or ``e``.
        real: where goes what belongs to no call.
    """

    def __init__(self, stream: str, real: Any) -> None:
        self._stream = stream
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, text: str) -> int:
        """Keep the text with the call that has written it."""
        call = current_call()
        if call is None or type(call.output) is not Paper:
            return int(self._real.write(text) or 0)
        call.output.write(self._stream, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)


_lock = threading.Lock()
_users = 0
_streams = (("stdout", "o"), ("stderr", "e"))


@contextlib.contextmanager
def divided() -> Iterator[None]:
    """Have what calls print meanwhile stay with them; others in this process print as before."""
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            _stand_in()
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _step_back()


def _stand_in() -> None:
    for name, stream in _streams:
        real = getattr(sys, name)
        if real is not None and type(real) is not _Divided:
            setattr(sys, name, _Divided(stream, real))


def _step_back() -> None:
    for name, _ in _streams:
        found = getattr(sys, name)
        # A cell that captures its output may have put another one there.
        if type(found) is _Divided:
            setattr(sys, name, found._real)
