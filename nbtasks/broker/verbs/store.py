"""What is kept about batches: their labels, states, result records, functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nbtasks.core.states import FIRST_READY_CODE

from .finish import Finish

#: Only final states are ever written to a server, and its side takes any other one for an end, too. Who read it as
#: "goes on" would have such a call executed in vain, again and again.
_AS_ENDED = bytes(code if code == 0 or code >= FIRST_READY_CODE else 255 for code in range(256))


@dataclass(frozen=True)
class BatchRecord:
    """What the broker knows of a batch. Its label, which is signed, says all that must be true.

    Attributes:
        submitted_at: epoch seconds of the server.
        ended_at: the same, None where its calls have not all ended.
        done_count: how many have, of what was asked for. None of these three is signed; they are only shown.
    """

    id: str
    label: bytes
    submitted_at: float
    ended_at: float | None = None
    done_count: int = 0


class Store(Protocol):
    """Both ends use it. What reads changes nothing, and takes as long as its answer is large.

    State codes are those of core/states.py. Only final ones are ever kept; zero stands for a call that has not ended.
    A code that is neither (somebody has written it) is told as 255: a call is not run again because of it.
    """

    def finish(self, report: Finish) -> int:
        """Apply a report in which no entry ends, as :meth:`Delivery.finish`; returns how many results were new."""

    def function(self, digest: str) -> bytes | None:
        """Return a function's record; None where there is none."""

    def plan(self, workflow: str) -> bytes | None:
        """Return the signed graph of a workflow, or what was kept under this id."""

    def keep_plan(self, name: str, frame: bytes, ttl_ms: int) -> None:
        """Keep a signed graph, or group, for a time. May be said again."""

    def states(self, batch: str, first: int, count: int) -> bytes:
        """Return ``count`` state codes from ``first`` on; of a batch that is not known, zeros."""

    def standing(self, batch: str, first: int, count: int) -> tuple[bytes, dict[int, bytes]]:
        """Return what :meth:`states` does, and the orders that revoked some of these calls while they ran.

        The orders are signed, and not verified here. Index -1 has the one for the whole batch. An order is never
        missing whose revocation was there before this was asked.
        """

    def states_of(self, batches: list[tuple[str, int]]) -> list[bytes]:
        """Return the state codes of several batches, each with its number of calls."""

    def ranges(self, batch: str) -> list[tuple[int, int]]:
        """Return the (first, count) under which the batch's result records are filed, in order."""

    def record(self, batch: str, first: int, count: int) -> bytes | None:
        """Return the record that is filed under exactly these calls.

        Once a call's state is there, so is its record, for as long as the batch is kept.
        """

    def batch(self, batch: str) -> BatchRecord | None:
        """Return what is known of a batch, or None when nobody recorded it; how many calls have ended is not told."""

    def own_states(self, batch: str) -> list[tuple[bytes, bytes]]:
        """Return (index as text, frame) of the calls of a batch that have named a state of their own."""

    def newest(self, most: int) -> list[str]:
        """Return the ids of the newest batches, newest first, by when the server recorded them."""

    def listed(self, most: int, *, unfinished: bool) -> list[BatchRecord]:
        """Return the newest batches, newest first.

        Args:
            most: so many are looked at.
            unfinished: leave out those whose calls have all ended.
        """

    def named(self, batches: Iterable[str]) -> list[BatchRecord]:
        """Return those batches that somebody has recorded; how far they are is not looked at."""

    def forget(self, batch: str) -> list[str]:
        """Drop a batch with its results; returns the keys of its large values, which are still there.

        Nothing is told to anybody, and what of it lies in queues ends when it is taken. May be said again.
        """

    def forget_call(self, batch: str, index: int) -> int:
        """Note that a call is not wanted any more that shares its batch with others; returns how many are.

        0 as well where the batch is not known, or has more than 10,000 calls. May be said again.
        """

    def forgotten(self, batch: str) -> frozenset[int]:
        """Return the indexes of those of which that was noted."""


def final_states(states: bytes | bytearray) -> bytes:
    """Return state codes of a server: zero, or one that is final."""
    return bytes(states.translate(_AS_ENDED))
