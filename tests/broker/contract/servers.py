"""The brokers that the contract is tried over: what starts a server of each kind, and what leads to it.

A new leg gets a line in KINDS; each test runs over it then, in a namespace of its own on one server.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest

from tests.chaos import servers

#: What starts a server, or asks a fixture for it, and returns its URL.
Kind = Callable[[pytest.FixtureRequest], AbstractContextManager[str]]


@dataclass(frozen=True)
class Place:
    """A namespace on a broker."""

    url: str
    namespace: str = field(default_factory=lambda: f"t{secrets.token_hex(6)}")
    carrier: str = ""

    @property
    def address(self) -> str:
        """No password is in it."""
        return self.url.rpartition("@")[2]


def place(url: str) -> Place:
    """Return a namespace of its own on a server that one of KINDS has started."""
    ledger, _, carrier = url.partition(" ")
    return Place(ledger, carrier=carrier)


def _rabbitmq(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("rabbitmq_server").url())


def _beanstalk(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("beanstalk_server").url())


def _sqs(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("sqs_server").url())


def _etcd(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("etcd_server").url())


def _before(carrier: Callable[[pytest.FixtureRequest], str], ledger: str) -> Kind:
    """A carrier before a ledger, whose URL stands first."""

    @contextlib.contextmanager
    def begun(request: pytest.FixtureRequest) -> Iterator[str]:
        with KINDS[ledger](request) as url:
            yield f"{url} {carrier(request)}"

    return begun


def _redis(flavour: str) -> Kind:
    @contextlib.contextmanager
    def begun(request: pytest.FixtureRequest) -> Iterator[str]:
        with servers.running(flavour, request.getfixturevalue("run_folder")) as server:
            yield server.url

    return begun


@contextlib.contextmanager
def _postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    server = request.getfixturevalue("postgres_server")
    with server.database() as name:
        yield server.url(name)


@contextlib.contextmanager
def _sqlite(request: pytest.FixtureRequest) -> Iterator[str]:
    folder = request.getfixturevalue("tmp_path_factory").mktemp("sqlite")
    yield f"sqlite:///{folder}/broker.db"


@contextlib.contextmanager
def _mariadb(request: pytest.FixtureRequest) -> Iterator[str]:
    server = request.getfixturevalue("mariadb_server")
    with server.database() as name:
        yield server.url(name)


#: By their names.
KINDS: dict[str, Kind] = {
    "valkey": _redis("bundled"),
    "redis-7": _redis("redis-7"),
    "redis-6.2": _redis("redis-6.2"),
    "postgresql": _postgres,
    "rabbitmq": _before(_rabbitmq, "valkey"),
    "rabbitmq-postgresql": _before(_rabbitmq, "postgresql"),
    "beanstalk": _before(_beanstalk, "valkey"),
    "sqs": _before(_sqs, "valkey"),
    "beanstalk-sqlite": _before(_beanstalk, "sqlite"),
    "beanstalk-mariadb": _before(_beanstalk, "mariadb"),
    "etcd": _before(_etcd, "valkey"),
    "sqlite": _sqlite,
    "mariadb": _mariadb,
}
#: In `make test`; the others are long.
ALWAYS = ("valkey", "postgresql", "sqlite")
PARAMETERS = [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.long) for name in KINDS]
#: Of a leg that is not whole yet: tests, and files of tests, of what it does not do.
NOT_YET: dict[str, frozenset[str]] = {}
