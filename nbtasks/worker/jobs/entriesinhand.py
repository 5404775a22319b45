"""Which entries a child holds, as it knows itself; the broker has a list of its own, and an audit compares them."""

from __future__ import annotations

from nbtasks.broker.verbs.entry import Entry

#: Address, lane and id of an entry.
Place = tuple[str, str, bytes]


class EntriesInHand:
    """Every entry that has come into a child's hands, until the broker knows that it has ended or was given back."""

    def __init__(self) -> None:
        self._places: set[Place] = set()

    def add(self, entry: Entry) -> None:
        """An entry has come into this child's hands."""
        self._places.add(place(entry))

    def remove(self, entry: Entry) -> None:
        """An entry has ended, or was given back."""
        self._places.discard(place(entry))

    def __contains__(self, entry: Entry) -> bool:
        return place(entry) in self._places

    def places(self) -> frozenset[Place]:
        """Return where they all are."""
        return frozenset(self._places.copy())


def place(entry: Entry) -> Place:
    """Return where an entry is, which tells it from all others."""
    return entry.address, entry.lane, entry.id
