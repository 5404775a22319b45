"""Calls of one batch that travel together, as signed bytes and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from nbtasks.core import memo
from nbtasks.core.callheader import CallHeader
from nbtasks.core.errors import SignatureMismatch

from .frames import CHUNK, Header, Sealer, unreadable
from .payloads import cut, lengths_of


# One for each call, and to make one that is frozen takes four times as long.
@dataclass
class Chunk:
    """Calls of one batch that travel together.

    Attributes:
        first: index of the first call.
        payloads: pickled (args, kwargs) of each call.
        header: what is said of these calls.
        not_after: server time in epoch seconds from which the calls may no longer start, or None.
        address: the queue's address; a chunk that was put into another queue is refused.
    """

    batch: str
    function: str
    first: int
    payloads: Sequence[bytes | memoryview]
    header: CallHeader = CallHeader()  # noqa: RUF009 # it is frozen
    not_after: float | None = None
    address: str = ""

    def only(self, index: int) -> Chunk:
        """Return a chunk of one of the calls."""
        place, header = index - self.first, self.header
        if header.memo:
            header = dataclasses.replace(header, memo=memo.names_of(header.memo, place, 1))
        return Chunk(
            self.batch, self.function, index, [self.payloads[place]], header, self.not_after, self.address
        )

    def sealed(self, sealer: Sealer, kid: str = "") -> bytes:
        """Return the frame of it; ``kid`` as in :meth:`Sealer.seal`."""
        header = {
            "b": self.batch,
            "f": self.function,
            "i": self.first,
            "n": len(self.payloads),
            "ad": self.address,
        }
        if self.not_after is not None:
            header["na"] = self.not_after
        return sealer.seal(
            CHUNK, header, lengths_of(self.payloads), *self.payloads, more=self.header.json, kid=kid
        )


class ChunkReader:
    """Verifies chunks of one namespace."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        #: What was said of the last chunk that was opened, and what was read from it: of most it is the same.
        self._last_said: tuple[Header, CallHeader] = {}, CallHeader()

    def opened(self, frame: bytes, batch: str, address: str = "") -> Chunk:
        """Verify a chunk of a batch, found in the queue with this address, and cut it into calls.

        Raises:
            SignatureMismatch: it is not what was asked for, or another version has said of it what cannot be read here.
        """
        header, body = self._sealer.open(CHUNK, frame, b=batch, ad=address)
        del header["b"], header["ad"]
        function, first, n, not_after = (
            header.pop("f"),
            header.pop("i"),
            header.pop("n"),
            header.pop("na", None),
        )
        return Chunk(batch, function, first, cut(body, n), self._call_header(header), not_after, address)

    def _call_header(self, said: Header) -> CallHeader:
        last, header = self._last_said
        if said != last:
            try:
                header = CallHeader.from_wire(said)
            except ValueError as error:
                raise unreadable("a chunk of calls", error) from error
            self._last_said = said, header
        return header

    def belongs(self, frame: bytes) -> tuple[str, int, int] | None:
        """Return (batch, first, count) of a chunk that lies somewhere else; None where we have not signed it."""
        try:
            header, _ = self._sealer.open(CHUNK, frame)
        except SignatureMismatch:
            return None
        return header["b"], header["i"], header["n"]
