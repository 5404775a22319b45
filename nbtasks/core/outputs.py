"""What a call has displayed: one thing in several forms, by MIME type, as notebooks keep outputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .wirefields import items, text

#: Characters of what is kept of one output, and of all outputs of a call; and how many of them.
MOST_OF_ONE = 2 * 2**20
MOST_OF_CALL = 8 * 2**20
MOST_OUTPUTS = 100
MOST_NAME = 200
_MIME_TYPE = re.compile(r"[a-z0-9.+-]+/[A-Za-z0-9.+_-]+(?:; ?[a-z]+=[\w.-]+)*")
#: Forms of these kinds are text, in base64 where they are no text; others may be any JSON.
_OF_TEXT = ("text/", "image/", "audio/", "video/", "application/pdf", "application/javascript")


@dataclass(frozen=True)
class RichOutput:
    """One thing that a call has displayed: a table, a figure, a text. At the end of a cell it is shown as it was there.

    Attributes:
        data: its forms by MIME type, such as ``text/html`` and ``text/plain``. Images are base64 text.
        metadata: what belongs to the forms, by MIME type.
        display_id: what ``display(..., display_id=...)`` called it; None where it has no name.
    """

    data: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    display_id: str | None = None

    def __repr__(self) -> str:
        return f"<RichOutput {', '.join(self.data) or 'of nothing'}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return dict(self.data), dict(self.metadata)

    @property
    def size(self) -> int:
        """Characters, about."""
        return sum(map(size_of, self.data.values())) + size_of(self.metadata)


def in_card(output: RichOutput) -> dict[str, str]:
    """Return the form of an output that a card shows in itself: ``html``, ``png`` (base64) or ``text``."""
    for kind, name in (("text/html", "html"), ("image/png", "png")):
        if output.data.get(kind):
            return {name: output.data[kind]}
    return {"text": output.data.get("text/plain", "")}


def size_of(form: Any) -> int:
    """Return how many characters a form has as JSON, about."""
    if isinstance(form, str):
        return len(form)
    if isinstance(form, Mapping):
        return sum(len(str(name)) + 4 + size_of(value) for name, value in form.items())
    if isinstance(form, list | tuple):
        return sum(map(size_of, form)) + 2 * len(form)
    return 8


def to_wire(output: RichOutput) -> dict[str, Any]:
    """Return an output as JSON types."""
    wire: dict[str, Any] = {"d": output.data}
    if output.metadata:
        wire["m"] = output.metadata
    if output.display_id is not None:
        wire["i"] = output.display_id
    return wire


def from_wire(wire: Any) -> RichOutput:
    """Read what :func:`to_wire` has made.

    Raises:
        ValueError: it makes no sense.
    """
    wire = _object(wire)
    data, metadata, name = _object(wire.get("d")), _object(wire.get("m", {})), wire.get("i")
    for kind, form in data.items():
        if not _MIME_TYPE.fullmatch(kind):
            raise ValueError(f"{kind!r:.40} is no MIME type")
        if kind.startswith(_OF_TEXT):
            text(form)
    if name is not None and len(text(name)) > MOST_NAME:
        raise ValueError("the name of an output is too long")
    return RichOutput(data, metadata, name)


def all_to_wire(outputs: Iterable[RichOutput]) -> list[dict[str, Any]]:
    """Return outputs as JSON types."""
    return [to_wire(output) for output in outputs]


def all_from_wire(wire: Any) -> list[RichOutput]:
    """Read what :func:`all_to_wire` has made; raises ValueError as :func:`from_wire`."""
    found = items(wire)
    if len(found) > MOST_OUTPUTS + 1:
        raise ValueError(f"{len(found)} outputs are too many")
    return [from_wire(item) for item in found]


def is_mime_type(kind: Any) -> bool:
    """Whether a form of this name can travel."""
    return type(kind) is str and _MIME_TYPE.fullmatch(kind) is not None


def is_of_text(kind: str) -> bool:
    """Whether the forms of a MIME type are text, and no other JSON."""
    return kind.startswith(_OF_TEXT)


def _object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise ValueError(f"{value!r:.40} is no object")
    return value
