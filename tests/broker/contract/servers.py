"""The brokers that the contract is tried over: what starts a server of each kind, and what leads to it.

A new leg gets a line in KINDS; each test runs over it then, in a namespace of its own on one server.
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.chaos import servers


@dataclass(frozen=True)
class Place:
    """A namespace on a broker."""

    url: str
    namespace: str = field(default_factory=lambda: f"t{secrets.token_hex(6)}")

    @property
    def address(self) -> str:
        """No password is in it."""
        return self.url


def _redis(flavour: str) -> Callable[[Path], AbstractContextManager[str]]:
    @contextlib.contextmanager
    def begun(folder: Path) -> Iterator[str]:
        server = servers.Server(servers.find(flavour), Path(tempfile.mkdtemp(prefix="k", dir=folder)))
        server.start()
        yield server.url
        server.kill()

    return begun


#: Name -> what starts a server in a folder, and returns its URL.
KINDS: dict[str, Callable[[Path], AbstractContextManager[str]]] = {
    "valkey": _redis("bundled"),
    "redis-7": _redis("redis-7"),
    "redis-6.2": _redis("redis-6.2"),
}
#: In `make test`; the others are long.
ALWAYS = ("valkey",)
PARAMETERS = [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.long) for name in KINDS]
