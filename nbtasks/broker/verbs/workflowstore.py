"""What is kept about workflows: in which of them something has failed, how calls have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class WorkflowStore(Protocol):
    """What both ends need of workflows."""

    def states_of_parts(self, parts: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Return state codes of (batch, first, count), as :meth:`Store.states` does."""

    def records_of(self, batch: str, first: int, count: int) -> list[tuple[int, int, bytes]]:
        """Return (first, count, frame) of each record that has results of these calls, in order."""

    def record_at(self, batch: str, first: int, count: int) -> bytes | None:
        """Return the frame of the record that is filed under exactly these calls."""

    def are_known(self, batches: Sequence[str]) -> list[bool]:
        """Return of each batch whether the broker knows it."""

    def take_fallout(
        self, most: int, for_ms: int, seen_to: Sequence[tuple[str, bytes]]
    ) -> list[tuple[str, bytes, float]]:
        """Take workflows in which something has failed, or of which only a part has come yet.

        What is taken stays on the list until it was seen to, and longer where something has failed meanwhile: where
        who has taken it dies, another one gets it. Supervisors are told of new ones (``wf``, see
        :meth:`Ordering.asked`).

        Returns:
            of each its id, a mark to be given back, and the seconds for which its client has sent nothing; 0 where all
            of it has come.

        Args:
            for_ms: who takes one sees to it within this time; else another one gets it.
            seen_to: those that were taken before, each with its mark; they are taken off the list in the same step.
        """
