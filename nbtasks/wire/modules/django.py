"""Django: its models can be imported only where the project is set up, so that is done on the worker as it was here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

#: Name of the settings module; or the settings themselves, where the notebook has configured them by hand.
Setup = str | dict[str, Any] | None


def setup_here(imports: Iterable[str]) -> tuple[Setup, list[str]]:
    """Return how Django was set up in this process, and the modules that takes; None where nothing imports it."""
    if "django.apps" not in sys.modules or not any(name.partition(".")[0] == "django" for name in imports):
        return None, []
    apps, settings = sys.modules["django.apps"].apps, import_module("django.conf").settings
    if not apps.ready:
        return None, []
    modules = [config.name for config in apps.get_app_configs()]
    modules += [config.models_module.__name__ for config in apps.get_app_configs() if config.models_module]
    if settings.is_overridden("INSTALLED_APPS") and isinstance(
        getattr(settings, "SETTINGS_MODULE", None), str
    ):
        return settings.SETTINGS_MODULE, [settings.SETTINGS_MODULE, *modules]
    values = {name: getattr(settings, name) for name in dir(settings) if settings.is_overridden(name)}
    return {name: value for name, value in values.items() if _is_plain(value)}, modules


def _is_plain(value: Any) -> bool:
    try:
        return bool(json.loads(json.dumps(value)) == value) or isinstance(value, tuple)
    except (TypeError, ValueError):
        return False


def set_up(setup: Setup) -> None:
    """Set Django up as it was there; a process has one project, the first."""
    if setup is None or import_module("django.apps").apps.ready:
        return
    if isinstance(setup, str):
        os.environ["DJANGO_SETTINGS_MODULE"] = setup
    else:
        import_module("django.conf").settings.configure(**setup)
    import_module("django").setup()
