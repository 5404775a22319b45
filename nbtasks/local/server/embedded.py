"""The embedded server: one per user, project folder and Python environment, shared by its notebooks."""

from __future__ import annotations

from pathlib import Path

from nbtasks.core.errors import EmbeddedUnavailable

from .embeddedlease import EmbeddedLease
from .keeperline import KeeperLine
from .serverplace import ServerPlace, is_embedded
from .serverprogram import why_unavailable
from .starting import Starting


def acquire(project: Path | None = None) -> EmbeddedLease:
    """Return a lease on this project's server, which is started where it does not run.

    Args:
        project: the project folder, by default the current one.

    Raises:
        EmbeddedUnavailable: no embedded server on this platform.
        ConfigError: the state folder cannot be used, or the server does not start.
    """
    return EmbeddedLease.on(begin(project))


def begin(project: Path | None = None) -> Starting:
    """Have this project's server started, without waiting: go on with :meth:`EmbeddedLease.on`.

    Raises:
        EmbeddedUnavailable: no embedded server on this platform.
        ConfigError: the state folder cannot be used.
    """
    reason = why_unavailable()
    if reason is not None:
        raise EmbeddedUnavailable(reason)
    return Starting(ServerPlace.of(project))


def join(url: str) -> EmbeddedLease | None:
    """Return a lease on the embedded server behind ``url``; None where its keeper does not run.

    For a process that must keep a server alive that another one started.
    """
    if not is_embedded(url):
        return None
    place = ServerPlace.behind(url)
    line = KeeperLine.to(place.keeper_socket)
    return EmbeddedLease.on(Starting(place, line)) if line else None


def running(project: Path | None = None) -> EmbeddedLease | None:
    """Return a lease on this project's server; None where it does not run, and it is not started then.

    Raises:
        ConfigError: the state folder cannot be used.
    """
    return join(ServerPlace.of(project).url) if why_unavailable() is None else None


def url_here() -> str:
    """Return the URL of the current folder's embedded server, whether it runs or not; empty where there can be none."""
    return ServerPlace.of(None).url if why_unavailable() is None else ""
