"""Make a connection that is logged in, and say what a server that refuses it means.

Connections are made one by one, without redis-py's pool: that counts those that it has made, and never those that have
ended.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    InvalidResponse,
    NoPermissionError,
    ResponseError,
)
from redis.retry import Retry

from nbtasks.broker.unreachable import behind, plain
from nbtasks.broker.url import BrokerUrl
from nbtasks.core.errors import ConfigError

from .channel import NOT_REPLIES
from .inside import inside
from .sentinels import Sentinels

#: Seconds to make a connection; also for the first words on it.
CONNECT_S = 2.0
_LINE_BYTES = 1024
#: What a URL may name that has to be here.
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_FOLDERS = ("ssl_ca_path",)


class Connector:
    """Makes connections to one server; where sentinels know which that is, they are asked before each.

    Raises:
        ConfigError: the URL names a file that is not here, or that is not what it should be.
    """

    def __init__(self, url: BrokerUrl) -> None:
        self.url = url
        _check_files(url.options)
        self._sentinels = None
        if url.watched is not None:
            _check_files(url.watched.options)
            self._sentinels = Sentinels(url.watched)
        self._make, settings = _kind(url)
        self._settings = {
            **settings,
            **url.options,
            "db": url.db,
            "username": url.user,
            "password": url.password,
            "protocol": 2,
            "decode_responses": False,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
            "socket_timeout": CONNECT_S,
            "socket_connect_timeout": CONNECT_S,
            "health_check_interval": 0,
            "redis_connect_func": _introduce,
        }

    def __repr__(self) -> str:
        return f"<Connector {self.url.shown}>"

    def problem(self) -> str | None:
        """Return why no connection could be made, as far as sentinels would be asked before; None where one could."""
        return None if self._sentinels is None else self._sentinels.problem()

    def connect(self) -> Any:
        """Return a connection of redis-py's that is logged in, with its database chosen.

        Raises:
            ConfigError: the server refuses the login or the database.
            redis.RedisError, OSError: anything else that went wrong.
        """
        if self._sentinels is None:
            return self._connected(self._settings)
        return self._sentinels.lead(
            lambda host, port: self._connected({**self._settings, "host": host, "port": port})
        )

    def _connected(self, settings: dict[str, Any]) -> Any:
        try:
            connection = self._make(**settings)
        except TypeError as error:
            raise ConfigError(
                f"an option of the broker's URL is not known to this redis-py: {error}"
            ) from None
        try:
            connection.connect()
        except BaseException as error:
            # It may have come half-way.
            with contextlib.suppress(Exception):
                connection.disconnect()
            if isinstance(error, Exception):
                _forget_frames(error)
            refusal = self._refusal(error)
            if refusal is None:
                raise
            raise refusal from None
        return connection

    def _refusal(self, error: BaseException) -> ConfigError | None:
        """Return what a refused login, name or database means; None for anything else."""
        if isinstance(error, AuthenticationError):
            return ConfigError(login_refused(self.url, error))
        text, where = plain(error), f"the broker at {self.url.shown}"
        if not isinstance(error, ResponseError):
            return None
        if text.startswith("DENIED"):
            return ConfigError(
                f"{where} is in protected mode and takes connections from its own machine only: give it a password "
                "(requirepass, or ACL SETUSER) and write it into the URL, or bind it to where only friends can come"
            )
        if self.url.options.get("client_name") and "setname" in text.lower():
            return ConfigError(
                f"{where} does not take the client_name that the URL names: {text}; leave it out"
            )
        denied = isinstance(error, NoPermissionError) and "select" in text.lower()
        if self.url.db and (denied or "DB index" in text or "SELECT" in text):
            return ConfigError(
                f"{where} does not have the database that the URL names, or does not allow it: {text}; most servers "
                "have 0 to 15, and a cluster only 0"
            )
        return None


def login_refused(url: BrokerUrl, error: AuthenticationError) -> str:
    """Return what a server means that refuses to be spoken to."""
    where = f"the broker at {url.shown}"
    form = "unix://:PASSWORD@/path" if url.scheme == "unix" else f"{url.scheme}://:PASSWORD@host"
    if url.password is None and url.user is None:
        return f"{where} wants a password (authentication required), and the URL names none: write {form}"
    text = plain(error)
    if url.password is None:
        return f"{where} refused the login: {text}; the URL names a user and no password, which is written {form}"
    if "without any password configured" in text or "no password is set" in text:
        return f"{where} refused the login: it has no password, and the URL names one: leave it out"
    return (
        f"{where} refused the login: {text}; check user and password in the URL, in which / ? # @ and % of a password "
        "are written %2F %3F %23 %40 %25"
    )


def _introduce(connection: Any) -> None:
    """Say the first words. A server that hangs up instead has mostly said why, which is lost in redis-py."""
    within = inside(connection)
    plain = not isinstance(within.socket, ssl.SSLSocket)
    with within.socket.dup() if plain else contextlib.nullcontext() as spare:
        try:
            connection.on_connect()
        except ConnectionError as error:
            said = _last_words(spare) if spare is not None else ""
            if not said:
                raise
            raise within.error(said) from error
        except NOT_REPLIES as error:
            raise InvalidResponse(str(error)) from error


def _last_words(spare: socket.socket) -> str:
    """Return the error that was said before the connection ended; empty where none was."""
    spare.setblocking(False)
    with contextlib.suppress(OSError):
        kind, _, line = spare.recv(_LINE_BYTES).partition(b"\r\n")[0].partition(b"-")
        if not kind:
            return line.decode("utf-8", "replace")
    return ""


def _forget_frames(error: BaseException) -> None:
    """Drop the frames in which a login was made, for tools that show local variables: they hold the password."""
    for each in behind(error):
        each.__traceback__ = None


def _kind(url: BrokerUrl) -> tuple[Callable[..., Any], dict[str, Any]]:
    if url.scheme == "unix":
        return redis.UnixDomainSocketConnection, {"path": url.path}
    place = {"host": url.host, "port": url.port, "socket_keepalive": True}
    if not url.tls:
        return redis.Connection, place
    # Without a password OpenSSL would ask for one at the terminal.
    return redis.SSLConnection, {
        **place,
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_password": "",
    }


def _check_files(options: dict[str, Any]) -> None:
    for name in (*_FILES, *_FOLDERS):
        given = options.get(name)
        if given and not (Path(given).is_dir() if name in _FOLDERS else Path(given).is_file()):
            kind = "folder" if name in _FOLDERS else "file"
            raise ConfigError(
                f"the broker URL says {name}={given}, and there is no such {kind} on this machine"
            )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority, certificate = options.get("ssl_ca_certs"), options.get("ssl_certfile")
    password = options.get("ssl_password", "")
    if authority:
        _load("ssl_ca_certs", authority, lambda: context.load_verify_locations(authority))
    if certificate:
        key = options.get("ssl_keyfile")
        names = "ssl_certfile" if key is None else "ssl_certfile and ssl_keyfile"
        _load(names, certificate, lambda: context.load_cert_chain(certificate, key, password))


def _load(names: str, file: str, load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"what the broker URL names with {names} cannot be used ({file}: {reason}); it takes PEM files that this "
            "account may read, and ssl_password where the key is locked"
        ) from None
