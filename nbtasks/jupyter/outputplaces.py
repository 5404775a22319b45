"""The outputs of the notebook in which one thing appears."""

from __future__ import annotations

import uuid
from typing import Any


class OutputPlaces:
    """Each has a display id, so it can be replaced: by the next snapshot, and at the end by the saved form.

    An update goes by that id alone; nothing here prints or shows anything new from a thread.

    Args:
        publisher: of the shell. It is remembered, because ``%%capture`` puts another in its place for a while.
    """

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self._ids: list[str] = []

    def begin(self, display_id: str = "") -> str:
        """Count on one more output; returns its display id."""
        self._ids.append(display_id or uuid.uuid4().hex)
        return self._ids[-1]

    def show(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        """Show an output in the cell that runs now."""
        self._publisher.publish(data, metadata, transient={"display_id": display_id})

    def update(self, data: dict[str, Any], metadata: dict[str, Any], display_id: str) -> None:
        """Replace what one output shows."""
        self._publisher.publish(data, metadata, transient={"display_id": display_id}, update=True)

    def replace(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Replace what all of them show."""
        for display_id in self._ids:
            self.update(data, metadata, display_id)

    def give_up_newest(self) -> tuple[str, bool]:
        """Leave the newest one to something else; returns its display id, and whether there are others."""
        return self._ids.pop(), bool(self._ids)
