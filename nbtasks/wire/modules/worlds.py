"""Worlds: the local modules that a function was sent with, in the versions that it was sent with, in a worker.

Each version of a module runs once in a process. What stands in ``sys.modules`` are those of one world, the active one;
those of others are kept aside, and stand there again when something of their world is run. So two notebooks, or two
versions of one module, never see each other, and to go back to an earlier version runs nothing again.

Where calls run side by side, in threads or in one event loop, their worlds take turns. An ``import`` is made in the
world of who makes it. What asks ``sys.modules`` itself, while a call of another world has begun beside it, may find
that one's.

A world also has the folders where its notebook looks for modules: what is not sent along (modules that are imported by
a name that nobody could foresee, extension modules, data) is found there on the same machine.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import linecache
import os
import sys
import threading
import traceback
import weakref
import zipimport
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from nbtasks.core.context import being_run
from nbtasks.core.readable import name_of, text_of

from .django import Setup, set_up
from .origin import is_local, is_local_file, is_own_folder
from .sources import Stamp, stamp_of

_lock = threading.RLock()
_active: World | None = None
_of_call: ContextVar[World | None] = ContextVar("nbtasks_world", default=None)
_worlds: weakref.WeakValueDictionary[bytes, World] = weakref.WeakValueDictionary()
#: (name, version) -> the module that ran.
_ran: weakref.WeakValueDictionary[tuple[str, str], ModuleType] = weakref.WeakValueDictionary()
#: The last module that has failed, with its error.
_failed: list[tuple[Exception, Shipped]] = []
#: Modules of the process itself that stand aside while a world has others of these names.
_aside: dict[str, ModuleType] = {}
_path_before: list[str] = []


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

    def spec(self, world: World) -> importlib.machinery.ModuleSpec:
        """Return what the import system makes the module from."""
        if self.text is None:
            spec = importlib.machinery.ModuleSpec(self.name, None, is_package=True)
            spec.submodule_search_locations = self.folders or []
            return spec
        loader = ShippedLoader(self, world)
        spec = importlib.machinery.ModuleSpec(
            self.name, loader, origin=self.file, is_package=self.folders is not None
        )
        spec.submodule_search_locations = self.folders
        spec.has_location = True
        return spec

    @functools.cached_property
    def _lines(self) -> list[str]:
        return (self.text or "").splitlines(True)

    def show_lines(self) -> None:
        """Have tracebacks show the lines that run, whatever lies in the file by now."""
        if self.text is not None:
            linecache.cache[self.file] = (len(self.text), None, self._lines, self.file)


class ShippedLoader(importlib.machinery.SourceFileLoader):
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
        _ran[key] = module
        being_run.append(shipped.name)
        try:
            exec(self.get_code(shipped.name), module.__dict__)
        except BaseException:
            _ran.pop(key, None)
            raise
        finally:
            being_run.pop()
        standing = sys.modules.get(shipped.name)
        if isinstance(standing, ModuleType):
            # Some put another one in their place.
            _ran[key] = standing


class World:
    """Local modules of one notebook at one moment.

    Args:
        modules: name -> what was sent.
        paths: where else modules are looked for.
        django: how that is set up, before any of them runs.
    """

    def __init__(self, modules: Mapping[str, Shipped], paths: Sequence[str], django: Setup = None) -> None:
        self.modules = modules
        self.django = django
        self.paths = list(paths)
        #: Some of its modules ran for another world before.
        self.has_old = False
        #: What has run.
        self.loaded: dict[str, ModuleType] = {}
        #: What was found in a folder and not sent, with its file as it was.
        self.found: dict[str, tuple[str, Stamp]] = {}
        #: With the modules of others that it lacks, by what those were sent as.
        self._joined: dict[bytes, World] = {}
        #: Those that bear the names of modules that this process has of its own, and needs.
        self.hidden = frozenset(name for name in modules if _is_of_process(name.partition(".")[0]))

    def with_more(self, packed: bytes) -> World:
        """Return this world with the modules of another one that it lacks."""
        with _lock:
            if packed not in self._joined:
                other = world_of(packed)
                self._joined[packed] = World(
                    {**other.modules, **self.modules}, self.paths, self.django or other.django
                )
            return self._joined[packed]

    def names(self) -> Iterator[str]:
        """Yield the names of its modules, parents first."""
        return iter(sorted({*self.modules, *self.found} - self.hidden))

    def enter(self) -> None:
        """Have its modules stand in ``sys.modules``."""
        self.forget_what_has_changed()
        for name in self.names():
            standing = sys.modules.get(name)
            if standing is not None:
                _aside.setdefault(name, standing)
            module = self.module(name)
            if module is None:
                sys.modules.pop(name, None)
            else:
                self._put(name, module)

    def _put(self, name: str, module: ModuleType) -> None:
        sys.modules[name] = module
        if name in self.modules:
            self.modules[name].show_lines()
        parent, _, last = name.rpartition(".")
        around = sys.modules.get(parent)
        if around is not None and getattr(around, last, None) is not module:
            with contextlib.suppress(Exception):
                setattr(around, last, module)

    def leave(self) -> None:
        """Put its modules aside, and those back that stood there."""
        self.take_note()
        for name in self.names():
            sys.modules.pop(name, None)
            if name in _aside:
                sys.modules[name] = _aside.pop(name)

    def take_note(self) -> None:
        """Remember what has run since it was entered."""
        for name in self.names():
            module = sys.modules.get(name)
            if module is not None and module is not _aside.get(name):
                self.loaded[name] = module

    def module(self, name: str) -> ModuleType | None:
        """Return a module that has run for this world, or for another one in the same version."""
        found = self.loaded.get(name)
        if found is None and name in self.modules and self.modules[name].text is None:
            # It has nothing to run, and what lies below it may have run already.
            found = self.loaded[name] = importlib.util.module_from_spec(self.modules[name].spec(self))
        elif found is None and name in self.modules:
            found = _ran.get((name, self.modules[name].version))
            if found is not None:
                self.loaded[name] = found
                self.has_old = True
        return found

    def start_afresh(self, but: str) -> None:
        """Forget all that has run, but for a module that is being imported."""
        self.has_old = False
        self.loaded.clear()
        for name in self.names():
            if name != but and not f"{but}.".startswith(f"{name}."):
                sys.modules.pop(name, None)
                if name in self.modules:
                    _ran.pop((name, self.modules[name].version), None)

    def forget_what_has_changed(self) -> None:
        """Have modules that were found in a folder run again, all of them, if one is another file by now."""
        if any(stamp != stamp_of(file) for file, stamp in self.found.values()):
            for name in self.found:
                self.loaded.pop(name, None)
                sys.modules.pop(name, None)
            self.found.clear()

    @contextlib.contextmanager
    def unhidden(self) -> Iterator[None]:
        """Have those stand in ``sys.modules``, too, that bear names of this process's own, for a while."""
        if not self.hidden:
            yield
            return
        names = sorted({*self.hidden, *(name for name in sys.modules if self._is_below_hidden(name))})
        with _lock:
            before = {name: sys.modules.pop(name, None) for name in names}
            for name in sorted(self.hidden):
                module = self.module(name)
                if module is not None:
                    sys.modules[name] = module
            _showing.append(self)
            try:
                yield
            finally:
                _showing.pop()
                for name in self.hidden:
                    module = sys.modules.get(name)
                    if module is not None:
                        self.loaded[name] = module
                for name in [name for name in sys.modules if self._is_below_hidden(name)]:
                    del sys.modules[name]
                sys.modules.update({name: one for name, one in before.items() if one is not None})

    def _is_below_hidden(self, name: str) -> bool:
        return name.partition(".")[0] in self.hidden or name in self.hidden


#: Worlds whose hidden modules stand in ``sys.modules`` just now.
_showing: list[World] = []


def _is_of_process(top: str) -> bool:
    """Whether a module's name is one of Python's own, or of an installed one that this process has loaded."""
    if top in sys.stdlib_module_names:
        return True
    module = _aside.get(top, sys.modules.get(top))
    return module is not None and not is_local(module) and getattr(module, "__file__", None) is not None


def world_of(packed: bytes) -> World:
    """Return the world that was sent in this form; the same one for the same form."""
    key = hashlib.sha256(packed).digest()
    with _lock:
        world = _worlds.get(key)
        if world is None:
            paths, sources, django = json.loads(zlib.decompress(packed))
            modules = {name: Shipped(name, *parts) for name, parts in sources.items()}
            world = _worlds[key] = World(modules, paths, django)
    return world


def is_entered(world: World | None) -> bool:
    """Whether a call can be opened as things are: nothing of its world stands aside, or can have changed."""
    return world is None or (world is _active and not (_side_by_side or world.hidden or world.found))


def activate(world: World) -> None:
    """Have a world's modules stand in ``sys.modules``, and what this call imports come from there."""
    global _active
    _of_call.set(world)
    with _lock:
        if world.hidden or _side_by_side:
            # Each time: what a call has put there is taken away behind it, and this with it.
            builtins.__import__ = _import_in_world
        if _active is world:
            world.forget_what_has_changed()
            return
        expect_worlds()
        if _active is not None:
            _active.leave()
        _active = world
        _set_path(world)
        world.enter()


def _set_path(world: World) -> None:
    if not _path_before:
        # The user's own come first.
        _path_before[:] = sorted(sys.path, key=lambda entry: not is_own_folder(entry))
    sys.path[:] = list(dict.fromkeys([*world.paths, *_path_before]))


@contextlib.contextmanager
def opened_in(world: World | None) -> Iterator[None]:
    """Pickle or unpickle in a world."""
    if world is None:
        yield
        return
    # Held for all the time: who imports holds a module's lock then, and whoever waits for that holds no lock of ours.
    with _lock:
        activate(world)
        _failed.clear()
        try:
            with world.unhidden():
                set_up(world.django)
                yield
        except Exception as error:
            for failed, shipped in _failed:
                if failed is error:
                    raise _cannot_run(shipped, error) from error
            raise


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


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of the active world."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        world = _active
        if world is None:
            return None
        shipped = world.modules.get(fullname)
        if shipped is not None:
            return shipped.spec(world) if fullname not in world.hidden or world in _showing else None
        if path is None and fullname in sys.stdlib_module_names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            return None
        if is_local_file(fullname, spec.origin):
            world.found[fullname] = (spec.origin, stamp_of(spec.origin))
            if type(spec.loader) is importlib.machinery.SourceFileLoader:
                spec.loader = _FoundLoader(fullname, spec.origin)
        return spec


class _FoundLoader(importlib.machinery.SourceFileLoader):
    """Runs a file as it is now: a compiled form is not told from one of the same second and size."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


_finder = _Finder()
_import = builtins.__import__
#: Whether calls run in threads or in an event loop in this process.
_side_by_side = False


def expect_worlds() -> None:
    """Have imports find the modules of worlds from now on."""
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def expect_calls_side_by_side() -> None:
    """Say that calls run in threads or in an event loop in this process."""
    global _side_by_side
    _side_by_side = True


def _import_in_world(
    name: str,
    globals: Mapping[str, Any] | None = None,  # noqa: A002 - as Python calls it
    locals: Mapping[str, Any] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    world = _world_of_importer(globals)
    if world is None:
        return _import(name, globals, locals, fromlist or (), level)
    with _lock:
        if world is not _active:
            activate(world)
        if level == 0 and name.partition(".")[0] in world.hidden and world not in _showing:
            with world.unhidden():
                return _import(name, globals, locals, fromlist or (), level)
        return _import(name, globals, locals, fromlist or (), level)


def _world_of_importer(there: Mapping[str, Any] | None) -> World | None:
    """Return the world of code of the user's; None for all other code."""
    if there is None:
        return None
    loader = there.get("__loader__")
    of_call = _of_call.get()
    if isinstance(loader, ShippedLoader):
        shipped = loader.shipped
        if of_call is not None:
            same = of_call.modules.get(shipped.name)
            if same is not None and same.version == shipped.version:
                return of_call
        return loader.world
    return of_call if there.get("__name__") == "__main__" else None


def is_of_other_world(value: Any) -> bool:
    """Whether a class or function is that of a module which stands aside just now."""
    if not _ran:
        return False
    try:
        module, name = value.__module__, value.__qualname__
    except Exception:
        return False
    standing = sys.modules.get(module)
    for (one, _), ran in list(_ran.items()):
        if one == module and ran is not standing:
            found: Any = ran
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is value:
                return True
    return False


def _after_fork() -> None:
    """A thread that is not in the copy may have held the lock."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
