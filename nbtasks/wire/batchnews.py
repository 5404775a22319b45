"""What happens to calls of one batch while they run, as signed bytes and back."""

from __future__ import annotations

import json
from dataclasses import dataclass

from nbtasks.core.events import CallEvent, from_wire, to_wire
from nbtasks.core.wirefields import items
from nbtasks.core.wirejson import to_json

from .frames import CHILD, EVENT, Sealer, child_of, unreadable


@dataclass(frozen=True)
class BatchNews:
    """What happens to calls of one batch while they run.

    Attributes:
        worker: its name, for people.
        reporter: the process that tells it.
        child: its number in the worker, None where it is no child.
        number: counts what that process tells, so that a repetition is noticed.
        events: in their order.
    """

    batch: str
    worker: str
    reporter: str
    number: int
    events: list[CallEvent]
    child: int | None = None

    def sealed(self, sealer: Sealer, kid: str = "") -> bytes:
        """Return the frame of it; ``kid`` as in :meth:`Sealer.seal`."""
        header = {"b": self.batch, "w": self.worker, "r": self.reporter, "s": self.number}
        if self.child is not None:
            header[CHILD] = self.child
        return sealer.seal(
            EVENT, header, to_json([to_wire(event) for event in self.events]).encode(), kid=kid
        )

    @classmethod
    def opened(cls, sealer: Sealer, frame: bytes, batch: str) -> BatchNews:
        """Verify events of a batch.

        Raises:
            SignatureMismatch: they are not what was asked for, or another version has told what cannot be read here.
        """
        header, body = sealer.open(EVENT, frame, b=batch)
        try:
            told = [from_wire(item) for item in items(json.loads(bytes(body)))]
        except ValueError as error:
            raise unreadable("events", error) from error
        events = [event for event in told if event is not None]
        return cls(batch, header["w"], header["r"], header["s"], events, child_of(header))
