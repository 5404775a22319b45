"""What happens to calls while they run, as workers tell it. The short keys of events stand here and nowhere else.

How a call has ended is no event: that is its record, which the broker keeps. A reader passes over kinds of events, and
fields of them, that only a newer sender knows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import outputs, progressbar
from .calloutput import Parts, read_counts, read_parts
from .outputs import RichOutput
from .progressbar import ProgressBar
from .wirefields import (
    WireField,
    WireFields,
    flag,
    from_base64,
    items,
    number,
    number_or_none,
    text,
    texts,
    to_base64,
    whole,
)


@dataclass(frozen=True)
class Started:
    """A call runs, for longer than most.

    Attributes:
        ago_s: seconds since it began.
        attempt: the number of the try.
    """

    index: int
    ago_s: float = 0.0
    attempt: int = 1


@dataclass(frozen=True)
class Progressed:
    """A call has reported how far it is.

    Attributes:
        total: the whole, in the unit of ``done``; None where it is not known.
        message: a short line.
        state: the task's own name for it; empty where it has none.
        meta: what the task has given with that, pickled; empty for nothing.
    """

    index: int
    done: float = 0.0
    total: float | None = None
    message: str = ""
    state: str = ""
    meta: bytes = b""


@dataclass(frozen=True)
class Wrote:
    """A call has printed something.

    Attributes:
        parts: what is new, or all that is kept of it where the try is over.
        printed: characters of stdout and stderr since the call has cleared its output, and how often it has done so.
        over: the try is over.
    """

    index: int
    parts: Parts
    printed: list[int]
    over: bool = False


@dataclass(frozen=True)
class Displayed:
    """A call has displayed something, updated it, or cleared its output.

    Attributes:
        places: what is new: the place among the call's outputs, and the output.
        count: how many outputs it has now.
    """

    index: int
    places: list[tuple[int, RichOutput]]
    count: int = 0


@dataclass(frozen=True)
class Advanced:
    """The bars that a call has on show, such as tqdm's, have moved; all of them as they are now."""

    index: int
    bars: list[ProgressBar]


@dataclass(frozen=True)
class Retried:
    """A call is tried again, ``delay_s`` seconds later, for what it has raised.

    Attributes:
        attempt: the number of the try that has ended.
        ago_s: seconds since that began; 0 where it is not known.
        ran_s: seconds that it ran.
    """

    index: int
    delay_s: float = 0.0
    reason: str = ""
    attempt: int = 0
    ago_s: float = 0.0
    ran_s: float = 0.0


@dataclass(frozen=True)
class GivenBack:
    """``count`` calls from ``index`` on do not run any more, and wait for another worker.

    Attributes:
        after: batches that have taken the place of the call, and whose results it waits for.
    """

    index: int
    count: int = 1
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """``count`` calls from ``index`` on are not run: what has reached a worker is not what was submitted.

    Attributes:
        gone: nobody is suspected: large values of theirs are not there, and they were not started.
    """

    index: int
    count: int = 1
    reason: str = ""
    gone: bool = False


CallEvent = Started | Progressed | Wrote | Displayed | Advanced | Retried | GivenBack | Refusal


def to_wire(event: CallEvent) -> dict[str, Any]:
    """Return an event as JSON types."""
    kind, fields = _OF_CLASS[type(event)]
    return {"t": kind, **fields.written(event)}


def from_wire(wire: Any) -> CallEvent | None:
    """Return an event; None where only a newer sender knows its kind.

    Raises:
        ValueError: it makes no sense.
    """
    if type(wire) is not dict:
        raise ValueError(f"{wire!r:.40} is no event")
    known = _OF_KIND.get(text(wire.get("t")))
    if known is None:
        return None
    what, fields = known
    try:
        event: CallEvent = what(**fields.read(wire))
    except TypeError as error:
        raise ValueError(f"an event lacks something: {wire!r:.80}") from error
    return event


def _places(value: Any) -> list[tuple[int, RichOutput]]:
    found = [items(item) for item in items(value)]
    if any(len(item) != 2 for item in found):
        raise ValueError(f"{value!r:.40} is no list of outputs")
    return [(whole(place), outputs.from_wire(output)) for place, output in found]


def _places_to_wire(places: list[tuple[int, RichOutput]]) -> Any:
    return [[place, outputs.to_wire(output)] for place, output in places]


_INDEX, _COUNT = WireField("index", whole), WireField("count", whole)
_KINDS: dict[str, tuple[type, dict[str, WireField]]] = {
    "started": (Started, {"s": WireField("ago_s", number), "a": WireField("attempt", whole)}),
    "progress": (
        Progressed,
        {
            "d": WireField("done", number),
            "n": WireField("total", number_or_none),
            "m": WireField("message", text),
            "st": WireField("state", text),
            "me": WireField("meta", from_base64, to_base64),
        },
    ),
    "output": (
        Wrote,
        {
            "o": WireField("parts", read_parts),
            "u": WireField("printed", read_counts),
            "k": WireField("over", flag, int),
        },
    ),
    "display": (
        Displayed,
        {"o": WireField("places", _places, _places_to_wire), "n": WireField("count", whole)},
    ),
    "bars": (Advanced, {"b": WireField("bars", progressbar.all_from_wire, progressbar.all_to_wire)}),
    "retry": (
        Retried,
        {
            "s": WireField("delay_s", number),
            "m": WireField("reason", text),
            "a": WireField("attempt", whole),
            "b": WireField("ago_s", number),
            "r": WireField("ran_s", number),
        },
    ),
    "given": (GivenBack, {"n": _COUNT, "w": WireField("after", texts, list)}),
    "refused": (Refusal, {"n": _COUNT, "m": WireField("reason", text), "g": WireField("gone", flag, int)}),
}
_OF_KIND = {
    kind: (what, WireFields(what, {"i": _INDEX, **fields})) for kind, (what, fields) in _KINDS.items()
}
_OF_CLASS = {what: (kind, fields) for kind, (what, fields) in _OF_KIND.items()}
