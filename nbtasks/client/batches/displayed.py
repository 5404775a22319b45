"""What the calls of a batch have displayed, as far as cards show it: that of the last ones to display something."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from nbtasks.core.outputs import RichOutput

#: Calls whose outputs are at hand here; those of all others are with their results.
_MOST_CALLS = 60


class DisplayedOutputs:
    """Outputs by call. ``version`` goes up with every change."""

    def __init__(self) -> None:
        self._outputs: dict[int, list[RichOutput]] = {}
        #: Calls whose outputs are not at hand any more.
        self._gone: set[int] = set()
        self.version = 0
        self._lock = Lock()

    def of(self, index: int) -> list[RichOutput]:
        """Return the outputs of a call, as far as they are at hand."""
        with self._lock:
            return list(self._outputs.get(index, ()))

    def by_call(self) -> list[tuple[int, list[RichOutput]]]:
        """Return (call, outputs) of the calls that have some, in the order of the calls."""
        with self._lock:
            return sorted((index, list(outputs)) for index, outputs in self._outputs.items() if outputs)

    @property
    def left_out(self) -> int:
        """How many calls have displayed something that is not at hand here."""
        return len(self._gone)

    def put(self, index: int, places: Sequence[tuple[int, RichOutput]], count: int) -> None:
        """A running call has displayed something: (place, output) of what is new, and how many there are now."""
        with self._lock:
            outputs = list(self._outputs.get(index, ()))
            for place, output in places:
                outputs[place : place + 1] = [output]
            self._keep(index, outputs[:count])

    def end(self, index: int, outputs: Sequence[RichOutput]) -> None:
        """A call has ended, with these outputs in all."""
        with self._lock:
            if outputs or index in self._outputs:
                self._keep(index, list(outputs))

    def _keep(self, index: int, outputs: list[RichOutput]) -> None:
        self.version += 1
        if index not in self._outputs and len(self._outputs) >= _MOST_CALLS:
            first = next(iter(self._outputs))
            del self._outputs[first]
            self._gone.add(first)
        self._gone.discard(index)
        self._outputs[index] = outputs
