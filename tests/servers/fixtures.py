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
    from .beanstalk import Beanstalk
    from .etcd import Etcd
    from .mariadb import MariaDB
    from .postgresql import PostgreSQL
    from .rabbitmq import RabbitMQ
    from .sqs import SQS

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


@contextlib.contextmanager
def of_the_run(make: Callable[[Path], ServerT]) -> Iterator[ServerT]:
    """The server that the run shares; skips, or fails, where it cannot be had."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(shared(make))
        except Missing as reason:
            missing(reason)
        yield server


@pytest.fixture(scope="session")
def postgres_server(run_folder: Path) -> Iterator[PostgreSQL]:
    """The PostgreSQL that the run shares, which does not wait for the disk."""
    from .postgresql import PostgreSQL

    def postgresql(folder: Path) -> PostgreSQL:
        return PostgreSQL(durable=False, settings={"max_connections": 300}, folder=folder)

    with of_the_run(postgresql) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgreSQL) -> Iterator[str]:
    """The URL of an empty database of the test's own, as a user has it who may do what they like there only."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)


@pytest.fixture(scope="session")
def rabbitmq_server(run_folder: Path) -> Iterator[RabbitMQ]:
    """The RabbitMQ that the run shares. It takes seconds to start: for long tests."""
    from .rabbitmq import RabbitMQ

    def rabbitmq(folder: Path) -> RabbitMQ:
        return RabbitMQ(folder=folder)

    with of_the_run(rabbitmq) as server:
        yield server


@pytest.fixture
def rabbitmq_url(rabbitmq_server: RabbitMQ) -> Iterator[str]:
    """The URL of an empty vhost of the test's own, with a user who may do what they like there only."""
    with rabbitmq_server.vhost() as (name, user):
        yield rabbitmq_server.url(name, user)


@pytest.fixture(scope="session")
def mariadb_server(run_folder: Path) -> Iterator[MariaDB]:
    """The MariaDB that the run shares, which does not wait for the disk."""
    from .mariadb import MariaDB

    def mariadb(folder: Path) -> MariaDB:
        return MariaDB(durable=False, settings={"max_connections": 500}, folder=folder)

    with of_the_run(mariadb) as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: MariaDB) -> Iterator[str]:
    """The URL of an empty database of the test's own, as a user has it who may do what they like there only."""
    with mariadb_server.database() as name:
        yield mariadb_server.url(name)


@pytest.fixture(scope="session")
def beanstalk_server(run_folder: Path) -> Iterator[Beanstalk]:
    """The beanstalkd that the run shares; there is nothing in it to keep tests apart but the names of tubes."""
    from .beanstalk import Beanstalk

    def beanstalk(folder: Path) -> Beanstalk:
        return Beanstalk(durable=False, folder=folder)

    with of_the_run(beanstalk) as server:
        yield server


@pytest.fixture(scope="session")
def sqs_server(run_folder: Path) -> Iterator[SQS]:
    """The SQS of moto's that the run shares."""
    from .sqs import SQS

    def sqs(folder: Path) -> SQS:
        return SQS(folder=folder)

    with of_the_run(sqs) as server:
        yield server


@pytest.fixture(scope="session")
def etcd_server(run_folder: Path) -> Iterator[Etcd]:
    """The etcd that the run shares."""
    from .etcd import Etcd

    def etcd(folder: Path) -> Etcd:
        return Etcd(folder=folder)

    with of_the_run(etcd) as server:
        yield server
