"""A broker's URL: what it may say, read strictly. Pure.

redis-py takes what it knows from a URL and hands on all the rest, so that a wrong option changes how it talks, or ends
in a bare TypeError. Here every option is known and works, or is refused by its name. No message repeats a password, nor
what may be a part of one.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

from .othersystems import as_broker
from .pgurl import is_pg, parse_pg
from .urlparts import ENCODED, PLACE, cut, decided_here, has_control, unknown, yes_or_no

FORMS = (
    "redis://[user:password@]host[:port][/db], rediss://... (TLS), or unix:///path/to/socket[?db=n]; "
    "reserved characters in a password are percent-encoded"
)
_PORT = 6379
#: Other words for the same: those of Celery and kombu for a socket, and valkey-py's. What is shown is ours.
_ALIASES = {
    "redis+socket": "unix",
    "socket": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
}
#: Several URLs in one text, as Celery has them: it goes to the next one where one is not there.
_SEVERAL = re.compile(r"[;,]\s*[A-Za-z][A-Za-z0-9+.-]{0,30}://")
_ONE = (
    "calls of one App are on one server: name that, or an address that always leads to the one that can write, such "
    "as a balancer's"
)
_SCHEMES = frozenset({"redis", "rediss", "unix"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):/")


@dataclass(frozen=True, repr=False)
class BrokerUrl:
    """What a URL says. Its repr shows no user, no password and no options.

    Attributes:
        scheme: ``redis``, ``rediss`` or ``unix``; or ``postgresql``, of which only what is shown and the first server
            are told here.
        host, port: of a server in the network.
        path: of a unix socket.
        db: the database's number.
        user, password: as the server gets them; None where the URL names none.
        options: name -> value, as redis-py's connections take them.
        shown: the URL without user, password and options.
    """

    __stays_here__ = "it holds a password"
    __reduce_ex__ = refuse_to_travel

    scheme: str
    shown: str
    host: str = ""
    port: int = _PORT
    path: str = ""
    db: int = 0
    user: bytes | None = None
    password: bytes | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<BrokerUrl {self.shown}>"

    @property
    def server(self) -> tuple[str, int]:
        """What two URLs of one server have in common: host and port, or path and 0."""
        if self.scheme == "unix":
            return self.path, 0
        local = self.host.lower() in {"localhost", "127.0.0.1", "::1"}
        return ("localhost" if local else self.host.lower()), self.port


def parse(url: str, what: str = "broker") -> BrokerUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    if not isinstance(url, str):
        several = f"{_ONE}, and " if isinstance(url, (list, tuple)) else ""
        raise ConfigError(f"{what}: a URL is a text, not {type(url).__name__}; {several}write {FORMS}")
    if is_pg(url):
        found = parse_pg(url, what)
        host, port = found.server
        return BrokerUrl("postgresql", found.shown, host, port)
    if has_control(url):
        raise ConfigError(
            f"{what}: the URL has a line break or another control character in it; write {FORMS}"
        )
    if _SEVERAL.search(url):
        raise ConfigError(f"{what}: there are several URLs in this text, and {_ONE}; write {FORMS}")
    begin = _SCHEME.match(url)
    scheme, rest = (begin[1].lower(), url[begin.end() - 1 :]) if begin else ("", url)
    scheme = _ALIASES.get(scheme, scheme)
    if scheme not in _SCHEMES:
        raise ConfigError(_unknown(scheme, what))
    if not rest.startswith("//"):
        raise ConfigError(f"{what}: behind {scheme}: two slashes are missing; write {FORMS}")
    try:
        return _parsed(scheme, rest[2:])
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None


def is_redis(url: str) -> bool:
    """Whether a URL is that of a Redis or a Valkey, well formed or not."""
    scheme, colon, _ = url.partition(":")
    small = scheme.lower()
    return bool(colon) and _ALIASES.get(small, small) in _SCHEMES


def plainly(url: str) -> str:
    """Return a URL with our word for its scheme in the place of another one for the same."""
    begin = _SCHEME.match(url)
    known = _ALIASES.get(begin[1].lower()) if begin else None
    return url if begin is None or known is None else f"{known}{url[begin.end(1) :]}"


def _unknown(scheme: str, what: str) -> str:
    if not scheme:
        return f"{what}: this is not a URL that nbtasks knows, for it begins with no redis://; write {FORMS}"
    shown, step = as_broker(scheme)
    return f"{what}: {shown} is not a URL that nbtasks knows: {step}; a URL is written {FORMS}"


def _parsed(scheme: str, rest: str) -> BrokerUrl:
    login, place, path, query = cut(rest, at_in_path=scheme == "unix")
    user, password = (None, None) if login is None else _login(login)
    options = _options(query, scheme)
    db = options.pop("db", None)
    if scheme == "unix":
        if place or not path.startswith("/"):
            raise ConfigError(
                f"a unix URL has three slashes before its path, and {ENCODED}; it is not a URL that nbtasks knows "
                f"otherwise; write {FORMS}"
            )
        socket = unquote_to_bytes(_bytes(path)).decode("utf-8", "surrogateescape")
        return BrokerUrl(
            scheme, f"unix://{path}", path=socket, db=db or 0, user=user, password=password, options=options
        )
    host, port = _place(place, scheme)
    named = _database(path)
    if db is not None and named not in {None, db}:
        raise ConfigError(f"the URL names two databases, {named} and {db}; leave one out")
    shown = f"{scheme}://{place}{path}"
    return BrokerUrl(scheme, shown, host, port, "", db if named is None else named, user, password, options)


def _login(text: str) -> tuple[bytes | None, bytes | None]:
    user, colon, password = text.partition(":")
    return (
        unquote_to_bytes(_bytes(user)) if user else None,
        unquote_to_bytes(_bytes(password)) if colon and password else None,
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _place(place: str, scheme: str) -> tuple[str, int]:
    found = PLACE.fullmatch(place)
    if found is None:
        raise ConfigError(
            f"the URL's host is no name, or its port no number from 1 to 65535; or {ENCODED}; write {FORMS}"
        )
    host, port = found["six"] or found["name"], int(found["port"] or _PORT)
    if not host:
        raise ConfigError(
            f"the URL names no host and is not a URL that nbtasks knows; for a server on this machine write "
            f"{scheme}://localhost:{_PORT}/0, and else {FORMS}"
        )
    if not 0 < port < 65536:
        raise ConfigError(f"the port of the URL is not a number from 1 to 65535; write {FORMS}")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ConfigError(f"the URL's host is not a name that a machine can have; write {FORMS}") from None
    return host, port


def _database(path: str) -> int | None:
    text = path.strip("/")
    if not text:
        return None
    if not _is_number(text):
        raise ConfigError(
            f"what follows the URL's host is not the number of a database, so it is not a URL that nbtasks knows, or "
            f"{ENCODED}; write {FORMS}"
        )
    return int(text)


# -- options


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _number(text: str) -> int:
    if not _is_number(text):
        raise ValueError("a number of 0 or more")
    return int(text)


def _cert_reqs(text: str) -> str:
    """Celery writes CERT_REQUIRED, redis-py required."""
    name = text.lower().removeprefix("ssl.").removeprefix("cert_")
    if name not in {"none", "optional", "required"}:
        raise ValueError("required, optional or none")
    return name


def _tls_version(text: str) -> ssl.TLSVersion:
    known = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    known |= {str(int(version)): version for version in known.values()}
    try:
        return known[text.lower().removeprefix("tlsv").replace("_", ".")]
    except KeyError:
        raise ValueError("1.2 or 1.3") from None


def _ciphers(text: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(text)
    except ssl.SSLError:
        raise ValueError("a list of ciphers that OpenSSL knows") from None
    return text


def _authority(text: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        raise ValueError("an authority's certificate as PEM text") from None
    return text


def _client_name(text: str) -> str:
    if not all("!" <= letter <= "~" for letter in text):
        raise ValueError("letters, digits and signs without a space")
    return text


def _file(text: str) -> str:
    if "\0" in text:
        raise ValueError("a path")
    return text


#: Celery's word for the number of a database behind a socket.
_VIRTUAL_HOST = "virtual_host"
_KNOWN: dict[str, Callable[[str], Any]] = {
    "db": _number,
    "client_name": _client_name,
    "ssl_cert_reqs": _cert_reqs,
    "ssl_check_hostname": yes_or_no,
    "ssl_ca_certs": _file,
    # An authority's certificate itself, as PEM: an invitation has the listener's in its URL.
    "ssl_ca_data": _authority,
    "ssl_ca_path": _file,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": str,
    "ssl_min_version": _tls_version,
    "ssl_ciphers": _ciphers,
}
_LOGIN = {"username", "user", "password"}
#: What changes how redis-py talks, waits and tries again: nbtasks has its own ways, and depends on them.
_OURS = {
    *("decode_responses", "encoding", "encoding_errors", "charset", "errors", "protocol", "legacy_responses"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options", "timeout"),
    *(
        "socket_type",
        "socket_read_size",
        "retry",
        "retry_on_timeout",
        "retry_on_error",
        "health_check_interval",
    ),
    *("max_connections", "single_connection_client", "auto_close_connection_pool", "parser_class"),
    *("connection_class", "connection_pool", "command_packer", "credential_provider", "redis_connect_func"),
    *("lib_name", "lib_version", "driver_info", "cache", "cache_config", "event_dispatcher"),
    *("maint_notifications_config", "host", "port", "path", "unix_socket_path", "ssl"),
}


def _options(query: str, scheme: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for written, value in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
        is_database = written == _VIRTUAL_HOST and scheme == "unix"
        name, text = ("db", value.removeprefix("/")) if is_database else (written, value)
        if name in found:
            raise ConfigError(f"the URL's option {name} stands there twice; leave one out")
        read = _reader(name, scheme)
        if not text:
            raise ConfigError(f"the URL's option {name} needs a value")
        try:
            found[name] = read(text)
        except ValueError as error:
            raise ConfigError(f"the URL's option {name} needs {error}") from None
    if "ssl_keyfile" in found and "ssl_certfile" not in found:
        raise ConfigError("the URL's option ssl_keyfile needs ssl_certfile beside it")
    return found


def _reader(name: str, scheme: str) -> Callable[[str], Any]:
    """Return what reads the value of an option.

    Raises:
        ConfigError: there is no such option, or not here.
    """
    read = _KNOWN.get(name)
    if read is not None and (scheme == "rediss" or not name.startswith("ssl_")):
        return read
    if read is not None:
        raise ConfigError(
            f"the URL's option {name} goes with rediss:// only, which is TLS: write rediss://, or leave it out"
        )
    if name in _LOGIN:
        form = "unix://user:password@/path" if scheme == "unix" else f"{scheme}://user:password@host"
        raise ConfigError(f"the URL's option {name} is not taken: write {form}, and {ENCODED}")
    if name == _VIRTUAL_HOST:
        raise ConfigError(
            f"the URL's option {name} is not known for a server in the network: the database's number stands behind "
            f"the host, {scheme}://host:port/1"
        )
    if name in _OURS:
        raise decided_here(name)
    raise unknown(name, _KNOWN)
