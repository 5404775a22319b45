"""What one call has printed, bounded: the beginning and the end of it."""

from __future__ import annotations

import codecs
from collections import deque
from threading import Lock
from typing import Any

#: Characters kept of the beginning, and of the end, of what a call prints.
HEAD_CHARS = 32 * 1024
TAIL_CHARS = 32 * 1024


class Output:
    """What one call has printed: the beginning, the end, and what has not been shown live yet."""

    def __init__(self) -> None:
        self._head: list[list[str]] = []
        self._head_chars = 0
        self._tail: deque[list[str]] = deque()
        self._tail_chars = 0
        self._dropped = 0
        self._live: list[list[str]] = []
        self._live_chars = 0
        #: Characters of stdout and stderr so far.
        self._printed = [0, 0]
        self._lock = Lock()
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        #: Stream -> how this call writes to it, where that is not as usual; kept by streams.py.
        self.ways: dict[str, Any] = {}

    def write_bytes(self, stream: str, data: bytes) -> None:
        """Add bytes of a stream, which are read as UTF-8; a character may come in two parts."""
        decoder = self._decoders.get(stream)
        if decoder is None:
            decoder = self._decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
        self.write(stream, decoder.decode(data))

    def write(self, stream: str, text: str) -> None:
        """Add text of a stream, ``o`` or ``e``."""
        if not text:
            return
        with self._lock:
            self._printed[stream == "e"] += len(text)
            if self._live_chars < TAIL_CHARS:
                self._live.append([stream, text[-TAIL_CHARS:]])
                self._live_chars += len(text)
            room = HEAD_CHARS - self._head_chars
            if room > 0:
                _append(self._head, stream, text[:room])
                self._head_chars += min(room, len(text))
            room = max(0, room)
            if len(text) > room:
                # Cut before it is copied: it may be large.
                cut = max(room, len(text) - TAIL_CHARS)
                self._dropped += cut - room
                self._add_to_tail(stream, text[cut:])

    def _add_to_tail(self, stream: str, text: str) -> None:
        self._tail.append([stream, text])
        self._tail_chars += len(text)
        while self._tail_chars - len(self._tail[0][1]) >= TAIL_CHARS:
            gone = len(self._tail.popleft()[1])
            self._tail_chars -= gone
            self._dropped += gone
        over = self._tail_chars - TAIL_CHARS
        if over > 0:
            self._tail[0][1] = self._tail[0][1][over:]
            self._tail_chars -= over
            self._dropped += over

    def take_live(self) -> tuple[list[list[str]], list[int]]:
        """Return what was printed since the last look, and the characters of stdout and stderr up to there."""
        with self._lock:
            live, self._live, self._live_chars = self._live, [], 0
            return live, self._printed.copy()

    @property
    def printed(self) -> list[int]:
        """Characters of stdout and stderr that were printed, whether they are kept or not."""
        return self._printed.copy()

    def kept(self) -> list[list[str]]:
        """Return [stream, text] pairs: the beginning and the end of everything."""
        for stream, decoder in list(self._decoders.items()):
            self.write(stream, decoder.decode(b"", True))
        with self._lock:
            gap = [["e", f"\n... {self._dropped:,} characters left out ...\n"]] if self._dropped else []
            return [*self._head, *gap, *self._tail]


def _append(parts: list[list[str]], stream: str, text: str) -> None:
    if parts and parts[-1][0] == stream:
        parts[-1][1] += text
    else:
        parts.append([stream, text])
