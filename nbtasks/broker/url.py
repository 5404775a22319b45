"""A broker's URL: what it may say, read strictly. Pure.

redis-py takes what it knows from a URL and hands on all the rest, so that a wrong option changes how it talks, or ends
in a bare TypeError. Here every option is known and works, or is refused by its name. No message repeats a password, nor
what may be a part of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

from .mysqlurl import as_mysql, is_mysql, parse_mysql
from .othersystems import as_broker
from .pgurl import as_postgresql, is_pg, parse_pg
from .sentinelurl import WatchedServer, in_one, parse_watched
from .sqliteurl import is_sqlite, parse_sqlite
from .urloptions import WITH_TLS, is_number, pairs, read_options
from .urlparts import ENCODED, NEXT_URL, cut, place_of, refuse_control

FORMS = (
    "redis://[user:password@]host[:port][/db], rediss://... (TLS), or unix:///path/to/socket[?db=n]; "
    "reserved characters in a password are percent-encoded"
)
_PORT = 6379
#: Other words for the same: those of Celery and kombu for a socket, and valkey-py's. What is shown is ours.
_ALIASES = {
    "redis+socket": "unix",
    "socket": "unix",
    **dict.fromkeys(("redis+unix", "valkey+socket", "valkey+unix"), "unix"),
    "valkey": "redis",
    **dict.fromkeys(("valkeys", "redis+tls", "redis+ssl"), "rediss"),
    **dict.fromkeys(("redis+sentinel", "redis-sentinel", "valkey+sentinel", "valkey-sentinel"), "sentinel"),
    **dict.fromkeys(("rediss+sentinel", "rediss-sentinel", "valkeys+sentinel", "sentinel+tls"), "sentinels"),
}
_ONE = (
    "calls of one App are on one server: name that, or sentinels that know where it is (sentinel://), or an address "
    "that always leads to the one that can write, such as a balancer's"
)
_WATCHED = frozenset({"sentinel", "sentinels"})
_SCHEMES = frozenset({"redis", "rediss", "unix", *_WATCHED})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):/")


@dataclass(frozen=True, repr=False)
class BrokerUrl:
    """What a URL says. Its repr shows no user, no password and no options.

    Attributes:
        scheme: ``redis``, ``rediss``, ``unix``, ``sentinel`` or ``sentinels``; or ``postgresql``,
            ``sqlite`` or ``mysql``, of which only what is shown and the first server, or the file, are told here.
        host, port: of a server in the network; of the first sentinel where sentinels know the server.
        path: of a unix socket, or of a file.
        db: the database's number.
        user, password: as the server gets them; None where the URL names none.
        options: name -> value, as redis-py's connections take them.
        shown: the URL without user, password and options.
        watched: which sentinels are asked for which master; None where the URL names the server itself.
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
    watched: WatchedServer | None = None

    def __repr__(self) -> str:
        return f"<BrokerUrl {self.shown}>"

    @property
    def tls(self) -> bool:
        """Whether the connection to the server is encrypted."""
        return self.scheme in WITH_TLS

    def names_server_of(self, other: BrokerUrl) -> bool:
        """Whether two URLs name one server, as far as they say."""
        if self.watched is None or other.watched is None:
            return self.watched is other.watched and self._server == other._server
        return self.watched.is_of(other.watched)

    @property
    def _server(self) -> tuple[str, int]:
        """What two URLs of one server have in common: host and port, or path and 0."""
        if self.path:
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
    if is_mysql(url):
        server = parse_mysql(url, what)
        return BrokerUrl("mysql", server.shown, server.host, server.port)
    if is_sqlite(url):
        file = parse_sqlite(url, what)
        return BrokerUrl("sqlite", file.shown, path=file.path)
    refuse_control(url, what, FORMS)
    try:
        url = in_one(url, _is_watched)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None
    if NEXT_URL.search(url):
        raise ConfigError(f"{what}: these are several URLs, and {_ONE}; write {FORMS}")
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
    """Return a URL as it is kept.

    That is with our word for its scheme in the place of another one for the same, several sentinels in one, and with a
    file's path as it leads there from anywhere.

    Raises:
        ConfigError: sentinels are told two things.
    """
    if is_sqlite(url):
        return parse_sqlite(url).whole
    if is_pg(url):
        return as_postgresql(url)
    if is_mysql(url):
        return as_mysql(url)
    begin = _SCHEME.match(url)
    known = _ALIASES.get(begin[1].lower()) if begin else None
    named = url if begin is None or known is None else f"{known}{url[begin.end(1) :]}"
    return in_one(named, _is_watched)


def is_watched(url: str) -> bool:
    """Whether a URL names sentinels, well formed or not."""
    return _is_watched(url.partition(":")[0])


def _is_watched(scheme: str) -> bool:
    small = scheme.strip().lower()
    return _ALIASES.get(small, small) in _WATCHED


def _unknown(scheme: str, what: str) -> str:
    if not scheme:
        return f"{what}: this is not a URL that nbtasks knows, for it begins with no redis://; write {FORMS}"
    shown, step = as_broker(scheme)
    return f"{what}: {shown} is not a URL that nbtasks knows: {step}; a URL is written {FORMS}"


def _parsed(scheme: str, rest: str) -> BrokerUrl:
    login, place, path, query = cut(rest, at_in_path=scheme == "unix")
    user, password = (None, None) if login is None else _login(login)
    given = pairs(query)
    if scheme in _WATCHED:
        watched, named, options = parse_watched(place, path, given, scheme)
        db = _the_database(options, named)
        shown = f"{scheme}://{watched.shown(place, named)}"
        host, port = watched.places[0]
        return BrokerUrl(scheme, shown, host, port, "", db, user, password, options, watched)
    options = read_options(given, scheme)
    if scheme == "unix":
        if place or not path.startswith("/"):
            raise ConfigError(
                f"a unix URL has three slashes before its path, and {ENCODED}; it is not a URL that nbtasks knows "
                f"otherwise; write {FORMS}"
            )
        db = options.pop("db", 0)
        socket = unquote_to_bytes(_bytes(path)).decode("utf-8", "surrogateescape")
        return BrokerUrl(
            scheme, f"unix://{path}", path=socket, db=db, user=user, password=password, options=options
        )
    host, port = _place(place, scheme)
    db = _the_database(options, _database(path))
    shown = f"{scheme}://{place}{path}"
    return BrokerUrl(scheme, shown, host, port, "", db, user, password, options)


def _the_database(options: dict[str, Any], named: int | None) -> int:
    """Take the database out of the options, and return it, or the one that the path names."""
    db: int | None = options.pop("db", None)
    if db is not None and named not in {None, db}:
        raise ConfigError(f"the URL names two databases, {named} and {db}; leave one out")
    return (db or 0) if named is None else named


def _login(text: str) -> tuple[bytes | None, bytes | None]:
    user, colon, password = text.partition(":")
    return (
        unquote_to_bytes(_bytes(user)) if user else None,
        unquote_to_bytes(_bytes(password)) if colon and password else None,
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _place(place: str, scheme: str) -> tuple[str, int]:
    if "," in place or ";" in place:
        raise ConfigError(f"the URL names several hosts, and {_ONE}; write {FORMS}")
    host, port = place_of(place, _PORT, FORMS)
    if not host:
        raise ConfigError(
            f"the URL names no host and is not a URL that nbtasks knows; for a server on this machine write "
            f"{scheme}://localhost:{_PORT}/0, and else {FORMS}"
        )
    return host, port


def _database(path: str) -> int | None:
    text = path.strip("/")
    if not text:
        return None
    if not is_number(text):
        raise ConfigError(
            f"what follows the URL's host is not the number of a database, so it is not a URL that nbtasks knows, or "
            f"{ENCODED}; write {FORMS}"
        )
    return int(text)
