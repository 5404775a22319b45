"""What a child and its supervisor share, in memory and in a file. The next child takes it over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nbtasks.core.address import Address

from .executing.sidebyside import SideBySide, make_rosters
from .isolation.descriptors import DescriptorFile
from .jobs.argumentsshown import ArgumentsShown, make_arguments_shown
from .jobs.hand import Hand, make_hands
from .slots import Slot, make_slots
from .taskcounts import TaskCounts


@dataclass(frozen=True)
class Seat:
    """One child's place in its worker.

    Attributes:
        slot: what its main thread runs, and what it is told.
        hand: what it has in hand.
        roster: what runs side by side in it.
        arguments: of calls that have run for a moment, as text.
        output: what is written past Python.
        counts: what it has counted of each task.
    """

    number: int
    slot: Slot
    hand: Hand
    roster: SideBySide
    arguments: ArgumentsShown
    output: DescriptorFile
    counts: TaskCounts

    def clear(self) -> None:
        """Forget the child that has died."""
        self.slot.clear()
        self.roster.clear()
        self.arguments.clear()
        self.hand.empty()
        self.output.reset()
        self.counts.clear()


def make_seats(n: int, addresses: Sequence[Address], side_by_side: int) -> list[Seat]:
    """Return seats for ``n`` children to inherit.

    Args:
        side_by_side: calls that may run beside each other in one child.
    """
    parts = zip(
        make_slots(n),
        make_hands(n, addresses),
        make_rosters(n, side_by_side),
        make_arguments_shown(n),
        strict=True,
    )
    return [Seat(number, *shared, DescriptorFile(), TaskCounts()) for number, shared in enumerate(parts)]
