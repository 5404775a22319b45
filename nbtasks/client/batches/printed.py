"""What the calls of a batch have printed: the last lines of it, each shown once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MOST_LINES = 200
_MOST_CHARACTERS = 64 * 1024


@dataclass(frozen=True)
class OutputLine:
    """One line that a call has printed; ``stream`` is stdout or stderr."""

    index: int
    stream: str
    text: str


class Printed:
    """The last lines of one batch, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[OutputLine] = deque(maxlen=_MOST_LINES)
        #: Call -> how many characters of its stdout and stderr were shown while it ran: what is kept of it is not
        #: shown a second time.
        self._shown: dict[int, list[int]] = {}

    def __iter__(self) -> Iterator[OutputLine]:
        return iter(self._lines)

    def add(self, index: int, parts: Sequence[Sequence[str]], shown: list[int]) -> None:
        """A running call has printed something: (stream, text) of each part, and how much it has printed so far."""
        for stream, text in parts:
            self._add(index, stream, text)
        self._shown[index] = shown

    def add_kept(self, index: int, kept: list[list[str]], shown: list[int]) -> None:
        """The same of a running call of which all is told that is kept."""
        self._add_rest(index, kept, shown)
        self._shown[index] = shown

    def end(self, index: int, kept: list[list[str]], printed: list[int] | None) -> None:
        """A call has ended: show of all that is kept of it what was not shown while it ran."""
        self._add_rest(index, kept, printed)
        self.forget(index)

    def forget(self, index: int) -> None:
        """What a call prints from now on comes from another attempt."""
        self._shown.pop(index, None)

    def _add_rest(self, index: int, kept: list[list[str]], printed: list[int] | None) -> None:
        shown = self._shown.get(index)
        if shown is None or printed is None:
            rest = kept
        else:
            rest = _last_of(kept, [count - seen for count, seen in zip(printed, shown, strict=True)])
        for stream, text in rest:
            self._add(index, stream, text)

    def _add(self, index: int, stream: str, text: str) -> None:
        name, lines = "stdout" if stream == "o" else "stderr", self._lines
        last = lines[-1] if lines else None
        if last is not None and last.index == index and last.stream == name and not last.text.endswith("\n"):
            text = last.text + text
            lines.pop()
        for line in text[-_MOST_CHARACTERS:].splitlines(keepends=True)[-_MOST_LINES:]:
            lines.append(OutputLine(index, name, line))


def _last_of(parts: list[list[str]], wanted: list[int]) -> list[list[str]]:
    """Return so many of the last characters of stdout and of stderr, in their order."""
    left_out = [-count for count in wanted]
    for stream, text in parts:
        left_out[stream == "e"] += len(text)
    rest = []
    for stream, text in parts:
        cut = min(max(0, left_out[stream == "e"]), len(text))
        left_out[stream == "e"] -= cut
        if cut < len(text):
            rest.append([stream, text[cut:]])
    return rest
