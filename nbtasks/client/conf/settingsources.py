"""Settings as they are found: in a mapping, a module, an object, or what a text names."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.local.connection import CONFIG_VARIABLE
from nbtasks.local.processes.preloading import import_module

from .settingnames import is_meant, nearest, today


class UnknownSetting(ConfigError, AttributeError, KeyError):
    """There is no setting of this name."""

    def __str__(self) -> str:
        return str(self.args[0])


def name_of(name: object, prefix: str = "", where: str = "conf") -> str:
    """Return what a setting is called today.

    Args:
        prefix: as in :func:`today`.
        where: names the place where it stands, for messages.

    Raises:
        UnknownSetting: there is none of this name.
    """
    found = today(name, prefix) if isinstance(name, str) else None
    if found is not None:
        return found
    near = nearest(name, prefix) if isinstance(name, str) else None
    hint = f"; did you mean {near!r}?" if near else "; app.conf knows Celery's settings and those of App(...)"
    raise UnknownSetting(f"{where}: there is no setting {name!r}{hint}")


def from_mapping(
    given: Mapping[str, Any] | Iterable[tuple[str, Any]], prefix: str = "", where: str = "conf"
) -> dict[str, Any]:
    """Return settings under the names of today; with a prefix only those that have it.

    Raises:
        ConfigError: there is no setting of a name, or one stands there twice, with two values.
    """
    found: dict[str, Any] = {}
    for name, value in dict(given).items():
        if prefix and not str(name).upper().startswith(prefix.upper()):
            continue
        _add(found, name_of(name, prefix, where), value, name, where)
    return found


def _add(found: dict[str, Any], setting: str, value: Any, name: str, where: str) -> None:
    if setting in found and found[setting] != value:
        raise ConfigError(
            f"{where}: {name} and another spelling of {setting} say two things; leave one of them out"
        )
    found[setting] = value


def from_object(source: Any, prefix: str = "", where: str = "conf") -> dict[str, Any]:
    """Return the settings among the attributes of a module, a class or another object.

    What is not meant to be a setting, a function or a name of the module's own, is not looked at.

    Raises:
        ConfigError: a setting is misspelt, or stands there twice, with two values.
    """
    if isinstance(source, Mapping):
        return from_mapping(source, prefix, where)
    found: dict[str, Any] = {}
    others = hasattr(source, "INSTALLED_APPS")
    for name in dir(source):
        if name.startswith("_") or (prefix and not name.upper().startswith(prefix.upper())):
            continue
        setting = today(name, prefix)
        if setting is None and (others and not prefix):
            # Django's own settings.
            continue
        value = getattr(source, name)
        if setting is not None:
            _add(found, setting, value, name, where)
        elif not (callable(value) or isinstance(value, ModuleType)) and (prefix or is_meant(name)):
            name_of(name, prefix, where)
    return found


def named(text: str, where: str) -> Any:
    """Return the module, or the object in one, that a text names: ``package.module`` or ``package.module:name``.

    Raises:
        ConfigError: there is none, or its import raises.
    """
    module, _, attribute = text.partition(":")
    with _WorkingFolder():
        try:
            found: Any = import_module(module, where)
        except ConfigError:
            # As Celery takes them, too: a class in a module, after a point.
            stem, _, last = module.rpartition(".")
            if attribute or not stem or is_there(module) or not is_there(stem):
                raise
            found, attribute = import_module(stem, where), last
    for part in attribute.split(".") if attribute else ():
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigError(f"{where}: module {module} has no {attribute!r}") from None
    return found


def is_there(module: str) -> bool:
    """Whether there is a module of this name; it is not imported, only what it lies in is."""
    if module in sys.modules:
        return True
    with _WorkingFolder():
        try:
            return importlib.util.find_spec(module) is not None
        except (ImportError, ValueError, AttributeError):
            return False


class _WorkingFolder:
    """Modules are looked for in the working folder, too, as Celery does it."""

    def __enter__(self) -> None:
        self._folder = str(Path.cwd())
        self._added = self._folder not in sys.path and "" not in sys.path
        if self._added:
            sys.path.insert(0, self._folder)

    def __exit__(self, *_: object) -> None:
        if self._added and self._folder in sys.path:
            sys.path.remove(self._folder)


def from_environment() -> dict[str, Any]:
    """Return the settings of the module that the environment names.

    Raises:
        ConfigError: there is none, or something in it is wrong.
    """
    name = os.environ.get(CONFIG_VARIABLE)
    if not name:
        return {}
    where = f"{CONFIG_VARIABLE}={name}"
    return from_object(named(name, where), "", where)
