"""What supervisors are told to do. The short keys of orders stand here and nowhere else.

An order is signed, and numbered by who gives it: a copy of it is followed by nobody, neither once more nor by another
worker than it was given to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .wirefields import WireField, WireFields, flag, number, text, whole


@dataclass(frozen=True)
class StopCalls:
    """Calls of a batch were revoked.

    A second time it does no harm: which calls are to stop, the broker's states say, and they are final.

    Attributes:
        index: of the call; -1 is all of them.
        kill: those that run are to stop, too.
        signal: how they are, where that was said: a number, as the system of the worker has it.
    """

    batch: str
    index: int = -1
    kill: bool = False
    signal: int = 0


@dataclass(frozen=True)
class Shutdown:
    """The worker is to end: when the calls that run have ended, or at once (cold)."""

    cold: bool = False


@dataclass(frozen=True)
class Order:
    """What is to be done, and what tells this order from a copy.

    Attributes:
        sender: who gives it: a client's session.
        number: counts what that sender orders.
        at: when it was given, in epoch seconds of the server.
        to: id of the worker that it is for; empty for all.
    """

    what: StopCalls | Shutdown
    sender: str
    number: int
    at: float
    to: str = ""

    @property
    def is_harmless(self) -> bool:
        """Whether it may be followed a second time."""
        return isinstance(self.what, StopCalls)

    def to_wire(self) -> dict[str, Any]:
        """Return it as JSON types."""
        kind, fields = _OF_CLASS[type(self.what)]
        return {"t": kind, **_ENVELOPE.written(self), **fields.written(self.what)}

    @classmethod
    def from_wire(cls, wire: dict[str, Any]) -> Order:
        """Read what :meth:`to_wire` has made.

        Raises:
            ValueError: it makes no sense, or only a newer version knows what it is.
        """
        kind = text(wire.get("t"))
        if kind not in _KINDS:
            raise ValueError(f"{kind!r:.40} is no order that is known")
        what, fields = _KINDS[kind]
        try:
            return cls(what(**fields.read(wire)), **_ENVELOPE.read(wire))
        except TypeError as error:
            raise ValueError(f"an order lacks something: {wire!r:.80}") from error


_ENVELOPE = WireFields(
    Order,
    {
        "from": WireField("sender", text),
        "no": WireField("number", whole),
        "at": WireField("at", number),
        "to": WireField("to", text),
    },
)
_KINDS: dict[str, tuple[type, WireFields]] = {
    "stop": (
        StopCalls,
        WireFields(
            StopCalls,
            {
                "b": WireField("batch", text),
                "i": WireField("index", whole),
                "kill": WireField("kill", flag, int),
                "sg": WireField("signal", whole),
            },
        ),
    ),
    "shutdown": (Shutdown, WireFields(Shutdown, {"cold": WireField("cold", flag, int)})),
}
_OF_CLASS = {what: (kind, fields) for kind, (what, fields) in _KINDS.items()}
