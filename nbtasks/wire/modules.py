"""Local modules: files next to the notebook that no worker could import. They travel with the task.

What a task reaches through its globals goes by value, as the kernel has it in memory; what it imports inside its
body goes as source, and the worker imports it from there.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import cloudpickle

from .origin import is_installed, is_local

_lock = threading.RLock()


def local_modules() -> list[ModuleType]:
    """Return the local modules that are loaded here; one that stands under two names is there once."""
    found = {id(module): module for module in list(sys.modules.values()) if isinstance(module, ModuleType)}
    return [module for module in found.values() if is_local(module)]


_names: tuple[tuple[int, str], list[str]] = ((0, ""), [])


def _local_names() -> list[str]:
    """Return the names of the local modules; looked up anew when something was imported."""
    global _names
    mark = (len(sys.modules), next(reversed(sys.modules)))
    if _names[0] != mark:
        _names = (mark, sorted({module.__name__ for module in local_modules()}))
    return _names[1]


#: What is registered just now.
_registered: list[ModuleType] = []


@contextlib.contextmanager
def shipped_by_value() -> Iterator[None]:
    """Make cloudpickle send local modules by value, for the time of one dump.

    The registry is global and not made for threads, hence the lock and the clean-up.
    """
    with _lock:
        already = cloudpickle.list_registry_pickle_by_value()
        mine = [module for name in _local_names() if name not in already for module in _standing_as(name)]
        for module in mine:
            cloudpickle.register_pickle_by_value(module)
        _registered.extend(mine)
        try:
            yield
        finally:
            del _registered[len(_registered) - len(mine) :]
            _unregister(mine)


def _standing_as(name: str) -> Iterator[ModuleType]:
    """Yield the module that is known by a name which is its own, if there is one: only such a one can be registered."""
    module = sys.modules.get(name)
    if getattr(module, "__name__", None) == name:
        yield module  # type: ignore[misc]


def _unregister(modules: Iterable[ModuleType]) -> None:
    for module in modules:
        # What is pickled may register and unregister modules itself.
        with contextlib.suppress(ValueError):
            cloudpickle.unregister_pickle_by_value(module)


def _after_fork() -> None:
    """A thread that is not in the child may have held the lock, and have registered modules."""
    global _lock
    _lock = threading.RLock()
    _unregister(_registered)
    _registered.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def imported_sources(function: Any) -> dict[str, str]:
    """Return name -> source of the local modules that a function's body imports, and that those import."""
    found: dict[str, str] = {}
    code = getattr(function, "__code__", None)
    waiting = list(_imports_of_code(code)) if code is not None else []
    while waiting:
        name = waiting.pop()
        for part in _with_parents(name):
            if part not in found:
                source = _local_source(part)
                if source is not None:
                    found[part] = source
                    waiting += _imports_of_source(source, part)
    return found


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _imports_of_code(code: CodeType) -> Iterator[str]:
    import dis

    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME" and step.argval:
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports_of_code(constant)


def _imports_of_source(source: str, module: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    names: list[str] = []
    package = module.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join(package[: len(package) - node.level + (1 if _is_package(module) else 0)])
                if node.level
                else ""
            )
            stem = ".".join(part for part in (base, node.module or "") if part)
            names += [stem] if stem else []
            names += [f"{stem}.{alias.name}" if stem else alias.name for alias in node.names]
    return names


def _is_package(name: str) -> bool:
    spec = _spec(name)
    return bool(spec and spec.submodule_search_locations)


def _spec(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None


def _local_source(name: str) -> str | None:
    spec = _spec(name)
    origin = spec.origin if spec else None
    if not origin or not origin.endswith(".py") or is_installed(name, origin):
        return None
    try:
        text = Path(origin).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return ("#package\n" if spec and spec.submodule_search_locations else "#module\n") + text


class ShippedFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports, in a worker, the local modules that came with a task. Newer sources replace older ones."""

    def __init__(self) -> None:
        self._sources: dict[str, str] = {}
        self._digests: dict[str, str] = {}

    def offer(self, sources: dict[str, str]) -> None:
        """Make modules importable; those whose source has changed are imported anew."""
        if not sources:
            return
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for name, source in sources.items():
            digest = hashlib.sha256(source.encode()).hexdigest()
            if self._digests.get(name) != digest:
                self._digests[name] = digest
                self._sources[name] = source
                sys.modules.pop(name, None)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer for the modules that were offered."""
        source = self._sources.get(fullname)
        if source is None:
            return None
        return importlib.machinery.ModuleSpec(
            fullname, self, origin=f"<{fullname} of the notebook>", is_package=source.startswith("#package")
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Use the default module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the source."""
        import linecache

        source = self._sources[module.__name__].partition("\n")[2]
        filename = f"<{module.__name__} of the notebook>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        exec(compile(source, filename, "exec"), module.__dict__)
