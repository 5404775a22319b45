"""``autodiscover_tasks``: the ``tasks`` modules of packages, those of a Django project among them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from nbtasks.core.errors import ConfigError

from .settingsources import is_there

Packages = Sequence[str] | Callable[[], Iterable[str]] | None


class Discovery:
    """One use of ``autodiscover_tasks``; it is looked up when workers, or the first call, need to know.

    Args:
        packages: their names, or what returns them; those of Django's installed apps if None.
        related: name of the module in each.
    """

    def __init__(self, packages: Packages, related: str | None) -> None:
        if isinstance(packages, str):
            raise ConfigError(
                f"autodiscover_tasks: packages is a list of names, such as [{packages!r}], not {packages!r}"
            )
        if packages is not None and not callable(packages):
            packages = tuple(packages)
            wrong = [one for one in packages if not isinstance(one, str) or not is_there(one)]
            if wrong:
                raise ConfigError(f"autodiscover_tasks: there is no package {wrong[0]!r}")
        self._packages = packages
        self._related = related

    def packages(self) -> list[str]:
        """Return the names of the packages: workers have all of each of their own."""
        if self._packages is None:
            return _of_django()
        return list(self._packages() if callable(self._packages) else self._packages)

    def modules(self) -> list[str]:
        """Return the names of the modules that are there."""
        names = (f"{one}.{self._related}" if self._related else one for one in self.packages())
        return [name for name in names if is_there(name)]

    def now(self) -> None:
        """Import the modules."""
        for name in self.modules():
            import_module(name)


def _of_django() -> list[str]:
    apps: Any = getattr(sys.modules.get("django.apps"), "apps", None)
    if apps is None or not apps.apps_ready:
        return []
    return [config.name for config in apps.get_app_configs()]
