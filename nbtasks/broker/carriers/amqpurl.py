"""The URL of an AMQP server (RabbitMQ): what it may say, read strictly. Pure.

No message repeats a password, nor what may be a part of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from nbtasks.broker.urlparts import ENCODED, cut, has_control
from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

FORMS = (
    "amqp://[user:password@]host[:port][/vhost], or amqps://... (TLS); reserved characters in a password are "
    "percent-encoded"
)
#: py-amqp's own name is what Celery's pages write, too.
_SCHEME = re.compile(r"(amqps?|pyamqp)://", re.IGNORECASE)
_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_.-]+))(?::(?P<port>[0-9]{1,5}))?")
#: As RabbitMQ's own clients write them.
_TLS = ("cacertfile", "certfile", "keyfile", "verify", "server_name_indication")
_VERIFY = {"verify_peer": True, "verify_none": False}


@dataclass(frozen=True, repr=False)
class AmqpUrl:
    """What a URL says. Its repr shows no user, no password and no options.

    Attributes:
        shown: the URL without user, password and options.
        tls: whether the connection is encrypted; ``options`` say how then.
    """

    __stays_here__ = "it holds a password"
    __reduce_ex__ = refuse_to_travel

    shown: str
    host: str
    port: int
    vhost: str
    user: str
    password: str
    tls: bool
    options: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<AmqpUrl {self.shown}>"

    @property
    def verifies(self) -> bool:
        """Whether the server must show a certificate that is trusted here."""
        return _VERIFY[self.options.get("verify", "verify_peer")]


def parse_amqp(url: str, what: str = "broker") -> AmqpUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    try:
        return _parsed(url)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}; write {FORMS}") from None


def _parsed(url: str) -> AmqpUrl:
    begin = _SCHEME.match(url)
    if begin is None:
        raise ConfigError("this is no URL of an AMQP server")
    if has_control(url) or " " in url:
        raise ConfigError("the URL has a blank, a line break or another control character in it")
    login, place, path, query = cut(url[begin.end() :])
    if login is None and not place:
        # Celery's "pyamqp://": the one on this machine.
        place = "localhost"
    user, _, password = ("guest", ":", "guest") if login is None else login.partition(":")
    tls = begin[1].lower() == "amqps"
    host, port = _place(place, 5671 if tls else 5672)
    # "amqp://host", "amqp://host/" and Celery's "amqp://host//" all mean the vhost that each server has.
    vhost = unquote(path[1:]) or "/"
    shown = f"{'amqps' if tls else 'amqp'}://{place}{path if path != '/' else ''}"
    return AmqpUrl(shown, host, port, vhost, unquote(user), unquote(password), tls, _options(query, tls))


def _place(place: str, standard: int) -> tuple[str, int]:
    found = _PLACE.fullmatch(place)
    if not place:
        raise ConfigError("the URL names a user and no host")
    if found is None:
        raise ConfigError(f"the URL's host is no name, or its port no number; or {ENCODED}")
    port = int(found["port"] or standard)
    if not 0 < port < 65536:
        raise ConfigError("the port of the URL is not a number from 1 to 65535")
    return found["six"] or found["name"], port


def _options(query: str, tls: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _TLS:
            shown = f" {name}" if re.fullmatch(r"[A-Za-z_]{1,40}", name) else ""
            raise ConfigError(f"the URL's option{shown} is not known (known are {', '.join(_TLS)})")
        if not tls:
            raise ConfigError(f"the URL's option {name} goes with amqps:// only, which is TLS")
        if name in found or not text:
            raise ConfigError(f"the URL's option {name} needs one value")
        found[name] = text
    if found.get("verify", "verify_peer") not in _VERIFY:
        raise ConfigError("the URL's option verify needs verify_peer or verify_none")
    if "keyfile" in found and "certfile" not in found:
        raise ConfigError("the URL's option keyfile needs certfile beside it")
    return found
