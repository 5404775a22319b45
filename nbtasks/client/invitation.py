"""What another machine needs to join: a connection file or one line, and the words that go with it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from nbtasks.broker.url import parse
from nbtasks.core.address import PYTHON
from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.local.backend import BACKEND_VARIABLE
from nbtasks.local.connection import (
    BROKER_VARIABLE,
    DEFAULT_NAMESPACE,
    KEY_VARIABLE,
    NAMESPACE_VARIABLE,
    Connection,
    write_connection_file,
)
from nbtasks.local.server.serverplace import is_embedded
from nbtasks.wire.signing import encode_key

DEFAULT_FILE = "nbtasks-connection.json"

_FILES_IN_URL = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")

_WARNING = (
    "Anyone with {what} can run code on all workers and in this notebook: hand it over like a password, "
    "and never commit it."
)


@dataclass(frozen=True, repr=False)
class Invitation:
    """How a worker on another machine joins. Its text has no secret in it, unless that was asked for.

    Attributes:
        connection: server, key and namespace, as the other machine needs them.
        path: the connection file that was written; None where the line is shown instead.
        listening: ``host:port`` where the embedded server listens for others; None where another server is used.
    """

    __stays_here__ = "it holds the key: hand it over as a password, by a way that only its receiver can read"
    __reduce_ex__ = refuse_to_travel

    connection: Connection
    path: Path | None = None
    listening: str | None = None

    @property
    def command(self) -> str:
        """The command for the other machine, where a copy of the connection file is."""
        return f"nbtasks worker --connection-file {shlex.quote((self.path or Path(DEFAULT_FILE)).name)}"

    @property
    def line(self) -> str:
        """One line for a terminal of the other machine, which needs no file. It holds the key.

        It begins with a space: most shells keep no such line in their history.
        """
        keys = ",".join(encode_key(key) for key in self.connection.keys)
        url, carrier = self.connection.url, self.connection.carrier
        settings = [f"{BROKER_VARIABLE}={shlex.quote(carrier or url)}", f"{KEY_VARIABLE}={keys}"]
        if carrier:
            settings.insert(1, f"{BACKEND_VARIABLE}={shlex.quote(url)}")
        if self.connection.namespace != DEFAULT_NAMESPACE:
            settings.append(f"{NAMESPACE_VARIABLE}={shlex.quote(self.connection.namespace)}")
        return f" {' '.join(settings)} nbtasks worker"

    def __str__(self) -> str:
        paragraphs = [self._by_line() if self.path is None else self._by_file(self.path), *self._notes()]
        return "\n".join(paragraphs)

    __repr__ = __str__

    def _by_file(self, path: Path) -> str:
        return (
            f"{path.name} was written here. Copy it to the other machine, for example with\n\n"
            f"    scp {shlex.quote(path.name)} USER@HOST:\n\n"
            f"and start a worker there ({_needs()}):\n\n"
            f"    {self.command}\n\n"
            f"{_WARNING.format(what='this file')}"
        )

    def _by_line(self) -> str:
        return (
            f"Paste this line into a terminal of the other machine ({_needs()}), with the space in front of it, "
            "so that most shells do not keep it in their history:\n\n"
            f"{self.line}\n\n"
            f"{_WARNING.format(what='this line')} A notebook keeps what it shows: clear this output before you save."
        )

    def _notes(self) -> list[str]:
        if self.listening is not None:
            return [self._of_listener(self.listening)]
        notes = []
        url = parse(self.connection.url)
        of_sentinels = url.watched.options if url.watched else {}
        files = [name for name in _FILES_IN_URL if name in url.options or name in of_sentinels]
        if files:
            notes.append(
                f"The broker's URL names files of this machine ({', '.join(files)}): copy them to the same place there."
            )
        if self.connection.is_loopback:
            notes.append(
                f"The broker's URL names {_host(self.connection)}, which over there is the other machine itself: "
                "give its name in the network, with App(broker=...) or NBTASKS_BROKER."
            )
        elif not url.tls and url.scheme != "unix":
            notes.append(
                "What you send is signed, but it can be read on its way: rediss:// encrypts, if the server does."
            )
        return notes

    def _of_listener(self, where: str) -> str:
        return (
            f"The embedded server listens on {where}, with TLS and a password, until it stops or you say "
            f"`%workers uninvite` (app.uninvite()). Other machines reach it as {_host(self.connection)}: "
            f"port {where.rpartition(':')[2]} must be open here; for another name of this machine say `--host NAME`."
        )


def _needs() -> str:
    from importlib.metadata import version

    return f"Linux or macOS, Python {PYTHON}, nbtasks {version('nbtasks')}"


def _host(connection: Connection) -> str:
    return parse(connection.url).host


def check_reachable(connection: Connection) -> None:
    """Refuse to invite to a server that only this machine can reach.

    Raises:
        ConfigError: it is one; the message has the ways out.
    """
    if parse(connection.url).scheme not in {"unix", "sqlite"}:
        return
    other = "use a server that all machines reach, with App(broker='rediss://HOST:PORT/0') or NBTASKS_BROKER"
    if is_embedded(connection.url):
        raise ConfigError(
            "other machines cannot reach the embedded server: it listens on a unix socket in a private folder of "
            "this machine. There are two ways out: `%workers invite --listen` (app.invite(listen=True), "
            "`nbtasks invite --listen`) opens a port of this machine, with TLS and a password, for as long as the "
            f"server runs; or {other}"
        )
    raise ConfigError(f"other machines cannot reach the broker at {connection.address}: {other}")


def file_for(path: str | os.PathLike[str] | None) -> Path:
    """Return the path of the connection file that goes with an invitation."""
    return Path(path or DEFAULT_FILE).expanduser()


def invite(
    connection: Connection,
    listening: tuple[str, int] | None,
    file: str | os.PathLike[str] | None,
    show: bool,
) -> Invitation:
    """Return the invitation to a server, with its connection file, or with the key in it where it is to be shown.

    Args:
        listening: host and port where it listens, if it is the embedded one.
        file: as of :func:`file_for`.

    Raises:
        ConfigError: only this machine can reach it; or the file cannot be written.
    """
    check_reachable(connection)
    where = f"{listening[0]}:{listening[1]}" if listening else None
    if show:
        return Invitation(connection, listening=where)
    path = file_for(file)
    write_connection_file(path, connection, replace=True)
    return Invitation(connection, path, where)
