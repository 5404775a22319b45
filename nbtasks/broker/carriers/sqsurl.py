"""The URL of Amazon SQS: what it may say, read strictly. Pure.

No message repeats a key, nor what may be a part of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from nbtasks.broker.urlparts import ENCODED, PLACE, cut, decided_here, has_control, unknown, yes_or_no
from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

_FORMS = "sqs://[key:secret@][host[:port]][?region=eu-central-1&queue_name_prefix=team-]"
#: As Celery has them.
_REGION = "us-east-1"
SQS_OPTIONS = ("region", "queue_name_prefix", "is_secure")
#: What Celery has and has no meaning here, for nothing is held longer than a moment.
_TAKEN = frozenset({"visibility_timeout", "polling_interval", "wait_time_seconds"})
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")
_AREA = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, repr=False)
class SqsUrl:
    """What a URL says. Its repr shows no key.

    Attributes:
        shown: the URL without key and secret.
        key, secret: empty where the environment, a profile or the machine's role says who it is.
        endpoint: of what is not Amazon's own, a URL; empty for that.
        region: empty where the environment may say it, and else it is Celery's.
        prefix: stands before the names of all queues.
    """

    __stays_here__ = "it holds a secret key"
    __reduce_ex__ = refuse_to_travel

    shown: str
    key: str
    secret: str
    endpoint: str
    region: str
    prefix: str

    def __repr__(self) -> str:
        return f"<SqsUrl {self.shown}>"

    @property
    def last_region(self) -> str:
        """Where the queues are if nothing says where."""
        return _REGION


def parse_sqs(url: str, what: str = "broker") -> SqsUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    try:
        return _parsed(url)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}; write {_FORMS}") from None


def _parsed(url: str) -> SqsUrl:
    if has_control(url):
        raise ConfigError("the URL has a line break or another control character in it")
    login, place, path, query = cut(url.partition("://")[2])
    if path.strip("/"):
        raise ConfigError(f"nothing but options stands behind the host; or {ENCODED}")
    key, colon, secret = (login or "").partition(":")
    if bool(key) != bool(secret) or (colon and not key):
        raise ConfigError("the URL needs both, key and secret, or neither: then the environment says them")
    options = _options(query)
    region = options.get("region", "")
    shown = f"sqs://{place}{f'?region={region}' if region else ''}"
    prefix = options.get("queue_name_prefix", "")
    return SqsUrl(shown, unquote(key), unquote(secret), _endpoint(place, options), region, prefix)


def _endpoint(place: str, options: dict[str, str]) -> str:
    if not place:
        return ""
    found = PLACE.fullmatch(place)
    if found is None or not (found["six"] or found["name"]):
        raise ConfigError(f"the URL's host is no name, or its port no number; or {ENCODED}")
    try:
        is_secure = yes_or_no(options.get("is_secure", str(place.endswith(".amazonaws.com"))))
    except ValueError as error:
        raise ConfigError(f"the URL's option is_secure needs {error}") from None
    return f"http{'s' if is_secure else ''}://{place}"


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name in _TAKEN:
            raise decided_here(name)
        if name not in SQS_OPTIONS:
            raise unknown(name, SQS_OPTIONS)
        if name in found or not text:
            raise ConfigError(f"the URL's option {name} needs one value")
        found[name] = text
    if not _PREFIX.fullmatch(found.get("queue_name_prefix", "n")):
        raise ConfigError(
            "the URL's option queue_name_prefix needs letters, digits, - and _, 40 of them at most"
        )
    if not _AREA.fullmatch(found.get("region", "n")):
        raise ConfigError("the URL's option region needs the name of a region, such as eu-central-1")
    return found
