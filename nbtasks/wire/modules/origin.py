"""Where a module comes from: an installed distribution, which workers import by its name, or files of the user's.

Installed is what lies where installers put things, whichever environment that belongs to: below ``site-packages`` or
``dist-packages`` (of this interpreter, of a layer over it or below it), in the standard library, or in a folder that
holds the metadata of the distribution (``pip install --target``). An editable install is none of these: its files are
the user's own, who edits them, so they travel as a module beside the notebook does.
"""

from __future__ import annotations

import functools
import importlib.machinery
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

#: Both ends have them, wherever they lie.
_OF_BOTH_ENDS = frozenset({"nbtasks", "cloudpickle"})
_FOLDERS = frozenset({"site-packages", "dist-packages"})
_EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)
#: Stands in the place of a module's name.
_ANY = "__any__"
#: Names of the program itself, which travels by value.
MAIN = frozenset({"__main__", "__mp_main__"})


def is_local(module: object) -> bool:
    """Whether a module is the user's own, and its source travels."""
    try:
        name, file = module.__name__, getattr(module, "__file__", None)  # type: ignore[attr-defined]
        folders = [] if file else list(getattr(module, "__path__", ()))
    except Exception:
        # Some modules are made when they are looked at, and cannot all be.
        return False
    if not isinstance(module, ModuleType) or not isinstance(name, str) or name in MAIN:
        return False
    if isinstance(file, str):
        return is_local_file(name, file)
    return any(
        isinstance(folder, str) and is_local_file(name, str(Path(folder, "__init__.py")))
        for folder in folders
    )


def is_shipped(module: object) -> bool:
    """Whether a module was sent to this process by somebody who has it."""
    return bool(getattr(getattr(module, "__loader__", None), "has_shipped_source", False))


def is_local_file(name: str, file: str) -> bool:
    """Whether a file that a module of this name comes from, or a folder, is the user's own."""
    return not file.endswith(_EXTENSIONS) and not is_installed(name, file)


def is_own_folder(folder: str) -> bool:
    """Whether a module that lies in a folder is the user's own, whatever its name is."""
    return is_local_file(_ANY, str(Path(folder, f"{_ANY}.py")))


@functools.lru_cache(10_000)
def is_installed(name: str, file: str) -> bool:
    """Whether a module of this name, which comes from this file, belongs to an installed distribution."""
    if name.partition(".")[0] in _OF_BOTH_ENDS:
        return True
    if file.startswith(("<", *_roots())):
        # Frozen, or of Python: thousands are asked about, and these are most of them.
        return True
    parts = Path(file).parts
    if not _FOLDERS.isdisjoint(parts) or any(part.endswith(".egg") for part in parts):
        return True
    places = (str(Path(file).absolute()), str(Path(file).resolve()))
    return any(place.startswith(_roots()) for place in places) or _is_of_layer(name, Path(file))


@functools.lru_cache(1)
def _roots() -> tuple[str, ...]:
    names = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths = {Path(name) for name in names if name}
    paths |= {Path(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    return tuple(sorted({f"{one}{os.sep}" for path in paths for one in (path, path.resolve())}))


def _is_of_layer(name: str, file: Path) -> bool:
    """Whether the folder that a module is imported from says that it was installed there."""
    # A package's file is one folder deeper than its name says, a folder of its own as well.
    depth = name.count(".") + 2
    return any(name.partition(".")[0] in _installed_in(folder) for folder in file.parents[:depth])


@functools.lru_cache(1000)
def _installed_in(folder: Path) -> frozenset[str]:
    """Return the top-level names that distributions have installed in a folder."""
    try:
        metadata = [entry for entry in folder.iterdir() if entry.name.endswith(".dist-info")]
    except OSError:
        return frozenset()
    return frozenset(name for entry in metadata for name in _names_of(entry))


def _names_of(metadata: Path) -> Iterator[str]:
    try:
        for line in (metadata / "RECORD").read_text(encoding="utf-8", errors="replace").splitlines():
            yield line.partition(",")[0].partition("/")[0].partition(".")[0]
    except OSError:
        yield metadata.name.partition("-")[0]
