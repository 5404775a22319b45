"""``-A module[:app]``: which App a worker is for."""

from __future__ import annotations

import sys
from pathlib import Path

from nbtasks.client.app import App
from nbtasks.core.errors import ConfigError
from nbtasks.local.processes.preloading import import_module


def find_app(target: str) -> tuple[App, str]:
    """Import a module and return its App, and the module's name.

    Args:
        target: ``module``, whose App is called ``app`` or is the only one, or ``module:name``.

    Raises:
        ConfigError: there is no such module, its import raises, or there is no such App in it.
    """
    name, _, attribute = target.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        # As with `python -m`: the project's own modules are in the current folder.
        sys.path.insert(0, folder)
    module = import_module(name, f"-A {target}")
    if attribute:
        found = getattr(module, attribute, None)
        if not isinstance(found, App):
            raise ConfigError(f"-A {target}: module {name} has no App called {attribute!r}")
        return found, name
    apps = {key: value for key, value in vars(module).items() if isinstance(value, App)}
    if "app" in apps:
        return apps["app"], name
    if len(set(map(id, apps.values()))) == 1:
        return next(iter(apps.values())), name
    if apps:
        raise ConfigError(
            f"-A {target}: module {name} has several Apps, say which: -A {name}:{next(iter(apps))}"
        )
    raise ConfigError(f"-A {target}: module {name} has no App; make one there: app = nbtasks.App()")
