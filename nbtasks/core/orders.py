"""What supervisors are told to do. The short keys of orders stand here and nowhere else.

An order is signed, and numbered by who gives it: a copy of it is followed by nobody, neither once more nor by another
worker than it was given to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .wirefields import WireField, WireFields, flag, number, number_or_none, text, whole


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
class Ask:
    """The worker is to tell something of itself.

    Attributes:
        what: a word of :data:`QUESTIONS`.
    """

    what: str


@dataclass(frozen=True)
class Resize:
    """The worker is to have more children, or fewer."""

    more: int = 0
    fewer: int = 0


@dataclass(frozen=True)
class Autoscale:
    """The worker is to have as many children as it has work for, within bounds; of 0 at most: as many as now."""

    most: int
    least: int


@dataclass(frozen=True)
class RenewChildren:
    """The worker is to replace its children, each when the calls that it runs have ended."""


@dataclass(frozen=True)
class Serve:
    """The worker is to take calls of a queue, or not any more."""

    queue: str
    stop: bool = False


@dataclass(frozen=True)
class LimitTask:
    """Calls of a task are to have other limits than it says itself; what is None is as it was.

    Attributes:
        rate: such as ``10/s``; empty for none.
        hard_s, soft_s: seconds that a call may run; 0 for no limit.
    """

    task: str
    rate: str | None = None
    hard_s: float | None = None
    soft_s: float | None = None


Command = StopCalls | Shutdown | Ask | Resize | Autoscale | RenewChildren | Serve | LimitTask

#: What a worker can be asked.
QUESTIONS = (
    "ping",
    "active",
    "reserved",
    "stats",
    "registered",
    "active_queues",
    "conf",
    "report",
    "revoked",
)


@dataclass(frozen=True)
class Order:
    """What is to be done, and what tells this order from a copy.

    Attributes:
        sender: who gives it: a client's session.
        number: counts what that sender orders.
        at: when it was given, in epoch seconds of the server.
        to: id of the worker that it is for; empty for all.
        reply: where the answer goes; empty where none is wanted.
    """

    what: Command
    sender: str
    number: int
    at: float
    to: str = ""
    reply: str = ""

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


def _text_or_none(value: Any) -> str | None:
    return None if value is None else text(value)


_ENVELOPE = WireFields(
    Order,
    {
        "from": WireField("sender", text),
        "no": WireField("number", whole),
        "at": WireField("at", number),
        "to": WireField("to", text),
        "re": WireField("reply", text),
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
    "ask": (Ask, WireFields(Ask, {"q": WireField("what", text)})),
    "resize": (
        Resize,
        WireFields(Resize, {"more": WireField("more", whole), "fewer": WireField("fewer", whole)}),
    ),
    "autoscale": (
        Autoscale,
        WireFields(Autoscale, {"most": WireField("most", whole), "least": WireField("least", whole)}),
    ),
    "renew": (RenewChildren, WireFields(RenewChildren, {})),
    "serve": (
        Serve,
        WireFields(Serve, {"queue": WireField("queue", text), "stop": WireField("stop", flag, int)}),
    ),
    "limit": (
        LimitTask,
        WireFields(
            LimitTask,
            {
                "task": WireField("task", text),
                "rate": WireField("rate", _text_or_none),
                "hard": WireField("hard_s", number_or_none),
                "soft": WireField("soft_s", number_or_none),
            },
        ),
    ),
}
_OF_CLASS = {what: (kind, fields) for kind, (what, fields) in _KINDS.items()}
