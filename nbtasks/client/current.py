"""Which App is current: the newest open one. Kept apart, so that tasks and Apps need not know each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .session import Session


class Provider(Protocol):
    """What a task needs of an App."""

    @property
    def usable(self) -> bool:
        """Whether it is open and belongs to this process."""

    @property
    def session(self) -> Session:
        """The open connection to the broker."""


_open: list[Provider] = []
#: Makes an App with defaults; set by app.py.
make: list[Callable[[], Provider]] = []
#: Rebuilds a pickled task; set by app.py, so that an App can be made wherever a task arrives.
rebuild: list[Callable[..., Any]] = []


def opened(app: Provider) -> None:
    """Remember an App as the newest."""
    _open.append(app)


def closed(app: Provider) -> None:
    """Forget an App."""
    if app in _open:
        _open.remove(app)


def current() -> Provider:
    """Return the newest open App of this process; one with defaults is made if there is none."""
    for app in reversed(_open):
        if app.usable:
            return app
    return make[0]()
