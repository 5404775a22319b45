"""Which carriers there are, a line for each: imports of what a carrier stands on happen here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

from nbtasks.broker.lateimports import importing
from nbtasks.broker.urlparts import NEXT_URL
from nbtasks.broker.verbs.carrier import Carrier
from nbtasks.core.errors import ConfigError

from .amqpurl import parse_amqp
from .beanstalkurl import parse_beanstalk
from .kombuurl import KOMBU_SCHEMES, PREFIX, parse_kombu
from .sqsurl import SQS_OPTIONS, parse_sqs


class CarrierUrl(Protocol):
    """What the URL of a carrier says; each reads its own, and knows more."""

    @property
    def shown(self) -> str:
        """The URL without user, password and options."""


@dataclass(frozen=True)
class _Kind:
    """One kind of carrier.

    Attributes:
        parse: reads a URL; told which setting it is, for messages. Pure.
        opened: returns a connection for a URL and a namespace, which is made when it is used first.
        needs: the library, as people call it.
        extra: of ours, which brings it.
        options: of Celery's transport options those that its URL has under the same name.
    """

    parse: Callable[[str, str], CarrierUrl]
    opened: Callable[[str, str], Carrier]
    needs: str
    extra: str
    options: tuple[str, ...] = ()


def _amqp(url: str, namespace: str) -> Carrier:
    from .amqpcarrier import AmqpCarrier

    return AmqpCarrier(parse_amqp(url), namespace)


def _beanstalk(url: str, namespace: str) -> Carrier:
    from .beanstalkcarrier import BeanstalkCarrier

    return BeanstalkCarrier(parse_beanstalk(url), namespace)


def _sqs(url: str, namespace: str) -> Carrier:
    from .sqscarrier import SqsCarrier

    return SqsCarrier(parse_sqs(url), namespace)


def _kombu(url: str, namespace: str) -> Carrier:
    from .kombucarrier import KombuCarrier

    return KombuCarrier(parse_kombu(url), namespace)


_OF_KOMBU = _Kind(parse_kombu, _kombu, "kombu", "kombu")
#: By the schemes in small letters.
_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(("amqp", "amqps", "pyamqp"), _Kind(parse_amqp, _amqp, "py-amqp", "amqp")),
    "beanstalk": _Kind(parse_beanstalk, _beanstalk, "greenstalk", "beanstalk"),
    "sqs": _Kind(parse_sqs, _sqs, "botocore", "sqs", SQS_OPTIONS),
    **dict.fromkeys(KOMBU_SCHEMES, _OF_KOMBU),
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,40})://")


def is_carrier(url: object) -> bool:
    """Whether something is the URL of a carrier, well formed or not."""
    return isinstance(url, str) and _kind(url) is not None


def parse_carrier(url: str, what: str = "broker") -> CarrierUrl:
    """Read the URL of a carrier.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is none of the accepted forms, or has an option that is not known.
    """
    kind = _kind(url)
    if kind is None:
        raise ConfigError(f"{what}: this is no URL of what brings calls to workers")
    if NEXT_URL.search(url):
        raise ConfigError(
            f"{what}: these are several URLs: name one, or an address that always leads to one that is "
            "there, such as a balancer's"
        )
    return kind.parse(url, what)


def with_carrier_options(url: str, given: Mapping[str, Any], where: str) -> str:
    """Return the URL of a carrier with what Celery's transport options say of it.

    Args:
        where: the name of the setting, for messages.

    Raises:
        ConfigError: the URL says something else.
    """
    kind = _kind(url)
    base, _, query = url.partition("?")
    there = dict(parse_qsl(query))
    more = {}
    for name in kind.options if kind else ():
        if given.get(name) is None:
            continue
        text = str(given[name])
        if there.setdefault(name, text) != text:
            raise ConfigError(f"{where} and the URL say two things of {name}: leave one of them out")
        if f"{name}=" not in query:
            more[name] = text
    return f"{base}?{'&'.join(part for part in (query, urlencode(more)) if part)}" if more else url


def options_of_carriers(given: Mapping[str, Any]) -> list[str]:
    """Return the names of the transport options that may say something of a carrier."""
    known = {name for kind in _KINDS.values() for name in kind.options}
    return [name for name in given if name in known]


def open_carrier(url: str, namespace: str) -> Carrier:
    """Return a connection to a carrier, which is made when it is used first.

    Raises:
        ConfigError: the URL is none that can be used, or the library for it is not installed.
    """
    shown = parse_carrier(url).shown
    kind = _kind(url)
    assert kind is not None
    try:
        with importing:
            return kind.opened(url, namespace)
    except ImportError as error:
        raise ConfigError(
            f"a broker at {shown} needs {kind.needs} ({error}): pip install 'nbtasks[{kind.extra}]'"
        ) from None


def _kind(url: str) -> _Kind | None:
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    return _OF_KOMBU if scheme.startswith(PREFIX) else _KINDS.get(scheme)
