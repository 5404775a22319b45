"""The report of a comparison: which items differ, and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from description import difference

#: The name under which the notebook itself stands in a report.
NOTEBOOK = "the notebook is left as it was"


class Report:
    """Item -> what differs; nothing for an item that is the same."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def compare(self, name: str, what: str, here: Any, there: Any) -> None:
        """Note where two descriptions differ."""
        found = difference(here, there)
        if found is not None:
            self.note(name, f"{what}: {found}")
        self._found.setdefault(name, [])

    def note(self, name: str, text: str) -> None:
        """Note a difference in words, once."""
        noted = self._found.setdefault(name, [])
        if text not in noted:
            noted.append(text)

    def compare_notebooks(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Note what reading the results has changed in the notebook."""
        self._found[NOTEBOOK] = []
        for name in {**before, **after}:
            if before.get(name) != after.get(name):
                self.compare(NOTEBOOK, f"{name} was and is", before.get(name), after.get(name))

    def write(self, path: Path) -> None:
        """Write all items as JSON."""
        path.write_text(json.dumps(self._found))
