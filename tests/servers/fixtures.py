"""Fixtures for tests on real servers: one that the run shares, with a place of its own for each test, or one's own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from .cache import Missing
from .server import Server
from .shared import shared

if TYPE_CHECKING:
    from .postgresql import PostgreSQL

ServerT = TypeVar("ServerT", bound=Server)


def missing(reason: Missing) -> NoReturn:
    """Skip a test whose server cannot be had; in CI it fails, for there the servers must be tried."""
    if os.environ.get("CI") or os.environ.get("NBTASKS_TEST_SERVERS") == "required":
        pytest.fail(f"{reason} (in CI, and with NBTASKS_TEST_SERVERS=required, these tests are not skipped)")
    pytest.skip(str(reason))


@pytest.fixture
def start_server() -> Iterator[Callable[..., Any]]:
    """``start_server(PostgreSQL, tls=True)`` returns a server of the test's own, to be killed, filled and restarted."""
    with contextlib.ExitStack() as servers:

        def start(kind: Callable[..., ServerT], *given: Any, **options: Any) -> ServerT:
            try:
                server = kind(*given, **options)
                servers.callback(_close, server)
                server.start()
            except Missing as reason:
                missing(reason)
            return server

        yield start


def _close(server: Server) -> None:
    # Shown with a test that fails.
    print(f"--- log of {server}\n{server.tail()}")
    server.close()


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> Iterator[PostgreSQL]:
    """The PostgreSQL that the run shares, which does not wait for the disk."""
    from .postgresql import PostgreSQL

    def postgresql(folder: Path) -> PostgreSQL:
        return PostgreSQL(durable=False, settings={"max_connections": 300}, folder=folder)

    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(shared(postgresql))
        except Missing as reason:
            missing(reason)
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgreSQL) -> Iterator[str]:
    """The URL of an empty database of the test's own, as a user has it who may do what they like there only."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)
