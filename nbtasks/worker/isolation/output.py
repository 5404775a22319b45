"""What one call has given out: what it has printed, bounded to the beginning and the end, and what it has displayed."""

from __future__ import annotations

import codecs
import itertools
import operator
from collections import deque
from threading import Lock
from typing import Any

from .bars import Bars
from .displays import Displays

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
        #: Characters of stdout and stderr since it was cleared, and how often it was.
        self._printed = [0, 0, 0]
        self._lock = Lock()
        #: It is to be cleared before something is added.
        self._clears_next = False
        #: Cleared since the last look.
        self._cleared = False
        self.displays: Displays | None = None
        self.bars: Bars | None = None
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        #: Stream -> how this call writes to it, where that is not as usual; kept by streams.py.
        self.ways: dict[str, Any] = {}
        #: Stream -> the line that was begun and is not ended, where lines are shown elsewhere, too.
        self.begun_lines: dict[str, str] = {}

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
        if self._clears_next:
            self.make_way()
        with self._lock:
            self._printed[stream == "e"] += len(text)
            if self._live_chars < TAIL_CHARS:
                self._live.append([stream, text[-TAIL_CHARS:]])
                self._live_chars += len(text)
            room = HEAD_CHARS - self._head_chars
            if room > 0:
                self._head.append([stream, text[:room]])
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

    def clear(self, wait: bool = False) -> None:
        """Forget everything.

        Args:
            wait: until something is added.
        """
        self._clears_next = True
        if not wait:
            self.make_way()

    def make_way(self) -> None:
        """Clear it now if it is to be cleared before something is added."""
        with self._lock:
            if not self._clears_next:
                return
            self._clears_next, self._cleared = False, True
            self._head, self._head_chars, self._dropped = [], 0, 0
            self._tail.clear()
            self._live, self._live_chars, self._tail_chars = [], 0, 0
            self._printed = [0, 0, self._printed[2] + 1]
            if self.displays is not None:
                self.displays.clear()

    def take_live(self) -> tuple[list[list[str]], list[int]] | None:
        """Return what was printed since the last look, and :attr:`printed` up to there; None for nothing new."""
        with self._lock:
            if not self._live and not self._cleared:
                return None
            live, self._live, self._live_chars, self._cleared = self._live, [], 0, False
            return _joined(live), self._printed.copy()

    @property
    def printed(self) -> list[int]:
        """Characters of stdout and stderr since it was cleared, whether they are kept or not, and how often it was."""
        return self._printed.copy()

    def kept(self) -> list[list[str]]:
        """Return [stream, text] pairs: the beginning and the end of everything."""
        for stream, decoder in list(self._decoders.items()):
            self.write(stream, decoder.decode(b"", True))
        with self._lock:
            gap = [["e", f"\n... {self._dropped:,} characters left out ...\n"]] if self._dropped else []
            return _joined([*self._head, *gap, *self._tail])


def _joined(parts: list[list[str]]) -> list[list[str]]:
    """Return parts with those of one stream in a row as one."""
    return [
        [stream, "".join(text for _, text in texts)]
        for stream, texts in itertools.groupby(parts, key=operator.itemgetter(0))
    ]
