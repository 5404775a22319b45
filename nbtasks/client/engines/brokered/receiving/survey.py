"""What there is in a namespace, of anybody: read from labels, without taking anything over."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbtasks.client.batches.outline import Outline
from nbtasks.core.errors import SignatureMismatch

if TYPE_CHECKING:
    from nbtasks.broker.servertime import ServerClock
    from nbtasks.broker.verbs.store import BatchRecord, Store
    from nbtasks.wire.codec import Codec

#: Batches that are looked at for those which go on.
_LOOK_BACK = 1000
#: Seconds for which it is believed what goes on, where several ask.
_KNOWN_FOR_S = 1.0


class Survey:
    """Lists the batches of a namespace; those that were signed with another key are left out.

    Args:
        clock: of the server.
    """

    def __init__(self, store: Store, codec: Codec, clock: ServerClock) -> None:
        self._store = store
        self._codec = codec
        self._clock = clock
        self._known: tuple[float, list[Outline]] = (-_KNOWN_FOR_S, [])

    def newest(self, most: int) -> list[Outline]:
        """Return the newest batches, newest first."""
        return self._outlines(self._store.listed(most, unfinished=False))

    def unfinished(self) -> list[Outline]:
        """Return the batches that go on, newest first, of the last thousand; as of a second ago at most."""
        now = time.monotonic()
        if now - self._known[0] >= _KNOWN_FOR_S:
            self._known = now, self._outlines(self._store.listed(_LOOK_BACK, unfinished=True))
        return self._known[1]

    def named(self, batches: Iterable[str]) -> dict[str, Outline]:
        """Return those batches that are known, by their ids; how far they are is not looked at."""
        return {one.id: one for one in self._outlines(self._store.named(batches))}

    def _outlines(self, records: list[BatchRecord]) -> list[Outline]:
        found = []
        for record in records:
            with contextlib.suppress(SignatureMismatch):
                found.append(self._outline(record))
        return found

    def _outline(self, record: BatchRecord) -> Outline:
        moment_here = self._clock.moment_here
        return Outline(
            record.id,
            self._codec.open_label(record.label, record.id),
            moment_here(record.submitted_at),
            None if record.ended_at is None else moment_here(record.ended_at),
            record.done_count,
        )
