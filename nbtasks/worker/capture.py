"""What a call prints, kept by call: Python's streams through a tag, file descriptors through a file.

The tag is the context variable of the running call, so coroutines are told apart, and so are the threads of a worker.
A thread that a call starts speaks for that call, also when it has ended. What C code or a subprocess writes to the
descriptors is looked for after a call, at the price of one ``fstat``.
"""

from __future__ import annotations

import builtins
import ctypes
import io
import os
import sys
import tempfile
from collections import deque
from threading import Lock
from typing import Any, TextIO

from nbtasks.core.readable import exact

from .subprocesses import speaker, tag

#: Characters kept of the beginning, and of the end, of what a call prints.
HEAD_CHARS = 32 * 1024
TAIL_CHARS = 32 * 1024

#: Bytes that a child's file holds before it is emptied: by the child, and where that does not come to it by the
#: supervisor.
_TRUNCATE_BYTES = 4 * 2**20
_MOST_BYTES = 64 * 2**20
#: Bytes kept of either end where that is too much; they fit into what is kept of a call.
_END_BYTES = 16 * 1024


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
        self._lock = Lock()

    def write(self, stream: str, text: str) -> None:
        """Add text of a stream, ``o`` or ``e``."""
        if not text:
            return
        with self._lock:
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

    def take_live(self) -> list[list[str]]:
        """Return what was printed since the last look."""
        with self._lock:
            live, self._live, self._live_chars = self._live, [], 0
            return live

    def kept(self) -> list[list[str]]:
        """Return [stream, text] pairs: the beginning and the end of everything."""
        with self._lock:
            gap = [["e", f"\n... {self._dropped:,} characters left out ...\n"]] if self._dropped else []
            return [*self._head, *gap, *self._tail]


def _append(parts: list[list[str]], stream: str, text: str) -> None:
    if parts and parts[-1][0] == stream:
        parts[-1][1] += text
    else:
        parts.append([stream, text])


class TaggedStream(io.TextIOBase):
    """Stands in for ``sys.stdout`` and ``sys.stderr``: text goes to the running call, or to the real stream."""

    def __init__(self, stream: str, real: TextIO) -> None:
        self._stream = stream
        self._real = real

    def write(self, text: str) -> int:
        """Keep the text with the call that printed it."""
        call = speaker()
        text = exact(text)
        if call is None:
            return self._real.write(text)
        if call.output is None:
            call.output = Output()
        call.output.write(self._stream, text)
        return len(text)

    def flush(self) -> None:
        """Flush the real stream."""
        self._real.flush()

    @property
    def real(self) -> TextIO:
        """What it stands in for."""
        return self._real

    def reconfigure(self, **how: Any) -> None:
        """Do nothing: text is kept as it is, whatever its encoding would be."""

    def close(self) -> None:
        """Do nothing: the next call prints, too."""

    @property
    def buffer(self) -> Any:
        """What bytes are written to: the real one."""
        return getattr(self._real, "buffer", None)

    def fileno(self) -> int:
        """Return the real descriptor."""
        return self._real.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The real stream's encoding."""
        return self._real.encoding or "utf-8"


class DescriptorFile:
    """The file that a child's descriptors 1 and 2 write to; it survives the child, for the last words of a crash."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(mode="w+b", buffering=0, prefix="nbtasks-output-")  # noqa: SIM115
        self._fd = self._file.fileno()
        os.set_blocking(self._fd, False)
        flags = os.O_APPEND
        import fcntl

        fcntl.fcntl(self._fd, fcntl.F_SETFL, fcntl.fcntl(self._fd, fcntl.F_GETFL) | flags)
        self._fflush: Any = None
        self._lock = Lock()
        self._seen = 0
        #: Of what was written since the last look, if the file was emptied meanwhile: its beginning, and how much of
        #: it is gone.
        self._head = b""
        self._gone = 0

    def redirect(self) -> None:
        """Point this process's descriptors 1 and 2 at the file."""
        self._point()
        self._seen = os.fstat(self._fd).st_size
        self._fflush = ctypes.CDLL(None).fflush

    def hold(self) -> None:
        """Point them at the file again, if a call has pointed them elsewhere, or closed them."""
        # They share one position with the file; behind its end no other file's is that was just opened.
        at = os.lseek(self._fd, 1, os.SEEK_END)
        try:
            if os.lseek(1, 0, os.SEEK_CUR) == at and os.lseek(2, 0, os.SEEK_CUR) == at:
                return
        except OSError:
            pass
        self._point()

    def _point(self) -> None:
        for fd in (1, 2):
            os.dup2(self._fd, fd)

    def take(self) -> str:
        """Return what was written since the last look, the beginning and the end; cheap when nothing was."""
        if self._fflush is not None:
            self._fflush(None)
        # After every call, so the cheapest way to learn the size; what is appended does not care for the position.
        size = os.lseek(self._fd, 0, os.SEEK_END)
        if size == self._seen and not self._gone:
            return ""
        with self._lock:
            self._note_emptied(size)
            head = self._head
            if not self._gone:
                whole = size - self._seen <= HEAD_CHARS + TAIL_CHARS
                head = os.pread(self._fd, size - self._seen if whole else _END_BYTES, self._seen)
                self._seen += len(head)
            last = max(self._seen, size - _END_BYTES)
            tail = os.pread(self._fd, size - last, last)
            gone, self._gone, self._head = self._gone + last - self._seen, 0, b""
            self._seen = size
            if size > _TRUNCATE_BYTES:
                self._empty()
        gap = f"\n... {gone:,} bytes left out ...\n" if gone else ""
        return head.decode(errors="replace") + gap + tail.decode(errors="replace")

    def trim(self) -> None:
        """Empty the file of a call that writes a lot, but for the beginning of it."""
        size = os.fstat(self._fd).st_size
        if size <= _TRUNCATE_BYTES and size >= self._seen:
            return
        with self._lock:
            self._note_emptied(size)
            if size > _TRUNCATE_BYTES:
                if not self._gone:
                    self._head = os.pread(self._fd, _END_BYTES, self._seen)
                    self._seen += len(self._head)
                self._gone += size - self._seen
                self._empty()

    def _note_emptied(self, size: int) -> None:
        """See that the supervisor has emptied the file: at least so much is gone."""
        if size < self._seen:
            self._gone += _MOST_BYTES
            self._seen = 0

    def _empty(self) -> None:
        os.ftruncate(self._fd, 0)
        self._seen = 0

    def bound(self) -> None:
        """Empty the file if the child does not do so itself; on the supervisor's side."""
        if os.fstat(self._fd).st_size > _MOST_BYTES:
            os.ftruncate(self._fd, 0)

    def last_words(self, most: int = 2000) -> str:
        """Return what a child that has died wrote last: from the report of a crash on, else the end."""
        size = os.fstat(self._fd).st_size
        text = os.pread(self._fd, HEAD_CHARS, max(0, size - HEAD_CHARS)).decode(errors="replace")
        crash = text.rfind("Fatal Python error")
        return text[crash : crash + most] if crash >= 0 else text[-most:]

    def reset(self) -> None:
        """Empty the file for a new child."""
        os.ftruncate(self._fd, 0)


_streams: list[TaggedStream] = []


def install() -> None:
    """Put the tagged streams in place of ``sys.stdout`` and ``sys.stderr``; ``display`` shows as text."""
    _streams[:] = TaggedStream("o", sys.stdout), TaggedStream("e", sys.stderr)
    restore()
    tag()
    if not hasattr(builtins, "display"):
        # A builtin in every notebook, so cells use it without importing it.
        builtins.display = _display  # type: ignore[attr-defined]


def restore(alone: bool = True) -> None:
    """Put the tagged streams in place again, if a call has left others there.

    Args:
        alone: no other call runs, which may have put them there for its own time.
    """
    if alone:
        if sys.stdout is not _streams[0] or sys.stderr is not _streams[1]:
            sys.stdout, sys.stderr = _streams
        return
    if sys.stdout is None:
        sys.stdout = _streams[0]
    if sys.stderr is None:
        sys.stderr = _streams[1]


def _display(*values: object, **_: object) -> None:
    for value in values:
        sys.stdout.write(f"{value!r}\n")
