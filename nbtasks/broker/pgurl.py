"""A PostgreSQL's URL: what it may say, read strictly. Pure.

As for Redis, every option is known and works, or is refused by its name; and no message repeats a password, nor what
may be a part of one. libpq's own reading of URLs is not asked: its messages repeat what they do not understand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

from .urlparts import ENCODED, NEXT_URL, PLACE, cut, decided_here, decoded, refuse_control, unknown, yes_or_no

FORMS = (
    "postgresql://[user:password@]host[:port][,host2[:port2]]/database[?sslmode=verify-full&...]; reserved characters "
    "in a password are percent-encoded"
)
#: Also as SQLAlchemy has it, with a driver, and as Celery and kombu have that.
_SCHEME = re.compile(r"(?:(?:db|sqla|sqlalchemy)\+)?postgres(?:ql)?(?:\+[a-z0-9]+)?", re.IGNORECASE)
_PORT = 5432
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,40}")

#: Options that libpq takes as they are.
_KNOWN = frozenset(
    {
        *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslcrldir", "sslsni"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "sslnegotiation", "channel_binding"),
        *("target_session_attrs", "load_balance_hosts", "require_auth", "application_name", "passfile"),
        *("gssencmode", "krbsrvname", "gsslib", "requirepeer", "host", "port", "dbname", "user"),
    }
)
_MODES = ("disable", "prefer", "require")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
#: What some of them can say, which libpq would find out only when it connects. Who only reads could send no call.
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "primary"),
    "channel_binding": _MODES,
    "gssencmode": _MODES,
    "sslnegotiation": ("postgres", "direct"),
    "load_balance_hosts": ("disable", "random"),
    "sslsni": ("0", "1"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
}
#: And those that are ours.
_OURS = {
    "schema": "the schema that holds our tables",
    "pooler": "yes where a pooler such as PgBouncer stands between in transaction mode",
}
#: What changes how libpq waits, or what a connection starts with.
_TAKEN = frozenset(
    {
        *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *(
            "tcp_user_timeout",
            "options",
            "client_encoding",
            "fallback_application_name",
            "replication",
            "service",
        ),
        "hostaddr",
    }
)


@dataclass(frozen=True, repr=False)
class PgUrl:
    """What a URL says. Its repr shows no user, no password and no options.

    Attributes:
        shown: the URL without user, password and options.
        options: as libpq takes them, user and password among them.
        schema: the schema that holds our tables.
        pooler: whether there is a pooler in transaction mode between; None where that is to be found out.
    """

    __stays_here__ = "it holds a password"
    __reduce_ex__ = refuse_to_travel

    shown: str
    options: dict[str, str] = field(default_factory=dict)
    schema: str = "nbtasks"
    pooler: bool | None = None

    def __repr__(self) -> str:
        return f"<PgUrl {self.shown}>"

    @property
    def server(self) -> tuple[str, int]:
        """Host, or folder of the socket, and port of the first server that it names."""
        host, port = (self.options.get(name, "").partition(",")[0] for name in ("host", "port"))
        return host, int(port) if port.isdigit() else _PORT

    @property
    def database(self) -> str:
        """The database's name; where none is named, it is that of the user."""
        return self.options.get("dbname", self.options.get("user", ""))

    @property
    def is_local(self) -> bool:
        """Whether it names a socket of this machine."""
        return self.options.get("host", "/").startswith("/")


def is_pg(url: str) -> bool:
    """Whether a URL is a PostgreSQL's."""
    return _SCHEME.fullmatch(url.partition(":")[0]) is not None


def as_postgresql(url: str) -> str:
    """Return a PostgreSQL's URL with our word for its scheme."""
    return f"postgresql:{url.partition(':')[2]}"


def parse_pg(url: str, what: str = "broker") -> PgUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    refuse_control(url, what, FORMS)
    if NEXT_URL.search(url):
        raise ConfigError(
            f"{what}: these are several URLs, and calls of one App are in one database: name that; the "
            f"hosts of a primary and its standbys stand in one URL; write {FORMS}"
        )
    scheme, colon, rest = url.partition("://")
    if not colon or not is_pg(scheme):
        raise ConfigError(f"{what}: this is no PostgreSQL's URL; write {FORMS}")
    try:
        return _parsed(rest)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None


def _parsed(rest: str) -> PgUrl:
    login, places, path, query = cut(rest)
    database = path[1:]
    if "/" in database:
        raise ConfigError(
            f"what follows the URL's host is not the name of a database, or {ENCODED}; write {FORMS}"
        )
    options = _options(query)
    schema, pooler = options.pop("schema", "nbtasks"), options.pop("pooler", None)
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigError("the URL's option schema needs a name of small letters, digits and underscores")
    if places:
        options["host"], options["port"] = _hosts(places)
    if login is not None:
        user, colon, password = login.partition(":")
        if user:
            options["user"] = decoded(user)
        if colon and password:
            options["password"] = decoded(password)
    if database:
        options["dbname"] = decoded(database)
    return PgUrl(f"postgresql://{places}/{database}", options, schema, _pooler(pooler))


def _hosts(places: str) -> tuple[str, str]:
    """Return libpq's lists of hosts and of ports."""
    hosts, ports = [], []
    for place in places.split(","):
        found = PLACE.fullmatch(place)
        port = int(found["port"] or _PORT) if found else 0
        if found is None or not 0 < port < 65536:
            raise ConfigError(
                f"the URL's host is no name, or its port no number from 1 to 65535; or {ENCODED}; write {FORMS}"
            )
        hosts.append(found["six"] or found["name"])
        ports.append(str(port))
    return ",".join(hosts), ",".join(ports)


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in found:
            raise ConfigError(f"the URL's option {name} stands there twice; leave one out")
        _check_name(name)
        if not text or "\0" in text:
            raise ConfigError(f"the URL's option {name} needs a value")
        if text not in _CHOICES.get(name, (text,)):
            raise ConfigError(f"the URL's option {name} needs one of {', '.join(_CHOICES[name])}")
        found[name] = text
    return found


def _check_name(name: str) -> None:
    """Raise where there is no such option."""
    if name in _KNOWN or name in _OURS:
        return
    if name == "password":
        raise ConfigError(
            f"the URL's option password is not taken: write postgresql://user:password@host, and {ENCODED}"
        )
    if name in _TAKEN:
        raise decided_here(name)
    raise unknown(name, sorted(_KNOWN | set(_OURS)))


def _pooler(text: str | None) -> bool | None:
    try:
        return None if text is None else yes_or_no(text)
    except ValueError as error:
        raise ConfigError(f"the URL's option pooler needs {error}") from None
