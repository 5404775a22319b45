"""What cannot be run here, for it is not ours or of no use: refused, and its batch is told."""

from __future__ import annotations

import logging

from nbtasks.broker.verbs.entry import Entry
from nbtasks.core.address import Address
from nbtasks.core.errors import ValueLost, WireError
from nbtasks.wire.codec import Codec
from nbtasks.worker.jobs.ended import Refused
from nbtasks.worker.jobs.reporter import Reporter
from nbtasks.worker.log import log_once


class Refusing:
    """Of one child."""

    def __init__(self, codec: Codec, reporter: Reporter) -> None:
        self._codec = codec
        self._reporter = reporter

    def refuse(self, entry: Entry, error: WireError) -> None:
        """Refuse an entry: running it is out of the question, and keeping it would block the queue."""
        log_once(f"queue {entry.address}, batch {entry.batch}: refused: {error}")
        # A chunk that is ours says itself which calls have lost it; for another one the entry is believed.
        meant = self._codec.belongs(entry.frame)
        batch, first, count = meant or (entry.batch, entry.first, entry.count)
        if (
            meant
            and batch == entry.batch
            and first <= entry.first < entry.first + entry.count <= first + count
        ):
            first, count = entry.first, entry.count
        gone = isinstance(error, ValueLost)
        self._reporter.refused(Refused(batch, first, count, entry.key_id, str(error), gone), entry)

    def left_out(self, address: Address, batch: str, frame: bytes) -> None:
        """An entry is over, or nobody knows its batch: a copy, or one that somebody has put under another batch."""
        log_once(
            f"queue {address}, batch {batch}: left out an entry: it is over, or nobody knows it",
            logging.WARNING,
        )
        meant = self._codec.belongs(frame)
        if meant is not None and meant[0] != batch:
            reason = f"its entry was put under {batch}"
            self._reporter.refused(Refused(*meant, address.key_id, reason), None)
