"""``app.conf``: the settings of an App, under Celery's names of today and of old."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from nbtasks.broker import url as urls
from nbtasks.broker.carriers.carriage import is_carrier, parse_carrier
from nbtasks.core import context
from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.core.warning import warn
from nbtasks.local.connection import CONFIG_VARIABLE

from . import meaningless, settingsources
from .checking import DEFAULTS, check_together, checked
from .settingnames import today
from .settingsources import from_environment, from_mapping, from_object, name_of, named
from .tasksettings import TaskSettings
from .zones import zone_of

#: They say where calls go.
OF_CONNECTION = frozenset({"broker_url", "result_backend", "namespace", "key", "connection_file", "listen"})
_SECRET = frozenset({"key", "broker_password", "redis_password", "security_key_password"})
_Source = Callable[[], dict[str, Any]]


class Conf(MutableMapping[str, Any]):
    """Settings, as attributes and as items: ``app.conf.result_expires = "7d"``, ``app.conf["broker_url"]``.

    What is set here counts first, an App's arguments among it; then what was read last from an object or a module;
    then the module that NBTASKS_CONFIG_MODULE names. Modules are imported when a setting is first asked for.

    Args:
        given: the App's arguments, checked.
        noted: returns what is called when something was set; None where nobody is there any more.
    """

    __stays_here__ = "it may hold the key. Pass the values that you need"
    __reduce_ex__ = refuse_to_travel

    def __init__(self, given: Mapping[str, Any], noted: Callable[[], Callable[[], object] | None]) -> None:
        self._lock = threading.RLock()
        self._set: dict[str, Any] = dict(given)
        self._read: dict[str, Any] = {}
        self._around: dict[str, Any] = {}
        self._waiting: list[tuple[str, _Source]] = []
        self._noted = noted
        #: Why calls cannot go elsewhere any more; empty where they can.
        self._fixed = ""
        #: Texts that named what was read, for those who ask whether something was.
        self._names: set[str] = set()
        self._reads_environment = True
        self._of_tasks: TaskSettings | None = None

    # -- reading

    def __getitem__(self, name: str) -> Any:
        return self._effective(name_of(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._effective(name_of(name))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting; ``default`` where nothing has set it."""
        setting = name_of(name)
        return self._effective(setting) if setting in self else default

    def _effective(self, setting: str) -> Any:
        self._settle()
        for layer in (self._set, self._read, self._around):
            if setting in layer:
                return layer[setting]
        return DEFAULTS.get(setting)

    def _said(self) -> dict[str, Any]:
        self._settle()
        return {**self._around, **self._read, **self._set}

    def __contains__(self, name: object) -> bool:
        setting = today(name) if isinstance(name, str) else None
        return setting is not None and setting in self._said()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._said()))

    def __len__(self) -> int:
        return len(self._said())

    def __dir__(self) -> list[str]:
        return [*meaningless.EFFECTIVE, *super().__dir__()]

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={_shown(name, value)}" for name, value in sorted(self._said().items()))
        return f"<Conf {said}>"

    # -- for the App

    def said_here(self, setting: str) -> Any:
        """Return what was said to this App and is read already; None where nothing was."""
        return self._set.get(setting, self._read.get(setting))

    @property
    def names_read(self) -> frozenset[str]:
        """Names of what was to be read."""
        around = os.environ.get(CONFIG_VARIABLE)
        return frozenset({*self._names, *([around] if around else [])})

    @property
    def of_tasks(self) -> TaskSettings:
        """What it says of tasks; another object after each change."""
        known = self._of_tasks
        if known is None:
            with self._lock:
                said = self._said()
                known = self._of_tasks = TaskSettings(said, zone_of(said))
        return known

    def fix(self, why: str) -> None:
        """Have calls go where they go from now on."""
        self._fixed = why

    def forked(self) -> None:
        """Go on in a process that was forked off: a thread that is not there may have held the lock."""
        self._lock = threading.RLock()

    # -- setting

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self.update({name: value})

    def __delitem__(self, name: str) -> None:
        with self._lock:
            setting = name_of(name)
            self._check_open({setting: None})
            if self._set.pop(setting, self) is self:
                raise KeyError(name)
            self._changed()

    def pop(self, name: str, *default: Any) -> Any:
        """Take back what was set here, and return it; ``default`` where nothing was.

        Raises:
            KeyError: nothing was, and there is no default.
        """
        setting = name_of(name)
        if setting not in self._set and default:
            return default[0]
        value = self._set.get(setting)
        del self[name]
        return value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Set what nothing has set so far; returns what it is then."""
        if name not in self:
            self[name] = default
        return self[name]

    def __delattr__(self, name: str) -> None:
        del self[name]

    def update(self, given: Any = (), /, **more: Any) -> None:
        """Set several settings at once.

        Raises:
            ConfigError: there is no such setting, a value is wrong, or the App is connected and would go elsewhere.
        """
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ConfigError(
                f"conf: update takes a mapping of settings, or settings by name, not {given!r:.60}; a module is read "
                "by app.config_from_object('celeryconfig')"
            )
        found = _ready({**from_mapping(given), **from_mapping(more)}, "conf")
        with self._lock:
            self._check_open(found)
            self._set.update(found)
            self._changed()

    def read(self, source: Any, silent: bool, force: bool, namespace: str | None) -> None:
        """Take settings from what :meth:`App.config_from_object` is given."""
        prefix = f"{namespace}_" if namespace and not namespace.endswith("_") else namespace or ""
        if source is None or isinstance(source, (bytes, int, float, list, tuple, set)):
            raise ConfigError(
                f"config_from_object({source!r:.60}): it takes a module or its name, such as 'celeryconfig', an object "
                "with settings as attributes, or a mapping"
            )
        if isinstance(source, str):
            if source.endswith(".py"):
                module = source[:-3].replace("/", ".")
                raise ConfigError(
                    f"config_from_object({source!r}): that is a file; name its module, {module!r}"
                )
            self._names.add(source)
            where = f"config_from_object({source!r})"
            module = source.partition(":")[0]
            if not settingsources.is_there(module) and not settingsources.is_there(
                module.rpartition(".")[0] or module
            ):
                if silent:
                    return
                # It raises, and says why.
                named(source, where)
            self._wait_for(where, lambda: from_object(named(source, where), prefix, where), force)
        elif type(source).__name__ == "LazySettings":
            # Django's, which may not be asked before the project is there.
            where = "config_from_object(django.conf.settings)"
            self._wait_for(where, lambda: from_object(source, prefix, where), force)
        else:
            name = getattr(source, "__name__", type(source).__name__)
            self._names.add(name)
            found = from_object(source, prefix, f"config_from_object({name})")
            self._wait_for(name, lambda: found, force=True)

    def _wait_for(self, where: str, source: _Source, force: bool) -> None:
        with self._lock:
            self._waiting.append((where, source))
            self._of_tasks = None
            if force or self._fixed:
                self._settle()

    def _settle(self) -> None:
        """Read what waits to be read."""
        if not self._waiting and not self._reads_environment:
            return
        with self._lock:
            if self._reads_environment:
                # In a worker calls go where it listens, whatever the environment says.
                around = _ready(from_environment(), CONFIG_VARIABLE)
                lost = OF_CONNECTION if context.serving else frozenset()
                self._around = {name: value for name, value in around.items() if name not in lost}
                self._reads_environment = False
            while self._waiting:
                where, source = self._waiting[0]
                found = _ready(source(), where)
                self._check_open({name: value for name, value in found.items() if name not in self._set})
                # What is read last takes the place of what was read before, as in Celery.
                self._read = found
                del self._waiting[0]
                self._changed()

    def _check_open(self, found: Mapping[str, Any]) -> None:
        changed = [name for name in found if name in OF_CONNECTION and found[name] != self._kept(name)]
        if changed and self._fixed:
            raise ConfigError(
                f"conf: {', '.join(changed)} cannot be set any more, for {self._fixed}: set it before the first call, "
                "or make another App"
            )

    def _kept(self, setting: str) -> Any:
        return {**self._around, **self._read, **self._set}.get(setting)

    def _changed(self) -> None:
        self._of_tasks = None
        note = self._noted()
        if note is not None:
            note()


def _ready(found: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return checked settings; what has no meaning here is said once."""
    made = {}
    for name, value in found.items():
        instead = meaningless.instead(name, value)
        if instead is not None:
            raise ConfigError(f"{where}: {instead[0]} is not known here: {instead[1]}")
        try:
            made[name] = checked(name, value)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
    check_together(made, where)
    lines = meaningless.fresh(meaningless.idle(found))
    if lines:
        what = (
            "these do nothing here, leave them out"
            if len(lines) > 1
            else "this does nothing here, leave it out"
        )
        warn(f"{where}: {what}: {'; '.join(lines)}")
    return made


def _shown(name: str, value: Any) -> str:
    if name in _SECRET:
        return "'...'"
    if name in meaningless.OF_OPTIONS and isinstance(value, Mapping):
        return repr(
            {option: "..." if option == "sentinel_kwargs" else said for option, said in value.items()}
        )
    if name in {"broker_url", "result_backend"} and isinstance(value, str) and "://" in value:
        try:
            return repr(parse_carrier(value).shown if is_carrier(value) else urls.parse(value).shown)
        except ConfigError:
            return "'...'"
    return repr(value)
