"""``-A module[:app]``: which App a worker is for."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from nbtasks.client.app import App
from nbtasks.core.errors import ConfigError


def find_app(target: str) -> tuple[App, str]:
    """Import a module and return its App, and the module's name.

    Args:
        target: ``module``, whose App is called ``app`` or is the only one, or ``module:name``.

    Raises:
        ConfigError: there is no such module, or no such App in it. What the module itself raises goes through.
    """
    name, _, attribute = target.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        # As with `python -m`: the project's own modules are in the current folder.
        sys.path.insert(0, folder)
    module = _imported(name)
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


def _imported(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if not (name == missing or name.startswith(f"{missing}.")):
            raise
        raise ConfigError(
            f"-A {name}: there is no module {missing!r} in {Path.cwd()} or among the installed packages"
        ) from None
    except (TypeError, ValueError):
        raise ConfigError(f"-A {name!r}: write a module's name, as in an import: package.module") from None
