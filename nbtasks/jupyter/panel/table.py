"""A panel: a table with what can be done with each row, as HTML and as text where nothing can. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbtasks.jupyter.card import saved


@dataclass(frozen=True)
class RowHandle:
    """What a live panel needs of a row besides its cells.

    Attributes:
        key: what the row is about, an id.
        state: of the dot before it, under Celery's names; empty for none.
        actions: what its buttons do.
        details: lines that unfold below it.
    """

    key: str
    state: str = ""
    actions: Sequence[str] = ()
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Panel:
    """A titled table; without rows it says ``empty`` instead."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str = ""
    #: Sentences below the table.
    notes: Sequence[str] = ()
    #: One for each row where the panel can be live.
    handles: Sequence[RowHandle] = ()
    #: Buttons of the panel itself: what they do.
    tools: Sequence[str] = ()

    def html(self, *, hint: str = "") -> str:
        """Return the panel as HTML; every cell is escaped."""
        notes = [*self._details(), *self._notes(), *([hint] if hint else [])]
        return saved.table(self.title, self.columns, self.rows, notes)

    def text(self) -> str:
        """Return the panel as text with aligned columns."""
        lines = [self.title] if self.title else []
        if self.rows:
            table = [[str(cell) for cell in row] for row in (self.columns, *self.rows)]
            widths = [max(len(row[place]) for row in table) for place in range(len(self.columns))]
            for row in table:
                cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *self._details(), *self._notes()])

    def live(self) -> dict[str, Any]:
        """Return all of it for the page, as JSON types."""
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [
                {"cells": list(cells), **dataclasses.asdict(handle)}
                for cells, handle in zip(self.rows, self.handles, strict=True)
            ],
            "notes": self._notes(),
            "tools": list(self.tools),
        }

    def _details(self) -> list[str]:
        if len(self.handles) == 1:
            return list(self.handles[0].details)
        # Below a table of several rows nobody could tell which of them a line is about.
        return [
            f"{row[0]}: {line}"
            for row, handle in zip(self.rows, self.handles, strict=False)
            for line in handle.details
        ]

    def _notes(self) -> list[str]:
        return [*self.notes, *([self.empty] if not self.rows and self.empty else [])]
