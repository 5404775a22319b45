"""Modules that are adapted to calls when a task imports them, and not before: no worker imports them by itself."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from nbtasks.wire.modules import activeworld

Adapt = Callable[[ModuleType], None]


class _Awaiting:
    """Waits among the finders of modules for those that matter.

    Attributes:
        adapt: by the module's name, what to do with it once it has been run.
    """

    def __init__(self) -> None:
        self.adapt: dict[str, Adapt] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where one of the modules is, as others find it."""
        adapt = self.adapt.pop(name, None)
        if adapt is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_and_adapt(module: ModuleType) -> None:
                run(module)
                _adapt(module, adapt)

            spec.loader.exec_module = run_and_adapt  # type: ignore[method-assign]
        return spec


_awaiting = _Awaiting()


def when_imported(name: str, adapt: Adapt) -> None:
    """Have a module adapted as soon as it has been imported; at once where it was. Its errors are passed over."""
    known = sys.modules.get(name)
    if known is not None:
        _adapt(known, adapt)
        return
    _awaiting.adapt[name] = adapt
    if _awaiting not in sys.meta_path:
        # Theirs finds it as well, and has to come after ours.
        activeworld.expect_worlds()
        sys.meta_path.insert(0, _awaiting)


def _adapt(module: ModuleType, adapt: Adapt) -> None:
    # It may be a module of the user's of the same name, half imported, or another version.
    with contextlib.suppress(Exception):
        adapt(module)
