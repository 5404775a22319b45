"""The chunks of a batch as they were sent, to be sent again when the broker loses them or a worker refuses them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nbtasks.core.states import FIRST_READY_CODE

#: Times that refused calls are sent again; whoever changes them that often will not stop.
MOST_TIMES = 3


# One for each call, and to make one that is frozen takes four times as long.
@dataclass
class Sent:
    """A chunk, or a part of its calls."""

    first: int
    count: int
    lane: str
    frame: bytes
    #: Server time in epoch seconds from which the calls may no longer start, or None.
    not_after: float | None = None
    #: So many pieces of its batch's large values, from the first on, are for this chunk and those before it.
    pieces: int = 0

    def within(self, first: int, count: int) -> Sent | None:
        """Return the part that is among ``count`` calls from ``first`` on."""
        start, end = max(first, self.first), min(first + count, self.first + self.count)
        return dataclasses.replace(self, first=start, count=end - start) if start < end else None


@dataclass
class RefusalVerdict:
    """What becomes of refused calls."""

    again: list[Sent] = field(default_factory=list)
    lost: list[Sent] = field(default_factory=list)


class Refusals:
    """How often the chunks of one batch were refused."""

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()

    def judge(
        self,
        sent: Sequence[Sent],
        states: bytearray,
        first: int,
        count: int,
        at_most_once: bool,
        gone: bool = False,
    ) -> RefusalVerdict:
        """Decide about ``count`` calls from ``first`` on.

        Args:
            at_most_once: they may have been started elsewhere, so they are not sent again.
            gone: each was refused for itself, because its large arguments are gone.
        """
        verdict = RefusalVerdict()
        for chunk, part in _parts(sent, first, count):
            if min(states[part.first : part.first + part.count]) >= FIRST_READY_CODE:
                continue
            what = part.first if gone else chunk.first
            self._times[what] += 1
            given_up = at_most_once or self._times[what] > MOST_TIMES
            (verdict.lost if given_up else verdict.again).append(part)
        return verdict


def _parts(sent: Sequence[Sent], first: int, count: int) -> Iterator[tuple[Sent, Sent]]:
    for chunk in sent:
        part = chunk.within(first, count)
        if part is not None:
            yield chunk, part
