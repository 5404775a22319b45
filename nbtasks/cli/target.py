"""``-A module[:app]``: which App a worker is for."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from nbtasks.client.app import App
from nbtasks.core.errors import ConfigError
from nbtasks.local.processes.preloading import import_module

#: What an App is called where there are several, and where a package keeps it; the first is taken.
_NAMES = ("app", "celery")
_INNER = ("celery", "tasks")


def find_app(target: str) -> tuple[App, str]:
    """Import a module and return its App, and the module's name.

    Args:
        target: ``module``, whose App is called ``app`` or ``celery`` or is the only one, ``module:name``, or
            ``module.name``; or a package with a module ``celery`` or ``tasks`` that has one.

    Raises:
        ConfigError: there is no such module, its import raises, or there is no such App in it.
    """
    folder = str(Path.cwd())
    if folder not in sys.path:
        # As with `python -m`: the project's own modules are in the current folder.
        sys.path.insert(0, folder)
    if target.endswith(".py"):
        raise ConfigError(f"-A {target}: that is a file; name its module, -A {target[:-3].replace('/', '.')}")
    name, _, attribute = target.partition(":")
    if not attribute:
        name, attribute = _split(name)
    module = import_module(name, f"-A {target}")
    if attribute:
        found = getattr(module, attribute, None)
        if not isinstance(found, App):
            raise ConfigError(f"-A {target}: module {name} has no App called {attribute!r}")
        return found, name
    for candidate in (module, *_inner(module, target)):
        app = _app_in(candidate, target)
        if app is not None:
            return app, candidate.__name__
    raise ConfigError(f"-A {target}: module {name} has no App; make one there: app = nbtasks.App()")


def _split(dotted: str) -> tuple[str, str]:
    """Return module and attribute of ``module.attribute``; no attribute where all of it is a module."""
    parent, _, last = dotted.rpartition(".")
    if not parent:
        return dotted, ""
    try:
        is_module = importlib.util.find_spec(dotted) is not None
    except (ImportError, ValueError):
        # The parent is no package, or there is none: which it is, its import says.
        is_module = False
    if is_module or importlib.util.find_spec(parent.partition(".")[0]) is None:
        return dotted, ""
    return parent, last


def _inner(module: ModuleType, target: str) -> Iterator[ModuleType]:
    """Yield the modules of a package that may have its App."""
    for inner in _INNER if hasattr(module, "__path__") else ():
        name = f"{module.__name__}.{inner}"
        if importlib.util.find_spec(name) is not None:
            yield import_module(name, f"-A {target}")


def _app_in(module: ModuleType, target: str) -> App | None:
    apps = {key: value for key, value in vars(module).items() if isinstance(value, App)}
    for name in _NAMES:
        if name in apps:
            return apps[name]
    if len(set(map(id, apps.values()))) > 1:
        raise ConfigError(
            f"-A {target}: module {module.__name__} has several Apps, say which: "
            f"-A {module.__name__}:{next(iter(apps))}"
        )
    return next(iter(apps.values()), None)
