"""Which broker, key and namespace: from the call, the environment, a connection file, or made here."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbtasks.broker import url as urls
from nbtasks.broker.carriers.carriage import is_carrier, parse_carrier, with_carrier_options
from nbtasks.broker.sentinelurl import of_sentinels, with_transport_options
from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel
from nbtasks.wire.signing import KEY_BYTES, decode_key, encode_key, key_id

from .backend import ledger_of
from .folder import expanded
from .keyfile import read_private, user_key, write_private
from .server import brokerfile
from .server.embedded import begin as begin_embedded
from .server.embedded import url_here as embedded_url
from .server.embeddedlease import EmbeddedLease
from .server.starting import Starting

BROKER_VARIABLE = "NBTASKS_BROKER"
KEY_VARIABLE = "NBTASKS_KEY"
NAMESPACE_VARIABLE = "NBTASKS_NAMESPACE"
FILE_VARIABLE = "NBTASKS_CONNECTION_FILE"
#: Names the module that every App of a process reads its settings from.
CONFIG_VARIABLE = "NBTASKS_CONFIG_MODULE"
DEFAULT_NAMESPACE = "nbtasks"
OPTIONS_SETTING = "broker_transport_options"
#: Where a URL came from that nobody has named.
EMBEDDED = "embedded server"
#: The key in use and the one before it.
_MAX_KEYS = 2


@dataclass(frozen=True, repr=False)
class Connection:
    """Where the broker is and how what goes through it is signed. Its repr shows neither key nor password.

    Attributes:
        url: the broker's URL, credentials included.
        keys: 32 bytes each; the first signs, all are accepted.
        namespace: separates data of several projects on one server.
        source: where the URL came from, for people.
        carrier: URL of the server that brings references to workers, where the broker is one that needs another server
            beside it: then ``url`` is that one's, which keeps calls and results. Empty for none.
    """

    __stays_here__ = (
        "it holds the key. Pass what you need of it, such as connection.address or connection.namespace; in a task, "
        "nbtasks.App.current().connection is the one that it runs for"
    )
    __reduce_ex__ = refuse_to_travel

    url: str
    keys: tuple[bytes, ...]
    namespace: str
    source: str
    carrier: str = ""

    def __post_init__(self) -> None:
        what = "backend" if self.carrier else "broker"
        check_master(urls.parse(self.url, what), what)
        object.__setattr__(self, "url", urls.plainly(self.url))
        if self.carrier:
            parse_carrier(self.carrier)
        check_namespace(self.namespace)
        if not 1 <= len(self.keys) <= _MAX_KEYS or any(len(key) != KEY_BYTES for key in self.keys):
            raise ConfigError(f"keys: one or {_MAX_KEYS} keys of {KEY_BYTES} bytes are needed")

    def __repr__(self) -> str:
        keys = ", ".join(key_id(key) for key in self.keys)
        return f"<Connection {self.title} namespace={self.namespace!r} key={keys} from {self.source}>"

    @property
    def address(self) -> str:
        """The URL without user, password and query."""
        return urls.parse(self.url).shown

    @property
    def title(self) -> str:
        """The address, and before it that of the carrier where there is one; for people."""
        return f"{parse_carrier(self.carrier).shown} over {self.address}" if self.carrier else self.address

    @property
    def is_loopback(self) -> bool:
        """Whether the URL names this machine, by its network name."""
        url = urls.parse(self.url)
        hosts = [host for host, _ in url.watched.places] if url.watched else [url.host]
        return all(map(_is_loopback, hosts))

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, as far as the URL says."""
        url = urls.parse(self.url)
        # Where sentinels are says nothing of where the server is, now and after the next fail-over.
        return url.scheme in {"unix", "sqlite"} or (url.watched is None and self.is_loopback)

    @property
    def is_embedded(self) -> bool:
        """Whether the URL was found by itself, as that of the embedded server."""
        return self.source == EMBEDDED

    def to_json(self) -> dict[str, Any]:
        """Return a dict of JSON types. It holds the keys: only for private files and pipes."""
        keys = [encode_key(key) for key in self.keys]
        carried = {"carrier": self.carrier} if self.carrier else {}
        return {"url": self.url, "keys": keys, "namespace": self.namespace, "source": self.source, **carried}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Connection:
        """Read what :meth:`to_json` wrote.

        Raises:
            ConfigError: something is missing or is not what it should be.
        """
        try:
            url, texts = str(data["url"]), data["keys"]
            namespace = str(data.get("namespace", DEFAULT_NAMESPACE))
            keys = tuple(decode_key(str(text)) for text in texts)
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError("a connection needs 'url' and 'keys', and may have 'namespace'") from error
        return cls(url, keys, namespace, str(data.get("source", "JSON")), str(data.get("carrier", "")))


class Resolving:
    """A connection that is known, to a server that may still be starting.

    Attributes:
        connection: complete from the beginning.
    """

    def __init__(self, connection: Connection, starting: Starting | None) -> None:
        self.connection = connection
        self._starting = starting

    def wait(self) -> EmbeddedLease | None:
        """Wait for the embedded server; None where another server is used.

        Raises:
            ConfigError: the embedded server does not start.
        """
        return EmbeddedLease.on(self._starting) if self._starting else None

    def close(self) -> None:
        """Give the server up before it came."""
        if self._starting:
            self._starting.close()

    def anew(self) -> EmbeddedLease | None:
        """Wait for the same server in a process that was forked off; None where another one is used.

        Raises:
            ConfigError: the embedded server does not start.
        """
        return EmbeddedLease.on(Starting(self._starting.place)) if self._starting else None


def place(address: str, namespace: str) -> str:
    """Return where calls go, in words that can be compared."""
    return address if namespace == DEFAULT_NAMESPACE else f"{address}, namespace {namespace!r}"


def default_place() -> str:
    """Return where calls go that are told nothing, without a look whether there is a server."""
    filed = _connection_file()
    url, _ = divided(_url(None, None, filed)[0])
    namespace = os.environ.get(NAMESPACE_VARIABLE) or (filed.namespace if filed else DEFAULT_NAMESPACE)
    if not url:
        url = brokerfile.file_url() if brokerfile.is_wanted() else ""
    return place(address_of(url) if url else embedded_url(), namespace)


def resolve(
    broker: str | None = None,
    key: str | bytes | None = None,
    namespace: str | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str | None = None,
) -> tuple[Connection, EmbeddedLease | None]:
    """Find the connection, and start the embedded server where no other one is named.

    The URL comes from ``broker``, else from ``file``, else NBTASKS_BROKER, else the connection file that
    NBTASKS_CONNECTION_FILE names, else it is the embedded server's. The key comes from ``key``, else ``file``,
    else NBTASKS_KEY, else the environment's connection file, else the per-user key file; the namespace likewise,
    else it is "nbtasks".

    Args:
        broker: URL of what keeps calls and results; or of a RabbitMQ, which ``backend`` goes with.
        key: 32 bytes, or their base64url; in text, a second key after a comma is accepted, too.
        namespace: separates data of several projects on one server.
        file: a connection file.
        backend: URL of what keeps calls and results where the broker is a RabbitMQ; else it is
            NBTASKS_BACKEND.

    Raises:
        EmbeddedUnavailable: no URL was given and there is no embedded server on this platform.
        ConfigError: a URL, a key, a file or a folder is wrong.
    """
    resolving = begin(broker, key, namespace, file, backend)
    return resolving.connection, resolving.wait()


def begin(
    broker: str | None = None,
    key: str | bytes | None = None,
    namespace: str | None = None,
    file: str | os.PathLike[str] | None = None,
    backend: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Resolving:
    """Do as :func:`resolve`, but do not wait for the embedded server: it starts meanwhile.

    Args:
        options: Celery's transport options, which may say of which master sentinels are asked.
    """
    given = read_connection_file(file) if file else None
    filed = given or _connection_file()
    url, source = _url(broker, given, filed)
    url, carrier = divided(with_master(url, options), backend)
    if filed is not None and source == filed.source:
        carrier = filed.carrier
    keys = given.keys if given and not key else _keys(key, filed)
    name = (
        namespace
        or (given.namespace if given else os.environ.get(NAMESPACE_VARIABLE))
        or (filed.namespace if filed else DEFAULT_NAMESPACE)
    )
    check_namespace(name)
    starting = None
    if not url and brokerfile.is_wanted():
        url, source = brokerfile.file_url(), EMBEDDED
    elif not url:
        starting = begin_embedded()
        url, source = starting.place.url, EMBEDDED
    elif source == BROKER_VARIABLE:
        urls.parse(url, source)
    return Resolving(Connection(url, keys, name, source, carrier), starting)


def divided(url: str, backend: str | None = None) -> tuple[str, str]:
    """Return the URL of the server that keeps calls and results, and the carrier's, empty where there is none.

    Args:
        url: a broker's; empty for the embedded one.
        backend: as in :func:`resolve`.

    Raises:
        ConfigError: the broker is one that keeps nothing, and nothing says what does.
    """
    return (ledger_of(url, backend), url) if is_carrier(url) else (url, "")


def with_master(url: str, options: Mapping[str, Any] | None) -> str:
    """Return a broker's URL with what Celery's transport options say of its sentinels, or of a carrier.

    Raises:
        ConfigError: the URL says something else.
    """
    if options and is_carrier(url):
        return with_carrier_options(url, options, OPTIONS_SETTING)
    if not options or not urls.is_watched(url):
        return url
    urls.parse(url)
    return with_transport_options(urls.plainly(url), options, OPTIONS_SETTING)


def check_sentinels_named(url: str, options: Mapping[str, Any] | None) -> None:
    """Raise ConfigError where transport options say something of sentinels, and no URL names any.

    Args:
        url: the broker's; empty for the embedded server.
    """
    said = of_sentinels(options or {})
    if said and not urls.is_watched(url):
        raise ConfigError(
            f"{OPTIONS_SETTING}[{said[0]!r}] is for sentinels, and broker_url names none: write broker_url = "
            "'sentinel://host:26379;sentinel://other:26379/0', or leave it out"
        )


def named_url(broker: str | None = None, file: str | os.PathLike[str] | None = None) -> str:
    """Return the URL that is named by the call or the environment; empty where it is the embedded server.

    Raises:
        ConfigError: a connection file is wrong.
    """
    given = read_connection_file(file) if file else None
    return _url(broker, given, given or _connection_file())[0]


def _url(broker: str | None, given: Connection | None, filed: Connection | None) -> tuple[str, str]:
    """Return the URL and where it comes from; both empty where nothing names one."""
    environment = os.environ.get(BROKER_VARIABLE)
    if broker:
        return broker, "App(broker=...)"
    if environment and not given:
        return environment, BROKER_VARIABLE
    return (filed.url, filed.source) if filed else ("", "")


def read_connection_file(path: str | os.PathLike[str]) -> Connection:
    """Read a connection file, which only its owner may be able to read.

    Raises:
        ConfigError: there is none, others may read it, or it holds something else.
    """
    file = expanded(path)
    try:
        data = json.loads(read_private(file, mounted=True))
    except FileNotFoundError:
        raise ConfigError(f"there is no connection file {file}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the connection file {file} is not JSON: {error}") from error
    try:
        return Connection.from_json({**data, "source": str(file)})
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"the connection file {file}: {error}") from error


def write_connection_file(
    path: str | os.PathLike[str], connection: Connection, *, replace: bool = False
) -> None:
    """Write a connection file, mode 0600. It holds the key: whoever reads it can run code on the workers.

    Args:
        replace: whether an older connection file may be replaced; another file never is.

    Raises:
        ConfigError: it exists already, or cannot be written.
    """
    file = expanded(path)
    data = {name: value for name, value in connection.to_json().items() if name != "source"}
    try:
        if replace and file.exists():
            # Raises where it is something else.
            read_connection_file(file)
            file.unlink()
        write_private(file, json.dumps(data, indent=2) + "\n")
    except FileExistsError:
        raise ConfigError(f"{file} exists already: remove it first, or choose another name") from None


def check_url(url: str) -> None:
    """Check the form of a broker's URL, without a look at the network.

    Raises:
        ConfigError: it is none of the accepted forms. A password is never repeated in the message.
    """
    if is_carrier(url):
        parse_carrier(url)
    else:
        urls.parse(url)


def check_named(
    broker: str | None, key: str | bytes | None, namespace: str | None, file: str | os.PathLike[str] | None
) -> None:
    """Check the form of what an App is told; what is empty, as a variable that is not set, is no default.

    Raises:
        ConfigError: it is none of the accepted forms.
    """
    if broker is not None:
        check_url(broker)
    if namespace is not None:
        check_namespace(namespace)
    for what, value in (("key", key), ("connection_file", file)):
        if value is not None and not value:
            raise ConfigError(f"{what}: it is empty: is a variable not set? Leave it out for the default")


def check_namespace(name: str) -> None:
    """Check a namespace: letters, digits and ``_ - . :``, at most 64.

    Raises:
        ConfigError: it is something else.
    """
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= 64
        or not all(letter.isalnum() or letter in "_-.:" for letter in name)
    ):
        raise ConfigError(
            f"namespace: {name!r} is not a namespace; use letters, digits and _ - . :, at most 64"
        )


def address_of(url: str) -> str:
    """Return a URL without user, password and query."""
    return parse_carrier(url).shown if is_carrier(url) else urls.parse(url).shown


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.split(".", maxsplit=1)[0] == "localhost"


def check_master(url: urls.BrokerUrl, what: str) -> None:
    """Raise ConfigError where a URL names sentinels, and not what they are to be asked for."""
    if url.watched is not None and not url.watched.master:
        behind = "result_backend_transport_options" if what == "backend" else "broker_transport_options"
        raise ConfigError(
            f"{what}: {url.shown} names sentinels, and not which master they are to be asked for: write "
            f"{url.shown}?master_name=mymaster, or set {behind} = {{'master_name': 'mymaster'}}; "
            "`redis-cli -p 26379 SENTINEL MASTERS` lists the names"
        )


def _connection_file() -> Connection | None:
    path = os.environ.get(FILE_VARIABLE)
    return read_connection_file(path) if path else None


def keys_of(key: str | bytes) -> tuple[bytes, ...]:
    """Return the keys that were given: 32 bytes, or base64url, in which a second one may follow after a comma."""
    if isinstance(key, bytes) and len(key) == KEY_BYTES:
        return (key,)
    text = key.decode("ascii", "replace") if isinstance(key, bytes) else key
    return tuple(decode_key(part) for part in text.split(","))


def _keys(key: str | bytes | None, filed: Connection | None) -> tuple[bytes, ...]:
    given = key or os.environ.get(KEY_VARIABLE)
    if given:
        return keys_of(given)
    return filed.keys if filed else (user_key(),)
