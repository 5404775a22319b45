"""What an App was told about where its calls go, and the connection that follows from it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtasks.broker.sentinelurl import with_transport_options
from nbtasks.broker.url import is_watched, plainly
from nbtasks.core import context
from nbtasks.core.errors import ConfigError
from nbtasks.local import connection as connections
from nbtasks.local.backend import check_backend
from nbtasks.local.server import listening

if TYPE_CHECKING:
    from nbtasks.local.connection import Connection, Resolving


@dataclass(frozen=True, repr=False)
class Told:
    """Some of an App's arguments, which say what they mean; None where it was told nothing."""

    broker: str | None = None
    key: str | bytes | None = None
    namespace: str | None = None
    connection_file: str | os.PathLike[str] | None = None
    listen: str | bool = False
    backend: str | None = None
    broker_options: Mapping[str, Any] | None = None
    backend_options: Mapping[str, Any] | None = None

    def check(self, connection: Connection | None) -> None:
        """Check the form of it.

        Args:
            connection: what counts in place of it, if there is one.

        Raises:
            ConfigError: it is none of the accepted forms.
        """
        connections.check_named(self.broker, self.key, self.namespace, self.connection_file)
        if connection is None:
            named = connections.named_url(self.broker, self.connection_file)
            # A variable may lead elsewhere than the settings of a project say.
            if self.broker or not named:
                connections.check_sentinels_named(named, self.broker_options)
        if self.backend is not None:
            named = connections.named_url(self.broker, self.connection_file) if connection is None else ""
            check_backend(self._backend, named if connection is None else connection.url)
        elif self.broker:
            connections.divided(self.broker)
        if self.listen:
            listening.parse_place(self.listen)

    @property
    def _backend(self) -> str | None:
        """The backend, with what its transport options say of sentinels."""
        if self.backend is None or not self.backend_options or not is_watched(self.backend):
            return self.backend
        return with_transport_options(
            plainly(self.backend), self.backend_options, "result_backend_transport_options"
        )

    @property
    def names_broker(self) -> bool:
        """Whether it says which server; else the environment does, or it is the embedded one."""
        return bool(self.broker or self.connection_file)

    def place(self, connection: Connection | None) -> str:
        """Return it as it can be compared; empty where it was told nothing."""
        if connection is not None:
            return connections.place(connection.address, connection.namespace)
        own_key = " with a key of its own" if self.key else ""
        if self.connection_file is not None:
            return f"the connection file {os.fspath(self.connection_file)}{own_key}"
        broker = self.broker
        if broker is not None:
            variable = os.environ.get(connections.NAMESPACE_VARIABLE)
            name = self.namespace or variable or connections.DEFAULT_NAMESPACE
            with contextlib.suppress(ConfigError):
                # Where they do not go together, that is said when they are used.
                broker = connections.with_master(broker, self.broker_options)
            with contextlib.suppress(ConfigError):
                # The backend may be named in the next line, app.conf.result_backend = ...
                broker, _ = connections.divided(broker, self._backend)
            return f"{connections.place(connections.address_of(broker), name)}{own_key}"
        return f"namespace {self.namespace!r}{own_key}" if self.namespace else own_key.strip()

    def begin(self) -> tuple[Connection, Resolving | None]:
        """Return the connection, and the server that is on its way; in a worker it is there."""
        if context.serving and not self.names_broker:
            return self._like(context.serving[0].connection), None
        resolving = connections.begin(
            self.broker, self.key, self.namespace, self.connection_file, self._backend, self.broker_options
        )
        return resolving.connection, resolving

    def _like(self, served: Connection) -> Connection:
        """Return what a worker runs for, but for what this App was told: whatever the environment says."""
        keys = connections.keys_of(self.key) if self.key else served.keys
        return dataclasses.replace(served, keys=keys, namespace=self.namespace or served.namespace)
