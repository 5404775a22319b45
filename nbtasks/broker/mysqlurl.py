"""The URL of a MariaDB or MySQL: what it may say, read strictly. Pure.

No message repeats a password, nor what may be a part of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

from .urlparts import ENCODED, NEXT_URL, PLACE, cut, decided_here, decoded, refuse_control, unknown

FORMS = (
    "mysql://[user:password@]host[:port]/database[?ssl_ca=/path/to/ca.pem&...]; reserved characters in a password are "
    "percent-encoded"
)
_PORT = 3306
#: With what SQLAlchemy, and Celery with it, writes before and behind: there is one client here, whatever it names.
_SCHEME = re.compile(
    r"(?:(?:sqla|sqlalchemy|db|database)\+)?(?:mysql|mariadb)(?:\+[a-z0-9]+)?:", re.IGNORECASE
)
_KNOWN = ("ssl_ca", "ssl_cert", "ssl_key", "unix_socket")
#: What is so in any case.
_GIVEN = {"charset": "utf8mb4"}
_TAKEN = frozenset(
    {
        *("connect_timeout", "read_timeout", "write_timeout", "autocommit", "init_command", "sql_mode"),
        *("client_flag", "cursorclass", "local_infile", "max_allowed_packet", "isolation_level"),
    }
)


@dataclass(frozen=True, repr=False)
class MysqlUrl:
    """What a URL says. Its repr shows no user, no password and no options.

    Attributes:
        shown: the URL without user, password and options.
        options: as the client takes them: files of TLS, and a socket.
    """

    __stays_here__ = "it holds a password"
    __reduce_ex__ = refuse_to_travel

    shown: str
    host: str
    port: int
    user: str
    password: str
    database: str
    options: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<MysqlUrl {self.shown}>"


def is_mysql(url: str) -> bool:
    """Whether a URL is that of a MariaDB or MySQL, well formed or not."""
    return _SCHEME.match(url) is not None


def as_mysql(url: str) -> str:
    """Return one's URL with our word before it."""
    return f"mysql:{url.partition(':')[2]}"


def parse_mysql(url: str, what: str = "broker") -> MysqlUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    refuse_control(url, what, FORMS)
    if NEXT_URL.search(url):
        raise ConfigError(
            f"{what}: these are several URLs, and calls of one App are in one database: name that; write "
            f"{FORMS}"
        )
    rest = url.partition(":")[2]
    if not rest.startswith("//"):
        raise ConfigError(f"{what}: this is no URL of a MariaDB or MySQL; write {FORMS}")
    try:
        return _parsed(rest[2:])
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from None


def _parsed(rest: str) -> MysqlUrl:
    login, place, path, query = cut(rest)
    database = decoded(path[1:])
    if not database or "/" in path[1:]:
        raise ConfigError(f"the URL names no database behind its host, or {ENCODED}; write {FORMS}")
    found = PLACE.fullmatch(place)
    port = int(found["port"] or _PORT) if found else 0
    if found is None or not 0 < port < 65536:
        raise ConfigError(
            f"the URL's host is no name, or its port no number from 1 to 65535; or {ENCODED}; write {FORMS}"
        )
    user, _, password = (login or "").partition(":")
    host = found["six"] or found["name"] or "localhost"
    shown = f"mysql://{place}{path}"
    return MysqlUrl(shown, host, port, decoded(user), decoded(password), database, _options(query))


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in _TAKEN:
            raise decided_here(name)
        if _GIVEN.get(name) == text.lower():
            continue
        if name not in _KNOWN:
            raise unknown(name, _KNOWN)
        if not text or "\0" in text:
            raise ConfigError(f"the URL's option {name} needs a value")
        found[name] = text
    if "ssl_key" in found and "ssl_cert" not in found:
        raise ConfigError("the URL's option ssl_key needs ssl_cert beside it")
    return found
