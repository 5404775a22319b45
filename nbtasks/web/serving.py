"""The web server: where it listens, with which token, until it is told to end."""

from __future__ import annotations

import contextlib
import errno
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn

from nbtasks.core.errors import ConfigError
from nbtasks.dashboard.assets import script, style
from nbtasks.monitor.monitor import Monitor

from .admission import Admission
from .doorway import Doorway
from .hastyprotocol import HastyProtocol
from .hooksto import HooksTo
from .livestreams import Streams
from .metrics import Metrics
from .site import Site
from .taskcalls import TaskCalls

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from nbtasks.client.app import App

#: Seconds that requests have to end when the server is told to.
_END_S = 2
_MOST_CONNECTIONS = 500
_ANY = ("0.0.0.0", "::", "")  # noqa: S104 - names what is not loopback, and listens nowhere


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and how it is reached.

    Attributes:
        port: 0 for any free one.
        prefix: of all paths, as a reverse proxy shows them.
        public_url: under which a reverse proxy shows it; empty where there is none.
        certfile, keyfile: for TLS; None without.
    """

    host: str = "127.0.0.1"
    port: int = 5555
    prefix: str = ""
    public_url: str = ""
    certfile: str | None = None
    keyfile: str | None = None

    def checked(self) -> Listening:
        """Return it with a prefix that is one.

        Raises:
            ConfigError: something of it makes no sense.
        """
        if self.keyfile and not self.certfile:
            raise ConfigError("--keyfile goes with --certfile")
        for file in filter(None, (self.certfile, self.keyfile)):
            if not Path(file).is_file():
                raise ConfigError(f"there is no file {file}")
        if self.public_url and not _is_public(self.public_url):
            raise ConfigError(
                f"--public-url: {self.public_url!r:.80} is no URL such as https://example.org/nbtasks"
            )
        public = urlsplit(self.public_url)
        prefix = (self.prefix or public.path).strip("/")
        if set(prefix) & set('?#;,%\\ "') or not (prefix.isprintable() and prefix.isascii()):
            raise ConfigError(f"--url-prefix: {prefix!r:.80} is no path such as /nbtasks")
        if self.public_url and prefix != public.path.strip("/"):
            raise ConfigError(
                f"--url-prefix {self.prefix} is not the path of --public-url {self.public_url}: browsers see only one; "
                "leave --url-prefix out"
            )
        return Listening(
            self.host, self.port, f"/{prefix}" if prefix else "", self.public_url, self.certfile, self.keyfile
        )

    @property
    def names(self) -> tuple[str, ...]:
        """More names under which it is reached, each with its port where there is one."""
        own = () if self.host in _ANY else (self.host,)
        public = urlsplit(self.public_url).netloc
        return (*own, public) if public else own

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by TLS."""
        return bool(self.certfile) or self.public_url.startswith("https:")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host == "localhost" or self.host.startswith("127.") or self.host == "::1"

    def url(self, port: int) -> str:
        """Return under which URL it is reached, with a slash at its end."""
        if self.public_url:
            return f"{self.public_url.rstrip('/')}/"
        host = socket.gethostname() if self.host in _ANY else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.certfile else 'http'}://{shown}:{port}{self.prefix}/"

    def bound(self) -> socket.socket:
        """Return a socket that listens there.

        Raises:
            ConfigError: that is not possible.
        """
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                self.host or None, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            found = socket.socket(family, kind, proto)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(128)
        except OSError as error:
            is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            hint = (
                "--host names an address of this machine, such as 127.0.0.1"
                if is_host
                else "name another one with --port, 0 for any that is free"
            )
            raise ConfigError(
                f"it cannot listen on {self.host}, port {self.port}: {error.strerror or error}; {hint}"
            ) from error
        found.set_inheritable(False)
        return found


def _is_public(url: str) -> bool:
    """Whether a URL is one under which something can be shown."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and parts.username is None and not (parts.query or parts.fragment or url != url.strip())


class _Server(uvicorn.Server):
    """Ends streams when it is told to end; they would go on for as long as somebody looks."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], on_end: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_end = on_end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so: from now on signals are heard."""
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear the signals that end it. They are not raised anew afterwards: what is open is closed first."""
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        self._on_end()
        super().handle_exit(sig, frame)


def serve_dashboard(
    app: App,
    token: str,
    listening: Listening,
    on_ready: Callable[[str], None],
    readonly: bool = False,
    hooks: Sequence[str] = (),
) -> None:
    """Serve the dashboard of an App until the process is told to end.

    Args:
        on_ready: called with the URL, without the token.
        hooks: how URLs begin that may be called when tasks end.

    Raises:
        ConfigError: something of it makes no sense.
    """
    access = Admission(token, listening.names, listening.public_url)
    monitor = Monitor(app, readonly)
    streams = Streams(monitor, access)
    calls = TaskCalls(app, monitor, HooksTo(hooks))
    site = Site(monitor, streams, calls, Metrics(monitor), script, style)
    inner = site.application()
    try:
        run(Doorway(inner, access, listening.prefix, listening.is_secure), listening, on_ready, streams.end)
    finally:
        monitor.close()


def run(
    application: ASGIApp, listening: Listening, on_ready: Callable[[str], None], on_end: Callable[[], None]
) -> None:
    """Serve an application until the process is told to end; ``on_end`` is called then."""
    config = _config(application, listening)
    bound = listening.bound()
    url = listening.url(bound.getsockname()[1])
    server = _Server(config, lambda: on_ready(url), on_end)
    try:
        server.run(sockets=[bound])
    finally:
        bound.close()


def _config(application: ASGIApp, listening: Listening) -> uvicorn.Config:
    options: dict[str, Any] = {}
    if listening.certfile:
        options = {"ssl_certfile": listening.certfile, "ssl_keyfile": listening.keyfile}
    config = uvicorn.Config(
        application,
        # Addresses may have the token in them.
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        # Which of uvicorn's two is there would else decide how long a request's head may be.
        http=HastyProtocol,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=_END_S,
        h11_max_incomplete_event_size=64_000,
        limit_concurrency=_MOST_CONNECTIONS,
        **options,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ConfigError(f"--certfile, --keyfile: they cannot be used: {error}") from error
    return config
