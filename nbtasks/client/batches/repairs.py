"""Which calls of a batch were submitted again after they had failed, and what the batch must not forget of them.

For the engine they have ended, for good: what is submitted again is another batch of its own. For those who look on
they are open again, and what becomes of them there counts here; mending.py takes it over.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nbtasks.core import states as st
from nbtasks.core.ranges import runs

if TYPE_CHECKING:
    from nbtasks.core.events import CallEvent
    from nbtasks.wire.record import Record

    from .seen import Failure
    from .tries import Attempt

#: Stands in the order of ends for a call that is open again.
STRUCK = 0xFFFF_FFFF


class Repair(Protocol):
    """Calls of a batch that were submitted again, together."""

    @property
    def label(self) -> str:
        """Which ones, as others are told."""

    @property
    def batch(self) -> Any:
        """The batch that is repaired."""

    @property
    def again(self) -> Any:
        """The batch that they were submitted in again."""

    def place(self, index: int) -> int:
        """Return the index that a call has there."""

    def take_record(self, record: Record, fresh: Collection[int]) -> None:
        """Calls have ended there."""

    def take_event(self, worker: str, event: CallEvent, child: int | None) -> None:
        """Something has happened to a call there."""

    def take_given(self, first: int, count: int) -> None:
        """Calls wait again there."""

    def give_up(self) -> None:
        """Nobody will tell how they end: they stay as they were."""


@dataclass(frozen=True)
class EndBefore:
    """How a call had ended before it was submitted again.

    Attributes:
        record: number of its record.
        attempt: its last one; None where it was revoked before it began.
    """

    code: int
    record: int
    failure: Failure | None
    attempt: Attempt | None


class Repairs:
    """Of one batch.

    Attributes:
        begun: how often calls of it were submitted again.
        struck: places in the order of ends that do not count any more.
        idle_s: seconds between the ends of the batch and the repairs that came after.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.struck = 0
        self.idle_s = 0.0
        #: By call, how the engine has it: code and number of the record.
        self._own: dict[int, tuple[int, int]] = {}
        #: By call, what has become of it last.
        self._last: dict[int, Repair] = {}

    def __contains__(self, index: int) -> bool:
        return index in self._own

    def last(self, index: int) -> Repair | None:
        """Return what a call was submitted again in last."""
        return self._last.get(index)

    def all(self) -> list[Repair]:
        """Return all that still count for some call."""
        return list(dict.fromkeys(self._last.values()))

    def open(self, states: bytearray, index: int = -1) -> list[Repair]:
        """Return those that have not ended; with an index, of that call."""
        meant = list(self._last) if index < 0 else [index]
        found = [self._last[one] for one in meant if one in self._last and states[one] < st.FIRST_READY_CODE]
        return list(dict.fromkeys(found))

    def own_states(self, states: bytearray) -> bytearray:
        """Return the states as the engine has them."""
        own = states[:]
        for index, (code, _) in self._own.items():
            own[index] = code
        return own

    @property
    def own_records(self) -> Mapping[int, int]:
        """By call, the number of the record that the engine has."""
        return {index: number for index, (_, number) in list(self._own.items())}

    def others(self, ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return ranges without the calls that were submitted again."""
        return list(
            runs(i for first, count in ranges for i in range(first, first + count) if i not in self._own)
        )

    def note(
        self, repair: Repair, ends: Mapping[int, EndBefore], order: array[int], ended_at: float | None
    ) -> None:
        """Calls are submitted again; their ends do not count any more.

        Args:
            order: of the ends of the batch.
            ended_at: when it has ended, in local epoch seconds.
        """
        self.begun += 1
        if ended_at is not None:
            self.idle_s += max(0.0, time.time() - ended_at)
        for index, end in ends.items():
            self._own.setdefault(index, (end.code, end.record))
            self._last[index] = repair
        for place, index in enumerate(order):
            if index in ends:
                order[place] = STRUCK
                self.struck += 1
