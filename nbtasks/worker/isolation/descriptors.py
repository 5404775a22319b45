"""What goes to the file descriptors 1 and 2, kept in a file: C code and subprocesses write there, past Python.

It is looked for after a call, at the price of one ``lseek``.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from threading import Lock
from typing import Any

from .output import HEAD_CHARS, TAIL_CHARS

#: Bytes that a child's file holds before it is emptied: by the child, and where that does not come to it by the
#: supervisor.
_TRUNCATE_BYTES = 4 * 2**20
_MOST_BYTES = 64 * 2**20
#: Bytes kept of either end where that is too much; they fit into what is kept of a call.
_END_BYTES = 16 * 1024


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
