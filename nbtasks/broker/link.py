"""One connection to the server, made on demand, with one command or one pipeline in flight.

Nothing is retried here: redis-py would send whole pipelines again, and only the caller knows what may be sent twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    InvalidResponse,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from nbtasks.core.errors import BrokerUnavailable, ConfigError, OperationalError

from .scripts import SCRIPTS
from .unreachable import explain

#: Seconds after which a connection is looked at before it is used: a server or a balancer may have cut it.
_IDLE_S = 0.5

Argument = str | bytes | memoryview | int | float


class BrokerLoading(BrokerUnavailable):
    """The server is up, and reads its data from disk."""


class Link:
    """A connection that any thread may use, one at a time.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        label: the URL without its password, for messages.
        timeout_s: seconds until a connection attempt or a command is given up.
    """

    def __init__(self, url: str, label: str, timeout_s: float = 10.0, connect_timeout_s: float = 2.0) -> None:
        self.label = label
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._pool = _pool(url, timeout_s, connect_timeout_s)
        self._connection: Any = None
        self._used_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether the last command left a usable connection."""
        return self._connection is not None

    @property
    def busy(self) -> bool:
        """Whether a command is in flight."""
        return self._lock.locked()

    def call(self, *args: Argument, timeout_s: float | None = None) -> Any:
        """Send one command and return its reply; a reply that is an error raises."""
        reply = self.pipeline([args], timeout_s)[0]
        if isinstance(reply, Exception):
            raise translated(reply, self.label)
        return reply

    def script(self, name: str, keys: Sequence[Argument], args: Sequence[Argument]) -> Any:
        """Run one of our scripts; it is loaded when the server does not know it."""
        script = SCRIPTS[name]
        reply = self.pipeline([("EVALSHA", script.sha, len(keys), *keys, *args)])[0]
        if isinstance(reply, NoScriptError):
            reply = self.pipeline([("EVAL", script.source, len(keys), *keys, *args)])[0]
        if isinstance(reply, Exception):
            raise translated(reply, self.label)
        return reply

    def pipeline(
        self,
        commands: Sequence[Sequence[Argument]],
        timeout_s: float | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Any]:
        """Send commands in one write; return the replies, errors among them as exceptions.

        Args:
            meanwhile: called while the server works.

        Raises:
            BrokerUnavailable: the connection could not be made or was lost; nothing is known about the commands.
        """
        with self._lock:
            try:
                connection = self._open()
                packed = (
                    connection.pack_commands(commands)
                    if len(commands) > 1
                    else connection.pack_command(*commands[0])
                )
                connection.send_packed_command(packed)
                if meanwhile is not None:
                    meanwhile()
                return [self._read(connection, timeout_s) for _ in commands]
            except BusyLoadingError as error:
                self._drop()
                raise BrokerLoading(
                    f"the broker at {self.label} is still loading its data from disk"
                ) from error
            except (ConnectionError, RedisTimeoutError, OSError) as error:
                self._drop()
                raise unavailable(self.label, error) from error
            except InvalidResponse as error:
                self._drop()
                raise unavailable(self.label, ValueError("what answers there is no Redis")) from error
            except BaseException:
                # Anything that comes between a command and its reply would give the reply to the next command.
                self._drop()
                raise

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        with self._lock:
            self._drop()

    def abort(self) -> None:
        """Cut the connection under a command that another thread waits for."""
        connection = self._connection
        if connection is not None:
            connection.disconnect()

    def _open(self) -> Any:
        if self._connection is not None and time.monotonic() - self._used_at > _IDLE_S and self._is_stale():
            self._drop()
        self._used_at = time.monotonic()
        if self._connection is None:
            connection = self._pool.make_connection()
            try:
                connection.connect()
            except AuthenticationError as error:
                raise ConfigError(f"the broker at {self.label} refused the login: {error}") from error
            self._connection = connection
        return self._connection

    def _is_stale(self) -> bool:
        """Whether an idle connection was cut: nothing may come in while nothing was asked."""
        try:
            return bool(self._connection.can_read(timeout=0))
        except (RedisError, OSError):
            return True

    def _read(self, connection: Any, timeout_s: float | None) -> Any:
        try:
            if timeout_s is None:
                return connection.read_response(disable_decoding=True)
            return connection.read_response(disable_decoding=True, timeout=timeout_s)
        except ResponseError as error:
            return error

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def _pool(url: str, timeout_s: float, connect_timeout_s: float) -> Any:
    try:
        return redis.ConnectionPool.from_url(
            url,
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            socket_timeout=timeout_s,
            socket_connect_timeout=connect_timeout_s,
            health_check_interval=0,
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        )
    except ValueError as error:
        raise ConfigError(f"the broker URL is not usable: {error}") from error


def unavailable(label: str, error: BaseException) -> BrokerUnavailable:
    """Return the error that says where the broker was looked for and what to do."""
    reason, step = explain(error, label)
    return BrokerUnavailable(
        f"the broker at {label} cannot be reached ({reason}); {step}; `nbtasks doctor` says more"
    )


def translated(error: Exception, label: str) -> Exception:
    """Return what a reply that is an error means here."""
    if isinstance(error, NoPermissionError):
        return ConfigError(f"the broker at {label} does not allow a command that nbtasks needs: {error}")
    if isinstance(error, RedisError):
        return OperationalError(f"the broker at {label} refused a command: {error}")
    return error
