"""Where a worker looks for modules: the folder it was started in first, but never for those of Python itself.

A file of the user's may bear the name of a standard module. What is imported late, by this package or by Python, must
not be that.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

_KINDS = ("stdlib", "platstdlib")


class _StandardFirst(importlib.abc.MetaPathFinder):
    """Finds standard modules where they lie."""

    def __init__(self) -> None:
        folders = [Path(sysconfig.get_path(kind)) for kind in _KINDS]
        own = {*folders, *(folder / "lib-dynload" for folder in folders)}
        # One of a zip file, too.
        self._path = [
            entry for entry in sys.path if Path(entry) in own or Path(entry).name.startswith("python3")
        ]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or fullname not in sys.stdlib_module_names:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, self._path, target)


def search_here() -> None:
    """Look for modules in the working folder, as a program does that is started there."""
    sys.meta_path.insert(0, _StandardFirst())
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
