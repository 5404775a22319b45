"""Where an App is at home: which server, namespace and key. It shows no secret, so it may travel with a task."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from nbtasks.broker import url as urls
from nbtasks.local.connection import Connection
from nbtasks.wire.signing import key_id


@dataclass(frozen=True)
class Home:
    """Equal where calls go to the same place. Two URLs may lead to one server; these are two homes nevertheless.

    Attributes:
        address: the server's URL without user and password.
        key_id: of the key that signs.
        label: the App's name, for messages.
        access: what a worker of another App needs to submit there, hidden from everybody else; see access.py.
    """

    address: str
    namespace: str
    key_id: str
    label: str = field(default="", compare=False)
    access: bytes = field(default=b"", compare=False, repr=False)

    @classmethod
    def of(cls, connection: Connection, label: str = "") -> Home:
        """Return the home of Apps with this connection."""
        url = urls.parse(connection.url)
        address = f"{url.shown} database {url.db}" if url.scheme == "unix" and url.db else url.shown
        return cls(address, connection.namespace, key_id(connection.keys[0]), label)

    @classmethod
    def nowhere(cls, label: str) -> Home:
        """Return what stands for an App that was closed before anybody knew where its calls go."""
        return cls("a server that nobody has asked for", "", "", label)

    def __str__(self) -> str:
        return f"{self.address}, namespace {self.namespace!r}, key {self.key_id}"


#: Where goes what is packed for whoever will have it.
ANYWHERE = Home("anywhere", "", "")
_destination: ContextVar[Home | None] = ContextVar("nbtasks_destination", default=None)
#: Where what is being packed goes, None where that is not known: another library packs it, or it goes nowhere.
destination = _destination.get
set_destination = _destination.set
reset_destination = _destination.reset


class BoundFor:
    """``with BoundFor(home):`` says where that goes which is packed inside."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._token: Any = None

    def __enter__(self) -> None:
        self._token = set_destination(self._home)

    def __exit__(self, *_: object) -> None:
        reset_destination(self._token)
