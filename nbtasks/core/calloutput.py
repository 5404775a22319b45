"""What one try of a call has given out besides its result: told with its end, and kept with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import outputs, progressbar
from .outputs import RichOutput
from .progressbar import ProgressBar
from .wirefields import WireField, WireFields, items, text, texts, whole

#: What a call has printed, in its order: ``o`` or ``e`` (stdout, stderr), and the text.
Parts = list[list[str]]


@dataclass(frozen=True)
class CallOutput:
    """What a call has given out.

    Attributes:
        parts: what is kept of what it has printed.
        printed: how many characters of stdout and stderr that was, since the call has cleared its output, before the
            middle was left out; and how often it has cleared it.
        displays: what it has displayed.
        bars: the bars that it has left, such as tqdm's.
        preview: its value as a card shows it, where one does.
        children: the ids of what it has submitted.
    """

    parts: Parts = field(default_factory=list)
    printed: list[int] | None = None
    displays: list[RichOutput] = field(default_factory=list)
    bars: list[ProgressBar] = field(default_factory=list)
    preview: RichOutput | None = None
    children: list[str] = field(default_factory=list)

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return _FIELDS.written(self)

    @classmethod
    def from_wire(cls, wire: Any) -> CallOutput:
        """Read what :meth:`to_wire` has made.

        Raises:
            ValueError: it makes no sense.
        """
        if type(wire) is not dict:
            raise ValueError(f"{wire!r:.40} is no output of a call")
        return cls(**_FIELDS.read(wire))


def read_parts(value: Any) -> Parts:
    """Return what was printed.

    Raises:
        ValueError: it makes no sense.
    """
    found = [items(part) for part in items(value)]
    for part in found:
        if len(part) != 2 or part[0] not in ("o", "e"):
            raise ValueError(f"{part!r:.40} is no output")
        text(part[1])
    return found


def read_counts(value: Any) -> list[int]:
    """Return how much was printed, as :attr:`CallOutput.printed`.

    Raises:
        ValueError: it makes no sense.
    """
    counts = [whole(count) for count in items(value)]
    if len(counts) != 3:
        raise ValueError(f"{value!r:.40} is no count of what was printed")
    return counts


_FIELDS = WireFields(
    CallOutput,
    {
        "o": WireField("parts", read_parts),
        "u": WireField("printed", read_counts),
        "d": WireField("displays", outputs.all_from_wire, outputs.all_to_wire),
        "b": WireField("bars", progressbar.all_from_wire, progressbar.all_to_wire),
        "v": WireField("preview", outputs.from_wire, outputs.to_wire),
        "c": WireField("children", lambda value: list(texts(value))),
    },
)
