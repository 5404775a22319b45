"""Which App calls go through: a task's own, else the current one. Kept apart, so that tasks need not know Apps.

The current App is the newest open one. In a worker it is always the one of the broker that the worker runs for,
whatever else a task or its module opens.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nbtasks.core import ancestry, context
from nbtasks.core.errors import ConfigError
from nbtasks.local.connection import default_place

from .access import opened_access, with_access
from .home import Home

if TYPE_CHECKING:
    from nbtasks.local.connection import Connection

    from .batches.engine import Engine


class Provider(Protocol):
    """What is needed of an App."""

    name: str

    @property
    def of_workers(self) -> tuple[str, ...]:
        """Modules and packages that its workers have of their own."""

    @property
    def told(self) -> str:
        """Where it was told that its calls go; empty where it finds out by itself."""

    #: Its settings.
    conf: Any

    @property
    def usable(self) -> bool:
        """Whether it is open."""

    @property
    def engine(self) -> Engine:
        """What brings its calls to workers, opened if need be."""

    @property
    def home(self) -> Home:
        """Where its calls go."""

    @property
    def known_home(self) -> Home | None:
        """The same; None where that has not been found out yet."""

    @property
    def bare_connection(self) -> Connection | None:
        """Where its broker is; None where it has none."""

    def see_whether_eager(self, said: bool | None) -> bool:
        """Run calls where they are submitted from now on, or no longer; returns which."""

    def forked(self) -> None:
        """Go on in a process that was forked off."""


M = TypeVar("M", bound=Callable[..., Any])
_open: list[Provider] = []
#: The App of a worker's child, once a task has submitted something.
_of_worker: list[Provider] = []
#: In a worker: the Apps that were made there, and the one of these that its modules have for it.
_made: list[weakref.ref[Provider]] = []
_of_project: list[weakref.ref[Provider]] = []
#: Every App that somebody holds.
_all: weakref.WeakSet[Provider] = weakref.WeakSet()
#: Every App is eager for now: a test wants that.
all_eager = False
#: Where the App that was closed last had been told that calls go, if none is open: (name, place).
_closed: list[tuple[str, str]] = []
#: In a worker: Apps that its tasks submit to, each at its home, and that nobody has opened there.
_elsewhere: dict[Home, Provider] = {}
#: Makes an App with defaults; set by app.py.
make: list[Callable[[], Provider]] = []
#: Makes one in a worker, of a name, a connection and the modules that workers there have; likewise.
make_at: list[Callable[[str, Connection, Sequence[str]], Provider]] = []
#: Rebuilds a pickled task; set by app.py, so that an App can be made wherever a task arrives.
rebuild: list[Callable[..., Any]] = []
_lock = threading.RLock()


def opened(app: Provider) -> None:
    """Remember an App as the newest."""
    _all.add(app)
    if context.serving:
        # It is current for nobody, so it lives as long as somebody holds it.
        _made.append(weakref.ref(app))
        return
    _open.append(app)
    _closed.clear()
    ancestry.tell_children(app.told)


@contextlib.contextmanager
def everything_eager() -> Iterator[None]:
    """Have every App of this process run its calls where they are submitted meanwhile."""
    global all_eager
    before, all_eager = all_eager, True
    try:
        for app in list(_all):
            app.see_whether_eager(None)
        yield
    finally:
        all_eager = before
        for app in list(_all):
            app.see_whether_eager(app.conf.said_here("task_always_eager"))


def prefer(app: Provider) -> None:
    """Make an App that is open the current one, in place of the newest."""
    if app in _open:
        _open.remove(app)
        _open.append(app)
        ancestry.tell_children(app.told)


def told_anew(app: Provider) -> None:
    """Hear that an App was told where its calls go after it was made."""
    if _open and app is _open[-1]:
        ancestry.tell_children(app.told)


def closed(app: Provider) -> None:
    """Forget an App."""
    if app in _of_worker:
        _of_worker.remove(app)
    if app in _open:
        _open.remove(app)
        _closed[:] = [] if _open or not app.told else [(app.name, app.told)]
        ancestry.tell_children(_open[-1].told if _open else "")


def current() -> Provider:
    """Return the App that tasks without one of their own submit through; one with defaults is made if there is none.

    Raises:
        ConfigError: an App with defaults would send calls elsewhere than the App that was closed last, or than the
            process that has started this one.
    """
    if context.serving:
        return _serving()
    for app in reversed(_open):
        if app.usable:
            return app
    with _lock:
        return _open[-1] if _open else _default()


def known() -> Provider | None:
    """Return the App whose settings count for tasks of none; None where there is none yet.

    In a worker that is the project's, if it has one.
    """
    if not context.serving:
        return next((app for app in reversed(_open) if app.usable), None)
    if not _of_project:
        here = Home.of(context.serving[0].connection)
        made = [*_open, *(app for one in _made if (app := one()) is not None)]
        at_home = [app for app in made if app.usable and app.known_home == here]
        _of_project.extend(map(weakref.ref, at_home[:1]))
    return _of_project[0]() if _of_project else next(iter(_of_worker), None)


def _maker(known: list[M]) -> M:
    """Return what app.py has set; a task may need an App before anything else of its process has imported that."""
    if not known:
        context.load_client[0]()
    return known[0]


def _serving() -> Provider:
    with _lock:
        if not _of_worker:
            _of_worker.append(_maker(make)())
        return _of_worker[0]


def _default() -> Provider:
    """Return a new App with defaults."""
    for told, whose in (
        *((place, f"App {name!r}, which is closed,") for name, place in _closed),
        (ancestry.told_by_parent(), "the process that has started this one"),
    ):
        if told and told != default_place():
            raise ConfigError(
                f"no App is open here. {whose[0].upper()}{whose[1:]} had its calls go to {told}; one with defaults "
                f"would have them go to {default_place()}. Open the one that you want: app = App(broker=...)"
            )
    return _maker(make)()


def home_of_newest() -> Home | None:
    """Return where the calls of tasks without an App go that another library takes to another process."""
    if context.serving or not _open:
        return None
    return _open[-1].home


def at(home: Home, task: str) -> Provider:
    """Return the App of this process that is at home there, for a task that has come from another process.

    Raises:
        ConfigError: there is none.
    """
    for app in _candidates():
        if app.usable and app.known_home == home:
            return app
    made = _made_at(home)
    if made is not None:
        return made
    here = f"this worker runs for {_serving().home}" if context.serving else "no App here is"
    raise ConfigError(
        f"task {task!r} is bound to App {home.label!r} at {home}, and {here}. Open an App there first, and hold it: "
        "App(broker=...); or make it a task of no App, with nbtasks.task: it goes through the current one then"
    )


def with_way_from(place: Home | None, app: Provider) -> Home:
    """Return an App's home for a task of it that goes elsewhere; with the way from there, where that is known."""
    own = app.home
    through = (
        next((one for one in (*_of_worker, *_open) if one.usable and one.known_home == place), None)
        if place
        else None
    )
    if own == place or through is None or through is app:
        return own
    if through.bare_connection is None or app.bare_connection is None:
        # One of them has no broker.
        return own
    return with_access(own, app.bare_connection, app.of_workers, through.bare_connection)


def passed_on(place: Home | None, home: Home) -> Home:
    """Return the home of a task that has come to this worker and goes on elsewhere; with the way from there."""
    through = _elsewhere.get(place) if place is not None else None
    found = opened_access(home, context.serving[0].connection) if through is not None else None
    if through is None or through.bare_connection is None or found is None:
        return home
    return with_access(home, *found, through.bare_connection)


def _made_at(home: Home) -> Provider | None:
    """Return an App at a home whose access has come with a task; None where none has."""
    if not context.serving:
        return None
    with _lock:
        if home not in _elsewhere:
            found = opened_access(home, context.serving[0].connection)
            if found is None:
                return None
            _elsewhere[home] = _maker(make_at)(home.label, *found)
        return _elsewhere[home]


def _candidates() -> Iterable[Provider]:
    yield from [_serving()] if context.serving else reversed(_open)
    yield from list(_all)


def _after_fork() -> None:
    """Every App goes on in the child, with connections of its own; nothing is opened before it is needed."""
    global _lock
    _lock = threading.RLock()
    for app in list(_all):
        app.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
