"""Which world stands in ``sys.modules``, and whose modules an import gets.

Where calls run side by side, in threads or in one event loop, their worlds take turns. An ``import`` is made in the
world of who makes it. What asks ``sys.modules`` itself, while a call of another world has begun beside it, may find
that one's.
"""

from __future__ import annotations

import builtins
import contextlib
import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from .django import set_up
from .origin import is_own_folder
from .shippedloader import ShippedLoader, forget_failure, why_failed
from .turns import held, leave, stay, turn
from .world import World
from .worldfinder import WorldFinder

_active: World | None = None
_finder = WorldFinder()
_of_call: ContextVar[World | None] = ContextVar("nbtasks_world", default=None)
_path_before: list[str] = []
_import = builtins.__import__
#: Whether calls run in threads or in an event loop in this process.
_side_by_side = False


def is_entered(world: World | None) -> bool:
    """Whether a call can be opened as things are: nothing of its world stands aside, or can have changed."""
    return world is None or (world is _active and not (_side_by_side or world.hidden or world.found))


def activate(world: World) -> None:
    """Have a world's modules stand in ``sys.modules``, and what this call imports come from there."""
    global _active
    _of_call.set(world)
    with held():
        if world.hidden or _side_by_side:
            # Each time: what a call has put there is taken away behind it, and this with it.
            builtins.__import__ = _import_in_world
        if _active is world:
            world.forget_what_has_changed()
            return
        expect_worlds()
        if _active is not None:
            _active.leave()
        _active = _finder.world = world
        _set_path(world)
        world.enter()


def _set_path(world: World) -> None:
    if not _path_before:
        # The user's own come first.
        _path_before[:] = sorted(sys.path, key=lambda entry: not is_own_folder(entry))
    sys.path[:] = list(dict.fromkeys([*world.paths, *_path_before]))


@contextlib.contextmanager
def opened_in(world: World | None) -> Iterator[None]:
    """Unpickle in a world, or pickle what is small."""
    if world is None:
        yield
        return
    # Held for all the time: who imports holds a module's lock then, and whoever waits for that holds no lock of ours.
    with turn(lambda: world is _active):
        activate(world)
        forget_failure()
        try:
            with world.unhidden():
                set_up(world.django)
                yield
        except Exception as error:
            reason = why_failed(error)
            if reason is not None:
                raise reason from error
            raise


@contextlib.contextmanager
def packed_in(world: World | None) -> Iterator[None]:
    """Pickle in a world, however long that takes: others of the same world go on meanwhile."""
    if world is None or world.hidden:
        with opened_in(world):
            yield
        return
    # A call may be interrupted anywhere, and then others must not wait for it.
    stays = False
    try:
        with opened_in(world):
            stay()
            stays = True
        yield
    finally:
        if stays:
            leave()


@contextlib.contextmanager
def visited() -> Iterator[None]:
    """Leave at the end what world was entered: for a process that has modules of its own."""
    global _active
    before, path, importing = _active, sys.path[:], builtins.__import__
    try:
        yield
    finally:
        with held():
            if _active is not None and _active is not before:
                _active.leave()
                for shipped in _active.modules.values():
                    linecache.cache.pop(shipped.file, None)
                _active = _finder.world = before
                sys.path[:] = path
                _path_before.clear()
                builtins.__import__ = importing
                sys.meta_path.remove(_finder)
            _of_call.set(None)


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
    with turn(lambda: world is _active):
        if world is not _active:
            activate(world)
        if level == 0 and name.partition(".")[0] in world.hidden and not world.is_shown:
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
