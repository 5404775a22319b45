"""What the calls of a workflow get from those before them: looked at when a chunk is opened, made when a call runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbtasks.core.errors import ValueLost
from nbtasks.core.inputs import CallsBefore, calls_of
from nbtasks.core.states import FAILURE_CODE
from nbtasks.wire.chunk import Chunk
from nbtasks.wire.codec import Codec
from nbtasks.wire.errors import failures
from nbtasks.wire.values import Shelf
from nbtasks.wire.workflows.ends import Ends, EndsRead, Results
from nbtasks.wire.workflows.verdicts import IsOver, Runs, Verdict, Waits, verdict


@dataclass(frozen=True)
class HandedOn:
    """What becomes of the calls of an entry.

    Attributes:
        over: calls that end without running.
        waiting: calls that wait for something that has not ended: a script was cut off that had just queued them, and
            when it is done again, they are queued again.
    """

    verdicts: Mapping[int, Verdict]
    over: Mapping[int, IsOver]
    waiting: frozenset[int]

    def arguments(self, index: int, shelf: Shelf) -> tuple[Any, ...]:
        """Return what comes before a call's own arguments."""
        found = self.verdicts[index]
        return found.arguments(shelf) if isinstance(found, Runs) else ()

    def values_for_places(self, index: int, shelf: Shelf) -> tuple[Any, ...]:
        """Return what stands in the places among a call's own arguments."""
        found = self.verdicts[index]
        return found.values_for_places(shelf) if isinstance(found, Runs) else ()


class HandingOn:
    """Looks how those calls have ended that others wait for.

    Args:
        results: of the broker, as soon as it answers.
    """

    def __init__(self, codec: Codec, results: Results) -> None:
        self._codec = codec
        self._results = results
        self._read = EndsRead()

    def look(self, chunk: Chunk, first: int, count: int, filed: tuple[int, int] | None = None) -> HandedOn:
        """Return what becomes of ``count`` calls of a chunk from ``first`` on.

        Args:
            filed: as in :class:`Ends`.
        """
        inputs, calls = chunk.header.inputs, range(first, first + count)
        ends = Ends(self._codec, self._results, self._read, filed)
        if any(one.each for one in inputs):
            parts = [part for one in inputs for part in calls_of(one.of)]
            ends.look(CallsBefore(part.batch, first, count, part.single) for part in parts)
            verdicts = {index: verdict(inputs, index, ends) for index in calls}
        else:
            ends.look(part for one in inputs for part in calls_of(one.of))
            if any(one.only for one in inputs):
                verdicts = {index: verdict(inputs, index, ends) for index in calls}
            else:
                verdicts = dict.fromkeys(calls, verdict(inputs, first, ends))
        waiting = frozenset(index for index, found in verdicts.items() if isinstance(found, Waits))
        if waiting and (gone := self._gone(chunk, ends)):
            lost = _lost(gone)
            verdicts = {index: lost if index in waiting else found for index, found in verdicts.items()}
            waiting = frozenset()
        over = {index: found for index, found in verdicts.items() if isinstance(found, IsOver)}
        return HandedOn(verdicts, over, waiting)

    def _gone(self, chunk: Chunk, ends: Ends) -> str:
        """Return the id of a batch that nobody knows any more, though calls wait for it; empty where there is none."""
        batches = {part.batch for one in chunk.header.inputs for part in calls_of(one.of)}
        return next((batch for batch in sorted(batches) if ends.is_gone(batch)), "")


def _lost(batch: str) -> IsOver:
    error = ValueLost(
        f"the broker has lost batch {batch}, which comes before this call: it was emptied, or somebody has deleted "
        "keys; submit the workflow anew"
    )
    return IsOver(FAILURE_CODE, failures.pack(error, with_traceback=False))
