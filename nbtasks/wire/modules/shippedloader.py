"""Runs local modules that were sent, each version once in a process; and says why one cannot be run."""

from __future__ import annotations

import sys
import traceback
import zipimport
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from nbtasks.core.context import being_run
from nbtasks.core.readable import name_of, text_of

from .shipped import Shipped
from .world import World, have_run

#: The last module that has failed, with its error.
_failed: list[tuple[Exception, Shipped]] = []


class ShippedLoader(SourceFileLoader):
    """Runs a module that was sent. Its data it has where it lies, if that is on this machine."""

    #: The file may be another one by now, or not be there.
    has_shipped_source = True

    def __init__(self, shipped: Shipped, world: World) -> None:
        super().__init__(shipped.name, shipped.file)
        self.shipped = shipped
        self.world = world

    def get_source(self, fullname: str) -> str | None:
        """Return the source that was sent."""
        return self.shipped.text

    def get_data(self, path: Any) -> bytes:
        """Read what lies beside it, also inside an archive."""
        try:
            return bytes(super().get_data(path))
        except NotADirectoryError:
            return zipimport.zipimporter(str(Path(path).parent)).get_data(str(path))

    def get_resource_reader(self, name: str | None = None) -> Any:
        """Return what ``importlib.resources`` reads with."""
        folder = Path(self.shipped.file).parent
        if folder.is_dir() or not any(around.is_file() for around in folder.parents):
            return super().get_resource_reader(name)
        return zipimport.zipimporter(str(folder.parent)).get_resource_reader(self.shipped.name)

    def get_code(self, fullname: str) -> CodeType:
        """Compile it."""
        code: CodeType = compile(self.shipped.text or "", self.shipped.file, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Run it; nobody else runs this version again in this process."""
        shipped, given = self.shipped, dict(vars(module))
        try:
            self._run(module)
        except Exception as error:
            if being_run or not self.world.has_old:
                _failed[:] = [(error, shipped)]
                raise
            # What it registers itself with may know an earlier version of it: so everything runs anew, as it would in a
            # process of its own.
            self.world.start_afresh(shipped.name)
            vars(module).clear()
            vars(module).update(given)
            try:
                self._run(module)
            except Exception as last:
                _failed[:] = [(last, shipped)]
                raise

    def _run(self, module: ModuleType) -> None:
        shipped = self.shipped
        shipped.show_lines()
        key = (shipped.name, shipped.version)
        have_run[key] = module
        being_run.append(shipped.name)
        try:
            exec(self.get_code(shipped.name), module.__dict__)
        except BaseException:
            have_run.pop(key, None)
            raise
        finally:
            being_run.pop()
        standing = sys.modules.get(shipped.name)
        if isinstance(standing, ModuleType):
            # Some put another one in their place.
            have_run[key] = standing


def forget_failure() -> None:
    """Have :func:`why_failed` know of nothing that has failed before."""
    _failed.clear()


def why_failed(error: Exception) -> ImportError | None:
    """Return what is to be raised for an error that a module has failed with; None where none has failed with it."""
    for failed, shipped in _failed:
        if failed is error:
            return _cannot_run(shipped, error)
    return None


def _cannot_run(shipped: Shipped, error: Exception) -> ImportError:
    lines = [
        line
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == shipped.file
    ]
    place = f"{shipped.file}, line {lines[-1]}" if lines else shipped.file
    advice = (
        ". The file has been sent as it is now: mend it, and submit again"
        if isinstance(error, SyntaxError)
        else ". It runs there once, as an import does: what only the notebook's process has belongs "
        "into a function, or under `if __name__ == '__main__':`"
    )
    return ImportError(
        f"the local module {shipped.name!r} cannot be run on the worker ({place}): {name_of(error)}: "
        f"{text_of(error, 500)}{advice}",
        name=shipped.name,
        path=shipped.file,
    )
