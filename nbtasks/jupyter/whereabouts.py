"""Which notebook and which cell of it runs now, as far as the front end says."""

from __future__ import annotations

import hashlib
from typing import Any

from .frontend import has_kernel, running_cell

#: Characters of a hash of a cell's source.
_HASH = 24


class Whereabouts:
    """Says for one shell which cell runs."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._last = ("", "", "")

    def __call__(self) -> tuple[str, str, str]:
        """Return the notebook's path, empty where nobody says it; what names the cell; what names its execution."""
        execution = running_cell(self._shell)
        if self._last[2] != execution:
            self._last = (self._notebook(), self._cell(), execution)
        return self._last

    def _notebook(self) -> str:
        # VS Code says it so; a server of Jupyter by JPY_SESSION_NAME, which needs no shell.
        told = getattr(self._shell, "user_ns", {}).get("__vsc_ipynb_file__")
        return told if isinstance(told, str) else ""

    def _cell(self) -> str:
        """Return the cell's id, else a hash of its source; empty in a terminal, where each line is typed anew."""
        if not has_kernel(self._shell):
            return ""
        request = self._shell.kernel.get_parent()
        name = request.get("metadata", {}).get("cellId")
        if isinstance(name, str) and name:
            return f"i{name}"
        source = request.get("content", {}).get("code")
        if not isinstance(source, str) or not source.strip():
            return ""
        return "s" + hashlib.sha256(source.encode(errors="replace")).hexdigest()[:_HASH]


def cell_id(cell: str) -> str:
    """Return the id of a cell out of what names it; empty where that is a hash."""
    return cell[1:] if cell.startswith("i") else ""
