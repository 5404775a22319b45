"""``task_routes``: which queue calls of a task go to, by its name or by a function, in each form that Celery takes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Any

from nbtasks.core.errors import ConfigError
from nbtasks.core.readable import repr_of

from .annotations import checked_options
from .queues import queue_name
from .settingsources import named

_SETTING = "task_routes"
#: About exchanges, which are not there; with a queue beside them nothing is lost.
_OF_EXCHANGES = frozenset(
    {"routing_key", "exchange", "exchange_type", "serializer", "delivery_mode", "compression"}
)
_OPTIONS = frozenset(
    {"queue", "priority", "expires", "time_limit", "soft_time_limit", "ignore_result", "max_retries"}
)
_EXAMPLE = '{"feeds.tasks.*": {"queue": "feeds"}}'
#: Signs of one in a text, which is a name or a glob.
_REGEX = re.compile(r"[()|^$\\+]")
Route = dict[str, Any]


#: Whether any App of this process asks functions; where none does, no call is looked at for that.
functions_asked = False


class Routes:
    """The routers of an App, asked one after the other; the first that knows a task decides."""

    def __init__(self, value: Any) -> None:
        global functions_asked
        self._routers = tuple(_router(one) for one in _listed(value))
        #: Whether a function is asked for each call; else a task's name says it all.
        self.by_call = any(not isinstance(one, ByName) for one in self._routers)
        functions_asked = functions_asked or self.by_call

    def route(
        self, task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Route:
        """Return the options that a call gets, where neither it nor its task says otherwise.

        Raises:
            ConfigError: a function has returned what is no route.
        """
        for router in self._routers:
            found = router(task.name, args, kwargs, options, task=task)
            if found is not None:
                return (
                    found if isinstance(router, ByName) else checked_route(found, f"{_SETTING}: {router!r}")
                )
        return {}


class ByName:
    """Routes by the names of tasks: exact ones first, then patterns in their order."""

    def __init__(self, given: Any) -> None:
        self._exact: dict[str, Route] = {}
        self._patterns: list[tuple[re.Pattern[str], Route]] = []
        for key, value in given.items() if isinstance(given, Mapping) else given:
            route = checked_route(value, f"{_SETTING}: {getattr(key, 'pattern', key)!r}")
            if isinstance(key, re.Pattern):
                self._patterns.append((key, route))
            elif not isinstance(key, str):
                raise ConfigError(
                    f"{_SETTING}: {key!r} is neither a task's name nor a pattern, such as {_EXAMPLE}"
                )
            elif _REGEX.search(key):
                raise ConfigError(
                    f"{_SETTING}: {key!r} looks like a regular expression, and is a text: write re.compile({key!r})"
                )
            elif "*" in key:
                self._patterns.append((re.compile(fnmatch.translate(key)), route))
            else:
                self._exact[key] = route

    def __call__(self, name: str, *_: Any, **__: Any) -> Route | None:
        """Return the route of a name; None where it has none."""
        if name in self._exact:
            return self._exact[name]
        return next((route for pattern, route in self._patterns if pattern.match(name)), None)


class Named:
    """A router that a text names: ``"package.module.function"``. It is imported when a call asks for it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return self._name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the router."""
        if self._found is None:
            found = named(self._name, f"{_SETTING}: {self._name!r}")
            if isinstance(found, type):
                found = found()
            self._found = _router(found)
        return self._found(*args, **kwargs)


class Older:
    """A router of Celery 3: an object with ``route_for_task``."""

    def __init__(self, router: Any) -> None:
        self._router = router

    def __repr__(self) -> str:
        return type(self._router).__name__

    def __call__(self, name: str, args: Any, kwargs: Any, *_: Any, **__: Any) -> Any:
        """Ask the router."""
        return self._router.route_for_task(name, args, kwargs)


def checked_routes(value: Any) -> Any:
    """Return routes as they were given; they are read once to see that they are some.

    Raises:
        ConfigError: they are none.
    """
    Routes(value)
    return value


def checked_route(value: Any, where: str) -> Route:
    """Return what a route says: the name of a queue, or a dict of options.

    Raises:
        ConfigError: it is neither, or says what no call can be told.
    """
    said = {"queue": value} if isinstance(value, str) else value
    if not isinstance(said, Mapping) and hasattr(value, "name"):
        said = {"queue": value}
    if not isinstance(said, Mapping):
        raise ConfigError(
            f"{where}: {repr_of(value, 60)} is no route; write a queue's name, or {{'queue': 'feeds'}}"
        )
    said = {name: one for name, one in said.items() if one is not None}
    if "queue" in said:
        said["queue"] = queue_name(said["queue"], where)
    wrong = said.keys() - _OPTIONS - _OF_EXCHANGES
    if wrong:
        raise ConfigError(
            f"{where}: {min(map(str, wrong))!r} is no option of a route; it takes {', '.join(sorted(_OPTIONS))}"
        )
    if said and not said.keys() & _OPTIONS:
        raise ConfigError(
            f"{where}: there are no exchanges, and a queue is a name: write {{'queue': 'feeds'}} in place of "
            f"{', '.join(sorted(said))}"
        )
    return checked_options({name: one for name, one in said.items() if name in _OPTIONS}, where)


def _listed(value: Any) -> list[Any]:
    """Return routers, of which one may be given alone; so may the pairs of one."""
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        return [value]
    return [value] if value and all(_is_pair(one) for one in value) else list(value)


def _is_pair(one: Any) -> bool:
    # A router is given as pairs, too: what stands first in a pair is a name.
    return isinstance(one, (list, tuple)) and len(one) == 2 and isinstance(one[0], (str, re.Pattern))


def _router(one: Any) -> Callable[..., Any]:
    if isinstance(one, (Mapping, list, tuple)):
        try:
            return ByName(one)
        except (TypeError, ValueError):
            raise ConfigError(
                f"{_SETTING}: {repr_of(one, 60)} is neither a dict nor a list of pairs, such as {_EXAMPLE}"
            ) from None
    if isinstance(one, str):
        return Named(one)
    if hasattr(one, "route_for_task"):
        return Older(one)
    if not callable(one):
        raise ConfigError(
            f"{_SETTING}: {repr_of(one, 60)} is no router; write {_EXAMPLE}, or give a function"
        )
    return one  # type: ignore[no-any-return]
