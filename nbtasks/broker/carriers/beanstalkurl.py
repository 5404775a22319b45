"""The URL of a beanstalkd: what it may say, read strictly. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from nbtasks.broker.urlparts import PLACE, cut, has_control
from nbtasks.core.errors import ConfigError

_FORMS = "beanstalk://host[:port]"
_PORT = 11300


@dataclass(frozen=True)
class BeanstalkUrl:
    """What a URL says; there is nothing secret in it.

    Attributes:
        shown: the URL.
    """

    shown: str
    host: str
    port: int


def parse_beanstalk(url: str, what: str = "broker") -> BeanstalkUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms.
    """
    try:
        return _parsed(url)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}; write {_FORMS}") from None


def _parsed(url: str) -> BeanstalkUrl:
    if has_control(url):
        raise ConfigError("the URL has a line break or another control character in it")
    login, place, path, query = cut(url.partition("://")[2])
    if login is not None:
        raise ConfigError("a beanstalkd knows no users and no passwords")
    found = PLACE.fullmatch(place)
    host = (found["six"] or found["name"]) if found else ""
    port = int(found["port"] or _PORT) if found else 0
    if not host or not 0 < port < 65536:
        raise ConfigError("the URL's host is no name, or its port no number from 1 to 65535")
    if path.strip("/") or query:
        raise ConfigError("nothing stands behind the host of a beanstalkd")
    return BeanstalkUrl(f"beanstalk://{place}", host, port)
