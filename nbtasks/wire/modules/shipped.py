"""A local module as it was sent, in a worker."""

from __future__ import annotations

import linecache
from dataclasses import dataclass
from importlib.abc import Loader
from importlib.machinery import ModuleSpec

from nbtasks.core.madeonce import made_once


@dataclass(frozen=True)
class Shipped:
    """A local module as it was sent.

    Attributes:
        version: equal for equal sources of it and of what it imports.
        text: None for a package without a file.
        file, folders: where it lies on the machine that has sent it.
    """

    name: str
    version: str
    text: str | None
    file: str
    folders: list[str] | None

    def spec(self, loader: Loader | None = None) -> ModuleSpec:
        """Return what the import system makes the module from.

        Args:
            loader: runs it. A package without a file has nothing to run.
        """
        if self.text is None:
            spec = ModuleSpec(self.name, None, is_package=True)
            spec.submodule_search_locations = self.folders or []
            return spec
        spec = ModuleSpec(self.name, loader, origin=self.file, is_package=self.folders is not None)
        spec.submodule_search_locations = self.folders
        spec.has_location = True
        return spec

    @made_once
    def _lines(self) -> list[str]:
        return (self.text or "").splitlines(True)

    def show_lines(self) -> None:
        """Have tracebacks show the lines that run, whatever lies in the file by now."""
        if self.text is not None:
            linecache.cache[self.file] = (len(self.text), None, self._lines, self.file)
