"""What the calls of a batch give out besides results: lines, displays and bars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nbtasks.core.events import Advanced, Displayed, Wrote
from nbtasks.core.progressbar import ProgressBar

from .displayed import DisplayedOutputs
from .printed import OutputLine, Printed
from .reused import Reused

if TYPE_CHECKING:
    from nbtasks.wire.record import Record

#: Calls that have ended whose bars are kept.
_MOST_ENDED = 20


class GivenOut:
    """Everything of one batch that is shown and is no result. To iterate over it gives the last lines.

    Attributes:
        printed: the last lines.
        displays: what the calls have displayed.
        reused: the calls with results of earlier runs.
        bars: by call, the bars that it has on show, or has left.
    """

    def __init__(self) -> None:
        self.printed = Printed()
        self.displays = DisplayedOutputs()
        self.reused = Reused()
        self.bars: dict[int, list[ProgressBar]] = {}

    def __iter__(self) -> Iterator[OutputLine]:
        return iter(self.printed)

    def take(self, event: Wrote | Displayed | Advanced) -> None:
        """A running call has given out something."""
        if isinstance(event, Displayed):
            self.displays.put(event.index, event.places, event.count)
        elif isinstance(event, Advanced):
            self.bars[event.index] = event.bars
        elif event.over:
            self.printed.add_kept(event.index, event.parts, event.printed)
        else:
            self.printed.add(event.index, event.parts, event.printed)

    def end(self, record: Record) -> None:
        """Calls have ended: show of all that is kept of them what was not shown while they ran."""
        if self.bars:
            for index in range(record.first, record.first + len(record.states)):
                self.bars.pop(index, None)
        if record.made:
            self.reused.note(record)
        for index, given in record.given.items():
            self.printed.end(index, given.parts, given.printed)
            self.displays.end(index, given.displays)
            if given.bars and len(self.bars) < _MOST_ENDED:
                self.bars[index] = given.bars

    def forget(self, index: int) -> None:
        """What a call gives out from now on comes from another attempt."""
        self.printed.forget(index)
        self.bars.pop(index, None)
