"""What calls that run were called with, as text, in memory shared with the supervisor, which is asked for it.

Written for a call that runs long enough to be told as started, by the thread that tells that: a short call pays
nothing. Nobody's code is run for the text.
"""

from __future__ import annotations

import mmap
import struct

from nbtasks.core.brief import brief
from nbtasks.core.context import CurrentCall

#: Calls of one child that are remembered: the last ones that were told. Characters of the arguments, and of the named.
_MOST_ROWS = 64
_MOST_CHARS = 200
_MOST_BYTES = 300
# Written by the child: batch, index, bytes of each text. Without a batch, the row is being written.
_ROW = struct.Struct("<20sQHH")
_SIZE = _ROW.size + 2 * _MOST_BYTES
_NO_BATCH = bytes(20)


class ArgumentsShown:
    """Of one child."""

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        self._memory = memory
        self._at = number * _MOST_ROWS * _SIZE
        self._next = 0

    # -- the child's side, one thread

    def note(self, call: CurrentCall) -> None:
        """Remember what a call was called with."""
        texts = [
            brief(value, _MOST_CHARS).encode(errors="replace")[:_MOST_BYTES]
            for value in (call.args, call.kwargs)
        ]
        at = self._at + self._next * _SIZE
        self._next = (self._next + 1) % _MOST_ROWS
        self._memory[at : at + len(_NO_BATCH)] = _NO_BATCH
        begin = at + _ROW.size
        self._memory[begin : begin + len(texts[0]) + len(texts[1])] = texts[0] + texts[1]
        # The batch comes last, so nobody reads half a row.
        _ROW.pack_into(self._memory, at, _NO_BATCH, call.index, len(texts[0]), len(texts[1]))
        self._memory[at : at + len(_NO_BATCH)] = call.batch.encode().ljust(len(_NO_BATCH), b"\0")

    # -- the supervisor's side

    def clear(self) -> None:
        """Forget the child that has died."""
        for row in range(_MOST_ROWS):
            at = self._at + row * _SIZE
            if self._memory[at : at + len(_NO_BATCH)] != _NO_BATCH:
                self._memory[at : at + len(_NO_BATCH)] = _NO_BATCH

    def all(self) -> dict[tuple[str, int], tuple[str, str]]:
        """Return the texts of arguments and named arguments, by batch and index."""
        found = {}
        for row in range(_MOST_ROWS):
            at = self._at + row * _SIZE
            whole = self._memory[at : at + _SIZE]
            batch, index, positional, named = _ROW.unpack_from(whole)
            if batch == _NO_BATCH or self._memory[at : at + _ROW.size] != whole[: _ROW.size]:
                continue
            texts = whole[_ROW.size : _ROW.size + positional + named]
            found[batch.rstrip(b"\0").decode(errors="replace"), index] = (
                texts[:positional].decode(errors="replace"),
                texts[positional:].decode(errors="replace"),
            )
        return found


def make_arguments_shown(n: int) -> list[ArgumentsShown]:
    """Return ``n`` of them in memory that children inherit; what nobody writes to takes none."""
    memory = mmap.mmap(-1, n * _MOST_ROWS * _SIZE)
    return [ArgumentsShown(memory, number) for number in range(n)]
