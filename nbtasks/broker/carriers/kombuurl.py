"""URLs of what kombu brings messages through, as Celery's users have them: which are taken, and why not others. Pure.

kombu reads the URL itself; here nothing is read of it but what may be shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbtasks.broker.urlparts import has_control
from nbtasks.core.errors import ConfigError
from nbtasks.core.unsendable import refuse_to_travel

#: Taken with or without kombu+ before them: the scheme in small letters -> kombu's own word.
KOMBU_SCHEMES = {
    one: one
    for one in (
        *("azurestoragequeues", "azureservicebus", "gcpubsub", "zookeeper", "etcd", "consul"),
        *("mongodb", "mongodb+srv"),
    )
}
PREFIX = "kombu+"
_ONE_ITSELF = "it keeps calls itself: name it as the broker without kombu+, and no backend"
_LOSES = (
    "what a process has taken there is lost for ever when it is killed, and whoever waits looks once a second; leave "
    "the broker out, or name a Redis or Valkey"
)
_BY_SQL = (
    "what a process has taken there is lost for ever when it is killed; write sqlite://, mysql:// or postgresql://, "
    "and no backend: those keep calls themselves"
)
#: Why kombu's others are not taken.
_REFUSED = {
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys", "sentinel"), _ONE_ITSELF),
    **dict.fromkeys(("amqp", "amqps", "pyamqp", "librabbitmq"), "write amqp:// without kombu+"),
    "sqs": "write sqs:// without kombu+",
    "memory": "it is in the memory of one process, and no worker would hear of anything; leave the broker out",
    "filesystem": _LOSES,
    **dict.fromkeys(("sqla", "sqlalchemy", "db"), _BY_SQL),
    **dict.fromkeys(
        ("kafka", "confluentkafka"),
        "a queue there is given to one process, so that all others would wait in vain while that one is busy; name a "
        "Redis or Valkey",
    ),
    "slmq": "SoftLayer Message Queue was discontinued in March 2017; name a Redis or Valkey",
    "qpid": "kombu's way to it works with Python 2.7 only; name a Redis or Valkey",
    "pyro": "the broker that kombu brings for it cannot say that a queue is empty; name a Redis or Valkey",
    "pgmq": "write postgresql:// without kombu+, and no backend: that keeps calls itself",
}


@dataclass(frozen=True, repr=False)
class KombuUrl:
    """What a URL says. Its repr shows no user and no password.

    Attributes:
        shown: the URL without what stands before its last @, and without options.
        url: as kombu takes it.
    """

    __stays_here__ = "it holds a password"
    __reduce_ex__ = refuse_to_travel

    shown: str
    url: str

    def __repr__(self) -> str:
        return f"<KombuUrl {self.shown}>"


def parse_kombu(url: str, what: str = "broker") -> KombuUrl:
    """Read a URL.

    Args:
        what: which setting it is, for messages.

    Raises:
        ConfigError: it is of something that is not taken.
    """
    if has_control(url):
        raise ConfigError(f"{what}: the URL has a line break or another control character in it")
    written, _, rest = url.partition("://")
    scheme = written.lower().removeprefix(PREFIX)
    known = KOMBU_SCHEMES.get(scheme)
    if known is None:
        plain = scheme.partition("+")[0]
        reason = _REFUSED.get(plain)
        if reason is None:
            raise ConfigError(
                f"{what}: kombu+... is known for {', '.join(KOMBU_SCHEMES)}; name one of them, or a Redis or Valkey"
            )
        raise ConfigError(f"{what}: kombu+{plain}:// is not taken: {reason}")
    place = rest.rpartition("@")[2].partition("?")[0]
    return KombuUrl(f"{known}://{place}", f"{known}://{rest}")
