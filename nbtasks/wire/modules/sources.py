"""The sources of local modules, found as an import would find them but without importing, and what they import."""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import hashlib
import importlib.util
import json
import linecache
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from nbtasks.core.madeonce import made_once

from .origin import is_local, is_local_file

#: (mtime in ns, size, inode) of a file or a folder; None where it is none that could be watched.
Stamp = tuple[int, int, int] | None
#: Of a file that is not there.
GONE: Stamp = (0, 0, 0)
#: More than the step in which file systems count time.
_FRESH_NS = 100_000_000
_LONGEST_NAME = 200
_IMPORTERS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True)
class Place:
    """Where a local module lies.

    Attributes:
        file: empty for a package without a file of its own.
        folders: of a package, where its modules are; None for a plain module.
        loader: what runs it here.
    """

    file: str
    folders: tuple[str, ...] | None
    loader: Any = None

    def stamp(self) -> Stamp:
        """Return what changes when the file does."""
        return stamp_of(self.file) if self.file else GONE


@dataclass(frozen=True)
class Source:
    """A local module as it is now.

    Attributes:
        text: None for a package without a file.
        file, folders: as in :class:`Place`.
        stamp: of its file when it was read.
        imports: full names of all that its code may import, anywhere in it; some of them name no module.
        words: texts in it that could be a module's name.
    """

    text: str | None
    file: str
    folders: tuple[str, ...] | None
    stamp: Stamp
    imports: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    @made_once
    def digest(self) -> str:
        """Hash of all of it that travels."""
        return hashlib.sha256(
            repr((self.text, self.file, self.folders)).encode("utf-8", "replace")
        ).hexdigest()


def stamp_of(file: str) -> Stamp:
    """Return the stamp of a file or a folder; of the archive where it lies inside one.

    What was written a moment ago has none: written once more, it could have the same.
    """
    try:
        # Called for every module at every submit: a Path takes longer than what is asked.
        found = os.stat(file)  # noqa: PTH116
    except NotADirectoryError:
        return stamp_of(str(Path(file).parent))
    except (OSError, ValueError):
        return GONE
    if 0 <= time.time_ns() - found.st_mtime_ns < _FRESH_NS:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def place_of(name: str) -> Place | None:
    """Return where a local module of this name lies; None where there is none, or it is not local."""
    if name in sys.modules:
        return _place_of_loaded(name, sys.modules[name])
    parent, _, _ = name.rpartition(".")
    path: Sequence[str] | None = None
    if parent:
        around = place_of(parent)
        if around is None or around.folders is None:
            return None
        path = around.folders
    for finder in list(sys.meta_path):
        spec = None
        # A finder may be somebody's, and the name none.
        with contextlib.suppress(Exception):
            spec = finder.find_spec(name, path)
        if spec is not None:
            return _place_of_spec(name, spec)
    return _place_of_folder(name, path or ())


def _place_of_folder(name: str, path: Sequence[str]) -> Place | None:
    """Return a folder without ``__init__.py`` inside a package: Python finds it if that was imported only."""
    folders = [Path(around, name.rpartition(".")[2]) for around in path]
    local = [str(one) for one in folders if one.is_dir() and is_local_file(name, str(one / "__init__.py"))]
    return Place("", tuple(local), None) if local else None


def _place_of_loaded(name: str, module: Any) -> Place | None:
    if not isinstance(module, ModuleType) or not (is_local(module) or _is_bare_parent(name, module)):
        return None
    folders = getattr(module, "__path__", None)
    if folders is None and _is_bare_parent(name, module):
        folders = ()
    loader = getattr(getattr(module, "__spec__", None), "loader", None) or getattr(module, "__loader__", None)
    return Place(getattr(module, "__file__", None) or "", _texts(folders), loader)


def _is_bare_parent(name: str, module: ModuleType) -> bool:
    """Whether a module of nothing stands there for the sake of local ones below it."""
    if getattr(module, "__file__", None) is not None or getattr(module, "__spec__", None) is not None:
        return False
    return any(key.startswith(f"{name}.") and is_local(below) for key, below in list(sys.modules.items()))


def _place_of_spec(name: str, spec: Any) -> Place | None:
    folders = spec.submodule_search_locations
    if spec.loader is None or not spec.origin:
        local = [folder for folder in folders or () if is_local_file(name, str(Path(folder, "__init__.py")))]
        return Place("", tuple(local), None) if local else None
    if not spec.has_location and not spec.origin.endswith((".py", ".ipynb")):
        return None
    return Place(spec.origin, _texts(folders), spec.loader) if is_local_file(name, spec.origin) else None


def _texts(folders: Iterable[Any] | None) -> tuple[str, ...] | None:
    return None if folders is None else tuple(map(str, folders))


_read: dict[tuple[str, str], tuple[Place, Source | None]] = {}


def source_of(name: str, place: Place) -> Source | None:
    """Return the source of a local module, of a file that is gone what it had; None where nobody has it."""
    known, stamp = _read.get((name, place.file)), place.stamp()
    if (
        known is not None
        and known[1] is not None
        and known[1].stamp == stamp not in {None, GONE}
        and known[0].folders == place.folders
    ):
        return known[1]
    source = _made(name, place, stamp)
    if source is None and known is not None and stamp == GONE:
        # It is loaded, and runs here as before.
        source = known[1]
    _read[name, place.file] = (place, source)
    return source


def _made(name: str, place: Place, stamp: Stamp) -> Source | None:
    if not place.file:
        return Source(None, "", place.folders, GONE)
    text = _text_of(name, place)
    if text is None:
        return None
    imports, words = _imports_of(text, name, place.folders is not None)
    return Source(text, place.file, place.folders, stamp, imports, words)


def _text_of(name: str, place: Place) -> str | None:
    """Return a module's code: of the file as it is now, else what the loader or the tracebacks have of it."""
    if getattr(place.loader, "has_shipped_source", False):
        return _from_loader(name, place.loader)
    if place.file.endswith(".py"):
        try:
            return importlib.util.decode_source(Path(place.file).read_bytes())
        except (OSError, ValueError, SyntaxError):
            pass
    found = _from_loader(name, place.loader)
    if found is None and place.file.endswith(".ipynb"):
        found = _from_notebook(place.file)
    return found if found is not None else "".join(linecache.getlines(place.file)) or None


def _from_loader(name: str, loader: Any) -> str | None:
    try:
        text = loader.get_source(name)
    except Exception:
        return None
    return text if isinstance(text, str) else None


def _from_notebook(file: str) -> str | None:
    """Return the code of a notebook's cells, as those run it who import notebooks: magics do nothing elsewhere."""
    try:
        cells = json.loads(Path(file).read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        return "\n\n".join(map(_plain, sources)) + "\n"
    except Exception:
        # Whatever it is, it is not a notebook.
        return None


def _plain(cell: str) -> str:
    """Return a cell's code as Python, with nothing in the place of magics and commands."""
    if "IPython" in sys.modules:
        transformer = import_module("IPython.core.inputtransformer2").TransformerManager()
        cell = transformer.transform_cell(cell)
    if cell.lstrip().startswith("%%"):
        return ""
    return "\n".join(map(_without_magic, cell.splitlines()))


def _without_magic(line: str) -> str:
    code = line.lstrip()
    return f"{line[: len(line) - len(code)]}pass" if code.startswith(("get_ipython()", "%", "!")) else line


@functools.lru_cache(2000)
def _imports_of(text: str, module: str, is_package: bool) -> tuple[frozenset[str], frozenset[str]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        # Who imports it hears of that.
        return frozenset(), frozenset()
    package = module if is_package else module.rpartition(".")[0]
    names: set[str] = set()
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(_from_names(node, package))
        elif isinstance(node, ast.Call):
            names.update(_called_names(node, package))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_name(node.value):
            words.add(node.value)
    return frozenset(names), frozenset(words)


def _from_names(node: ast.ImportFrom, package: str) -> Iterator[str]:
    stem = _absolute(node.module or "", node.level, package)
    if stem:
        yield stem
    for alias in node.names:
        yield f"{stem}.{alias.name}" if stem else alias.name


def _called_names(call: ast.Call, package: str) -> Iterator[str]:
    """Yield what ``importlib.import_module("name")`` and ``__import__("name")`` name."""
    called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    first = call.args[0] if call.args else None
    if called in _IMPORTERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
        name = first.value.lstrip(".")
        yield _absolute(name, len(first.value) - len(name), package)


def _absolute(name: str, level: int, package: str) -> str:
    if not level:
        return name
    parts = package.split(".")
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{name}" if name and base else base or name


def _is_name(text: str) -> bool:
    return len(text) < _LONGEST_NAME and text.replace(".", "").isidentifier()


@functools.lru_cache(2000)
def imports_of_code(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """Return the full names that a function's code imports, and texts in it that could be a module's name.

    Code inside it is not looked at, and relative imports are not: they are in modules, whose source is.
    """
    words = frozenset(one for one in code.co_consts if isinstance(one, str) and _is_name(one))
    names = set(words) if not _IMPORTERS.isdisjoint((*code.co_names, *code.co_freevars)) else set()
    steps = list(dis.get_instructions(code))
    for number, step in enumerate(steps):
        if step.opname == "IMPORT_NAME" and step.argval:
            names.add(step.argval)
            below = steps[number - 1].argval
            if isinstance(below, tuple):
                names.update(f"{step.argval}.{one}" for one in below)
    return frozenset(names), words


_loaded: tuple[Any, dict[str, ModuleType]] = (None, {})


def loaded_local() -> Mapping[str, ModuleType]:
    """Return the local modules that are loaded in this process; looked up anew when something was imported."""
    global _loaded
    mark = (len(sys.modules), next(reversed(sys.modules)))
    if _loaded[0] != mark:
        _loaded = (mark, {name: one for name, one in list(sys.modules.items()) if is_local(one)})
    return _loaded[1]
