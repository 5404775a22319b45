"""What imports find: modules of the active world that were sent, and files in the folders of its notebook."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from .origin import is_local_file
from .shippedloader import ShippedLoader
from .sources import stamp_of
from .world import World


class WorldFinder(MetaPathFinder):
    """Finds the modules of one world, the active one.

    Attributes:
        world: None before there is one.
    """

    def __init__(self) -> None:
        self.world: World | None = None

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what is imported under a name; None where that is not the world's business."""
        world = self.world
        if world is None:
            return None
        shipped = world.modules.get(fullname)
        if shipped is not None:
            if fullname in world.hidden and not world.is_shown:
                return None
            return shipped.spec(ShippedLoader(shipped, world))
        if path is None and fullname in sys.stdlib_module_names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            return None
        if is_local_file(fullname, spec.origin):
            world.found[fullname] = (spec.origin, stamp_of(spec.origin))
            if type(spec.loader) is SourceFileLoader:
                spec.loader = _FoundLoader(fullname, spec.origin)
        return spec


class _FoundLoader(SourceFileLoader):
    """Runs a file as it is now: a compiled form is not told from one of the same second and size."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code
