"""What a batch and its calls are called, and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtasks.core.ids import call_id

from .provenance import Provenance

if TYPE_CHECKING:
    from .parcel import Parcel


class Described:
    """A batch by its names.

    Args:
        parcel: what was sent; None where another process has submitted it.
    """

    def __init__(self, id: str, n: int, origin: Provenance, parcel: Parcel | None) -> None:
        self.id = id
        self.origin = origin
        self.parcel = parcel
        #: Of each call its code.
        self.states = bytearray(n)

    @property
    def name(self) -> str:
        """The task's name."""
        return self.origin.name

    @property
    def label(self) -> str | None:
        """What it was called when it was submitted."""
        return self.origin.label

    @property
    def title(self) -> str:
        """What cards call it."""
        return self.label or self.name

    @property
    def queue(self) -> str:
        """The queue that its calls were sent to."""
        return self.origin.queue

    @property
    def kind(self) -> str:
        """``call`` or ``map``."""
        return self.origin.kind

    @property
    def is_many(self) -> bool:
        """Whether its calls have to be told apart: it is a fan-out, even of one call."""
        return self.kind == "map" or self.n != 1

    @property
    def quiet(self) -> bool:
        """Whether it shows no card by itself."""
        return self.origin.quiet

    @property
    def n(self) -> int:
        """Number of calls."""
        return len(self.states)

    def call_id(self, index: int) -> str:
        """Return a call's id."""
        return self.origin.own_id or call_id(self.id, index, 1 if self.origin.single else None)

    def call_label(self, index: int) -> str:
        """Return the arguments of a call in short, for tooltips and lists; no code of theirs runs."""
        return f"#{index}" if self.parcel is None else self.parcel.label(index)

    def item_label(self, index: int) -> str:
        """Return the same with the names of the parameters, such as ``n=17``; empty where nobody knows here."""
        return self.origin.item(index) if self.parcel is None else self.parcel.item_label(index)
