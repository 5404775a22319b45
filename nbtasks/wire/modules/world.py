"""Worlds: the local modules that a function was sent with, in the versions that it was sent with, in a worker.

Each version of a module runs once in a process. What stands in ``sys.modules`` are those of one world, the active one;
those of others are kept aside, and stand there again when something of their world is run. So two notebooks, or two
versions of one module, never see each other, and to go back to an earlier version runs nothing again.

A world also has the folders where its notebook looks for modules: what is not sent along (modules that are imported by
a name that nobody could foresee, extension modules, data) is found there on the same machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import weakref
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

from .django import Setup
from .origin import is_local
from .shipped import Shipped
from .sources import Stamp, stamp_of
from .turns import held

_worlds: weakref.WeakValueDictionary[bytes, World] = weakref.WeakValueDictionary()
#: (name, version) -> the module that ran.
have_run: weakref.WeakValueDictionary[tuple[str, str], ModuleType] = weakref.WeakValueDictionary()
#: Modules of the process itself that stand aside while a world has others of these names.
_aside: dict[str, ModuleType] = {}


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
        self._times_shown = 0
        #: Those that bear the names of modules that this process has of its own, and needs.
        self.hidden = frozenset(name for name in modules if _is_of_process(name.partition(".")[0]))

    def with_more(self, packed: bytes) -> World:
        """Return this world with the modules of another one that it lacks."""
        with held():
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
            found = self.loaded[name] = module_from_spec(self.modules[name].spec())
        elif found is None and name in self.modules:
            found = have_run.get((name, self.modules[name].version))
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
                    have_run.pop((name, self.modules[name].version), None)

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
        with held():
            before = {name: sys.modules.pop(name, None) for name in names}
            for name in sorted(self.hidden):
                module = self.module(name)
                if module is not None:
                    sys.modules[name] = module
            self._times_shown += 1
            try:
                yield
            finally:
                self._times_shown -= 1
                for name in self.hidden:
                    module = sys.modules.get(name)
                    if module is not None:
                        self.loaded[name] = module
                for name in [name for name in sys.modules if self._is_below_hidden(name)]:
                    del sys.modules[name]
                sys.modules.update({name: one for name, one in before.items() if one is not None})

    @property
    def is_shown(self) -> bool:
        """Whether these stand there just now."""
        return self._times_shown > 0

    def _is_below_hidden(self, name: str) -> bool:
        return name.partition(".")[0] in self.hidden or name in self.hidden


def _is_of_process(top: str) -> bool:
    """Whether a module's name is one of Python's own, or of an installed one that this process has loaded."""
    if top in sys.stdlib_module_names:
        return True
    module = _aside.get(top, sys.modules.get(top))
    return module is not None and not is_local(module) and getattr(module, "__file__", None) is not None


def world_of(packed: bytes) -> World:
    """Return the world that was sent in this form; the same one for the same form."""
    key = hashlib.sha256(packed).digest()
    with held():
        world = _worlds.get(key)
        if world is None:
            paths, sources, django = json.loads(zlib.decompress(packed))
            modules = {name: Shipped(name, *parts) for name, parts in sources.items()}
            world = _worlds[key] = World(modules, paths, django)
    return world


def is_of_other_world(value: Any) -> bool:
    """Whether a class or function is that of a module which stands aside just now."""
    if not have_run:
        return False
    try:
        module, name = value.__module__, value.__qualname__
    except Exception:
        return False
    standing = sys.modules.get(module)
    for (one, _), ran in list(have_run.items()):
        if one == module and ran is not standing:
            found: Any = ran
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is value:
                return True
    return False
