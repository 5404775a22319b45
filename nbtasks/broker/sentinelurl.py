"""URLs of a Redis or Valkey that sentinels watch: ``sentinel://host1,host2/0?master_name=mymaster``. Pure.

Celery writes a URL for each sentinel, with ``;`` between them, and the rest into ``broker_transport_options``. Both
become one URL here, which is what workers get in their connection file.

Before the @ stands the login of the server itself, as in Celery; that of the sentinels stands among the options.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

from .urloptions import OF_SENTINELS, is_number, pairs, read_options
from .urlparts import ENCODED, NEXT_URL, cut, place_of, yes_or_no

FORMS = (
    "sentinel://[:password@]host1[:26379],host2[:26379][/db]?master_name=mymaster, or sentinels://... (TLS); reserved "
    "characters in a password are percent-encoded"
)
_PORT = 26379
_PREFIX = "sentinel_"
#: What Celery and kombu take in transport options, and where more of them stand.
IN_TRANSPORT_OPTIONS = frozenset({"master_name", "sentinel_kwargs", "min_other_sentinels"})
#: What of redis-py's may stand in sentinel_kwargs, and is ours to decide.
_OURS = (
    "socket_",
    "retry",
    "health_check",
    "decode_responses",
    "encoding",
    "protocol",
    "max_connections",
    "timeout",
)


@dataclass(frozen=True, repr=False)
class WatchedServer:
    """A server that sentinels watch: who is asked, and for which.

    Attributes:
        places: host and port of each sentinel.
        master: the name that sentinels know the server by; empty where the URL does not say it.
        user, password: as the sentinels get them; None where they want none.
        tls: whether connections to the sentinels are encrypted; ``options`` say how then.
        others: how many other sentinels one must know of to be believed.
    """

    __stays_here__ = "it holds a password"
    __reduce_ex__ = refuse_to_travel

    places: tuple[tuple[str, int], ...]
    master: str = ""
    user: str | None = None
    password: str | None = None
    tls: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    others: int = 0

    def __repr__(self) -> str:
        return f"<WatchedServer {self.master!r} by {self.places}>"

    def is_of(self, other: WatchedServer) -> bool:
        """Whether both may be the same server: one sentinel in common, and no two names."""
        same = not self.master or not other.master or self.master == other.master
        return same and any(place in other.places for place in self.places)

    def shown(self, places: str, db: int | None) -> str:
        """Return what people see behind the scheme."""
        path = "" if db is None else f"/{db}"
        return f"{places}{path}" + (f"?master_name={quote(self.master)}" if self.master else "")


def in_one(url: str, is_watched: Callable[[str], bool]) -> str:
    """Return one URL for all sentinels where a text has a URL for each of them; any other text as it is.

    Args:
        is_watched: whether a scheme is that of sentinels.

    Raises:
        ConfigError: two of them say different things.
    """
    parts = NEXT_URL.split(url)
    if not all("://" in part and is_watched(part.partition(":")[0]) for part in parts):
        return url
    schemes, logins, places, paths, queries = set(), set(), [], set(), []
    for part in parts:
        scheme, _, rest = part.strip().partition("://")
        login, place, path, query = cut(rest)
        schemes.add(scheme.lower())
        logins.update([login] if login else [])
        places.append(place.replace(";", ","))
        paths.update([path] if path.strip("/") else [])
        queries += [query] if query and query not in queries else []
    for what, found in (("schemes", schemes), ("logins", logins), ("databases", paths)):
        if len(found) > 1:
            raise ConfigError(
                f"the URLs of the sentinels name two {what}, and they lead to one server: say the same in each, or "
                f"write {FORMS}"
            )
    login = "".join(f"{one}@" for one in logins)
    behind = f"?{'&'.join(queries)}" if queries else ""
    return f"{schemes.pop()}://{login}{','.join(places)}{''.join(paths)}{behind}"


def parse_watched(
    places: str, path: str, given: Iterable[tuple[str, str]], scheme: str
) -> tuple[WatchedServer, int | None, dict[str, Any]]:
    """Read what is different in the URL of a server that sentinels watch.

    Returns who is asked, the database that the path names, and the options for the server itself.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    own: dict[str, str] = {}
    others = []
    for name, text in given:
        if name not in OF_SENTINELS and not name.startswith(f"{_PREFIX}ssl_"):
            others.append((name, text))
            continue
        if not text:
            raise ConfigError(f"the URL's option {name} needs a value")
        if own.setdefault(name, text) != text:
            raise ConfigError(f"the URL's option {name} stands there twice; leave one out")
    options = read_options(others, scheme)
    named, db = _path(path)
    master = own.get("master_name", named)
    if named not in {"", master}:
        raise ConfigError("the URL names two masters, in its path and as master_name; leave one out")
    tls = _tls(own.get(f"{_PREFIX}ssl"), scheme)
    of_tls = [
        (name.removeprefix(_PREFIX), text) for name, text in own.items() if name.startswith(f"{_PREFIX}ssl_")
    ]
    try:
        for_sentinels = read_options(of_tls, "sentinels" if tls else "sentinel")
    except ConfigError as error:
        raise ConfigError(f"for the sentinels themselves, {error}") from None
    if tls:
        like_the_server = {name: value for name, value in options.items() if name.startswith("ssl_")}
        for_sentinels = {**like_the_server, **for_sentinels}
    return (
        WatchedServer(
            tuple(_places(places)),
            master,
            own.get(f"{_PREFIX}username"),
            own.get(f"{_PREFIX}password"),
            tls,
            for_sentinels,
            _others(own.get("min_other_sentinels", "0")),
        ),
        db,
        options,
    )


def _places(text: str) -> Iterable[tuple[str, int]]:
    for one in text.split(","):
        host, port = place_of(one, _PORT, FORMS)
        if not host:
            raise ConfigError(
                f"the URL names no sentinel, or has a comma too many; for one on this machine write "
                f"sentinel://localhost:{_PORT}/0?master_name=mymaster, and else {FORMS}"
            )
        yield host, port


def _path(path: str) -> tuple[str, int | None]:
    """Return the master's name and the database: ``/0``, or as other libraries write it, ``/mymaster/0``."""
    parts = [part for part in path.split("/") if part]
    db = int(parts.pop()) if parts and is_number(parts[-1]) else None
    if len(parts) > 1:
        raise ConfigError(
            f"what follows the URL's sentinels is not the number of a database, or {ENCODED}; write {FORMS}"
        )
    return (parts[0] if parts else ""), db


def _tls(text: str | None, scheme: str) -> bool:
    try:
        return scheme == "sentinels" if text is None else yes_or_no(text)
    except ValueError as error:
        raise ConfigError(f"the URL's option {_PREFIX}ssl needs {error}") from None


def _others(text: str) -> int:
    if not is_number(text):
        raise ConfigError("the URL's option min_other_sentinels needs a number of 0 or more")
    return int(text)


# -- Celery's transport options


def with_transport_options(url: str, given: Mapping[str, Any], where: str) -> str:
    """Return a URL of sentinels with what Celery's transport options say of them.

    Args:
        given: the options; those that say nothing of sentinels are not looked at.
        where: the name of the setting, for messages.

    Raises:
        ConfigError: an option is none, or the URL says something else.
    """
    said = dict(_said(given, where))
    base, _, query = url.partition("?")
    there = dict(pairs(query))
    for name, text in said.items():
        if there.get(name, text) != text:
            raise ConfigError(
                f"{where} and the URL say two things of {name}: leave one of them out, in the URL or in {where}"
            )
    more = {name: text for name, text in said.items() if name not in there}
    if not more:
        return url
    return f"{base}?{'&'.join(part for part in (query, urlencode(more, quote_via=quote)) if part)}"


def of_sentinels(given: Mapping[str, Any]) -> list[str]:
    """Return the names of the transport options that say something of sentinels."""
    return [name for name in given if name in IN_TRANSPORT_OPTIONS and given[name]]


def _said(given: Mapping[str, Any], where: str) -> Iterable[tuple[str, str]]:
    for name in of_sentinels(given):
        value = given[name]
        if name != "sentinel_kwargs":
            yield name, _text(value, f"{where}[{name!r}]")
            continue
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where}['sentinel_kwargs']: {type(value).__name__} is no dict of options")
        for option, text in value.items():
            if text is None or str(option).startswith(_OURS):
                continue
            # redis-py's own words: ssl, ssl_ca_certs, username, password.
            yield f"{_PREFIX}{option}", _text(text, f"{where}['sentinel_kwargs'][{option!r}]")


def _text(value: Any, where: str) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, ssl.VerifyMode):
        return value.name
    if isinstance(value, (str, int)):
        return str(value)
    raise ConfigError(f"{where}: {type(value).__name__} is no text and no number")
