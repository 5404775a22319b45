"""Which local modules travel with a function or with arguments, in which versions.

A module's version is a hash of its source and of the sources of all local modules that it imports: who imports what has
changed runs again as well. Nothing is imported to find that out.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.madeonce import made_once

from .django import Setup, setup_here
from .origin import is_local, is_own_folder, is_shipped
from .sources import Source, Stamp, imports_of_code, loaded_local, place_of, source_of, stamp_of

#: Bytes of source, and number of modules, that travel with one function at most.
MOST_BYTES = 16 * 2**20
MOST_MODULES = 2000
_MOST_KNOWN = 200
#: In a loop of submits files are looked at as often as this: each look lets other threads have the interpreter, which
#: makes the loop five times slower. Who asks again sooner than the second number is in a loop, and has written no file.
_LOOK_EVERY_S = 0.005
_LOOP_S = 0.000_1
#: Full names of modules that may be needed, and texts that could name one.
Roots = tuple[frozenset[str], frozenset[str]]


@dataclass
class Needs:
    """What pickling came across that needs modules.

    Attributes:
        modules: names of those that something was referred to in.
        codes: of functions that travel by value: they may import more.
    """

    modules: set[str] = field(default_factory=set)
    codes: set[CodeType] = field(default_factory=set)

    def roots(self) -> Roots:
        """Return what it comes to, but for what every worker has."""
        found = [imports_of_code(code) for code in self.codes]
        names = self.modules.union(*(names for names, _ in found))
        words: frozenset[str] = frozenset().union(*(words for _, words in found))
        return frozenset(name for name in names if not _is_everywhere(name)), words


def _is_everywhere(name: str) -> bool:
    """Whether a module is loaded that no worker needs from us; such a name is not looked up again and again."""
    module = sys.modules.get(name)
    return module is not None and not is_local(module)


@dataclass(frozen=True)
class Manifest:
    """Local modules with their sources, and where this process looks for modules.

    Attributes:
        modules: name -> source.
        paths: folders of the user's own on ``sys.path``.
        django: how that was set up, where they need it.
    """

    modules: Mapping[str, Source]
    paths: tuple[str, ...]
    django: Setup = None

    @made_once
    def packed(self) -> bytes:
        """All of it in the form in which it travels; equal for equal contents."""
        versions = _versions(self.modules)
        modules = {
            name: [versions[name], source.text, source.file, source.folders]
            for name, source in sorted(self.modules.items())
        }
        return zlib.compress(json.dumps([self.paths, modules, self.django]).encode(), 3)

    def without_paths(self) -> Manifest:
        """Return it without the folders of this process."""
        return Manifest(self.modules, (), self.django)

    def without(self, others: Collection[str]) -> Manifest:
        """Return it without some of the modules."""
        rest = {name: source for name, source in self.modules.items() if name not in others}
        return Manifest(rest, self.paths, self.django)


def _versions(modules: Mapping[str, Source]) -> dict[str, str]:
    """Return a hash of each module and of what it reaches."""
    reach = {name: source.imports.intersection(modules) for name, source in modules.items()}
    versions = {}
    for name in modules:
        seen, waiting = {name}, [name]
        while waiting:
            fresh = reach[waiting.pop()] - seen
            seen |= fresh
            waiting += fresh
        text = "\n".join(f"{one} {modules[one].digest}" for one in sorted(seen))
        versions[name] = hashlib.sha256(text.encode()).hexdigest()[:32]
    return versions


@dataclass
class _Known:
    """A manifest, and what it was found with: while that is the same, so is the manifest."""

    manifest: Manifest
    search: tuple[Any, ...]
    stamps: Mapping[str, Stamp]
    looked_at: float = 0.0
    asked_at: float = 0.0

    def is_current(self) -> bool:
        now = time.monotonic()
        in_loop, self.asked_at = now - self.asked_at < _LOOP_S, now
        if in_loop and now - self.looked_at < _LOOK_EVERY_S and len(sys.modules) == self.search[1]:
            return True
        if self.search != _search() or not all(
            stamp is not None and stamp_of(file) == stamp for file, stamp in self.stamps.items()
        ):
            return False
        self.looked_at = now
        # To look takes a while: who asks again at once is in a loop all the same, also where the machine is busy.
        self.asked_at = time.monotonic()
        return True


_known: dict[tuple[Roots, frozenset[str]], _Known] = {}


def manifest_of(roots: Roots, excluded: frozenset[str] = frozenset()) -> Manifest:
    """Return the local modules that are reached from some names, as they are now.

    Args:
        excluded: names of modules that workers have of their own.

    Raises:
        ConfigError: it is more than travels.
    """
    key = (roots, excluded)
    known = _known.get(key)
    if known is None or not known.is_current():
        if len(_known) > _MOST_KNOWN:
            _known.clear()
        search, before = _search(), known.manifest if known is not None else None
        manifest, folders = _found(roots, excluded)
        if manifest == before:
            # It is packed already.
            manifest = before
        stamps = {source.file: source.stamp for source in manifest.modules.values() if source.file}
        stamps.update({folder: stamp_of(folder) for folder in (*folders, *manifest.paths)})
        known = _known[key] = _Known(manifest, search, stamps)
    return known.manifest


def _search() -> tuple[Any, ...]:
    """Return what decides where modules are found, and which are loaded."""
    return (tuple(sys.path), len(sys.modules), next(reversed(sys.modules), ""), os.getcwd())  # noqa: PTH109 - fast


def _found(roots: Roots, excluded: frozenset[str]) -> tuple[Manifest, set[str]]:
    """Return the manifest, and the folders of packages that were looked into."""
    loaded = loaded_local()
    found: dict[str, Source] = {}
    seen: set[str] = set()
    folders: set[str] = set()
    waiting = [*roots[0], *roots[1].intersection(loaded)]
    django: Setup = None
    size = 0
    while waiting:
        for name in _with_parents(waiting.pop()):
            if name in seen:
                continue
            seen.add(name)
            source = None if _is_of_workers(name, excluded) else _source(name)
            if source is None:
                continue
            found[name] = source
            size += len(source.text or "")
            if size > MOST_BYTES or len(found) > MOST_MODULES:
                raise _too_much(found)
            waiting += source.imports
            waiting += source.words.intersection(loaded)
            if source.folders is not None:
                # Who imports them may do so by a name that nobody can read.
                waiting += [one for one in loaded if one.startswith(f"{name}.")]
                folders.update(source.folders)
            if django is None:
                django, more = setup_here(source.imports)
                waiting += more
    return Manifest(found, _own_paths(), django), folders


def _source(name: str) -> Source | None:
    place = place_of(name)
    return source_of(name, place) if place is not None else None


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


def _is_of_workers(name: str, excluded: frozenset[str]) -> bool:
    """Whether workers have a module of their own: one of these, or what one of these imports.

    A module of which a worker has another version for somebody who has sent it is not one of these.
    """
    if not excluded or is_shipped(sys.modules.get(name)):
        return False
    return _is_excluded(name, excluded) or (_source(name) is not None and name in _reached_from(excluded))


def _reached_from(names: frozenset[str]) -> Collection[str]:
    try:
        return manifest_of((names, frozenset())).modules.keys()
    except ConfigError:
        # It is more than travels, and nothing of it is to travel.
        return ()


def _is_excluded(name: str, excluded: frozenset[str]) -> bool:
    """Whether a module is one of these, lies in one, or has one in it."""
    return any(name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.") for one in excluded)


def _own_paths() -> tuple[str, ...]:
    entries = (str(Path(entry).absolute()) if not entry.endswith(".zip") else entry for entry in sys.path)
    return tuple(dict.fromkeys(filter(is_own_folder, entries)))


def _too_much(found: Mapping[str, Source]) -> ConfigError:
    largest = max(found, key=lambda name: len(found[name].text or ""))
    size = sum(len(source.text or "") for source in found.values())
    return ConfigError(
        f"{len(found):,} local modules with {size / 2**20:.0f} MB of source would travel, and it may be "
        f"{MOST_MODULES:,} and {MOST_BYTES // 2**20} MB; the largest is {largest!r}. Install what is large as "
        "a package, or name it in App(include=[...]) where workers have it themselves"
    )
