"""A periodic task as the broker keeps it, signed, and the calls that each run of it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nbtasks.core.due.periodic import DueRun, Periodic, RunChunk
from nbtasks.core.errors import SignatureMismatch

from .chunk import Chunk
from .codec import Codec
from .frames import PERIODIC, Sealer, unreadable
from .payloads import cut, lengths_of


@dataclass(frozen=True)
class PeriodicRecord:
    """A periodic task and the arguments of its calls.

    Attributes:
        payloads: pickled arguments of each call of a run.
    """

    task: Periodic
    payloads: Sequence[bytes | memoryview]

    def sealed(self, sealer: Sealer) -> bytes:
        """Return it as a frame."""
        return sealer.seal(PERIODIC, self.task.to_wire(), lengths_of(self.payloads), *self.payloads)

    @classmethod
    def opened(cls, sealer: Sealer, frame: bytes, id: str) -> PeriodicRecord:
        """Verify a frame and read it.

        Args:
            id: of the periodic task that it was found under.

        Raises:
            SignatureMismatch: it is of another one, or another version has written it and it cannot be read here.
        """
        header, body = sealer.open(PERIODIC, frame)
        try:
            task = Periodic.from_wire(header)
        except ValueError as error:
            raise unreadable("a periodic task", error) from error
        if task.id != id:
            raise SignatureMismatch(f"periodic task {task.name!r} stands where another one belongs")
        return cls(task, cut(body, task.count))

    def run(
        self, codec: Codec, batch: str, due_ms: int | None, not_after: float | None, now: float, kid: str
    ) -> DueRun:
        """Return what is submitted for one due time.

        Args:
            batch: its id.
            due_ms: when it is due; None for a run beside the timetable.
            not_after: as of :class:`Chunk`.
            now: server time in epoch seconds.
            kid: id of the key that signs.
        """
        label = codec.seal_label(batch, self.task.count, int(now), self.task.label.standing)
        return DueRun(self.task, batch, label, tuple(self._chunks(codec, batch, due_ms, not_after, kid)))

    def _chunks(
        self, codec: Codec, batch: str, due_ms: int | None, not_after: float | None, kid: str
    ) -> Iterator[RunChunk]:
        task, first = self.task, 0
        delay_ms = 0 if due_ms is None else task.jitter_ms(due_ms)
        header = dataclasses.replace(
            task.header,
            periodic_name=task.name,
            scheduled_for=None if due_ms is None else due_ms / 1000,
            eta_at=(due_ms + delay_ms) / 1000 if due_ms is not None and delay_ms else None,
        )
        for number, count in enumerate(task.chunks):
            if task.locks:
                header = dataclasses.replace(header, locks=task.locks[number])
            part = self.payloads[first : first + count]
            chunk = Chunk(batch, task.function, first, part, header, not_after, task.address)
            yield RunChunk(task.header.lane, delay_ms, first, count, codec.seal_chunk(chunk, kid))
            first += count
