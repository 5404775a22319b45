"""The functions that a child knows, by content hash: fetched once, unpickled once, the least used dropped."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from nbtasks.core.errors import SignatureMismatch
from nbtasks.wire.codec import Codec
from nbtasks.wire.opened.function import Function

_MOST = 128


class Functions:
    """A cache over the broker's function records.

    Args:
        fetch: reads a function's frame from the broker.
    """

    def __init__(self, codec: Codec, fetch: Callable[[str], bytes | None]) -> None:
        self._codec = codec
        self._fetch = fetch
        self._known: OrderedDict[str, Function] = OrderedDict()

    def known(self, digest: str) -> Function | None:
        """Return a function if it was rebuilt before."""
        function = self._known.get(digest)
        if function is not None:
            self._known.move_to_end(digest)
        return function

    def fetched(self, digest: str) -> bytes:
        """Return a function's record, for :meth:`rebuilt`. Runs no code of the user's.

        Raises:
            SignatureMismatch: it is gone.
        """
        frame = self._fetch(digest)
        if frame is None:
            raise SignatureMismatch(f"the function {digest[:12]} is gone from the broker")
        return frame

    def rebuilt(self, digest: str, frame: bytes) -> Function:
        """Return a function of which only the record was known.

        Raises:
            SignatureMismatch: its record was changed.
            Exception: whatever rebuilding it raises, for example ImportError for a package that is missing here.
        """
        function = self._codec.open_function(frame, digest)
        self._known[digest] = function
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return function
