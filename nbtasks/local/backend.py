"""``backend=``, which Celery has and nbtasks needs not: results are kept where the calls are."""

from __future__ import annotations

import re

from nbtasks.broker.url import parse
from nbtasks.core.errors import ConfigError

#: Celery's words for: through the broker.
_THROUGH_THE_BROKER = re.compile(r"rpc(://.*)?")
_OURS = re.compile(r"(rediss?|unix):", re.IGNORECASE)


def check_form(backend: object, what: str = "backend") -> None:
    """Refuse what can be no broker's server, whichever that is.

    Args:
        what: names the argument, for messages.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(backend, str):
        raise ConfigError(f"{what}: a URL is a text, not {type(backend).__name__}; leave {what} out")
    if _OURS.match(backend):
        parse(backend, what)
    elif not _THROUGH_THE_BROKER.fullmatch(backend):
        raise ConfigError(
            f"{what}: results are kept on the broker's own server, and what this names is no Redis and no Valkey: "
            f"leave {what} out"
        )


def check_backend(backend: object, broker: str) -> None:
    """Refuse a place for results that is not the broker's own server.

    Args:
        broker: its URL; empty for the embedded server.

    Raises:
        ConfigError: it is another one.
    """
    if not isinstance(backend, str):
        raise ConfigError(f"backend: a URL is a text, not {type(backend).__name__}; leave backend out")
    if _THROUGH_THE_BROKER.fullmatch(backend):
        return
    if not _OURS.match(backend):
        raise ConfigError(_refusal("what this names is no Redis and no Valkey", broker))
    wanted = parse(backend, "backend")
    if not broker or parse(broker).server != wanted.server:
        raise ConfigError(_refusal(f"{wanted.shown} is another one", broker))


def _refusal(why: str, broker: str) -> str:
    where = (
        f"the broker at {parse(broker).shown}" if broker else "the embedded server, for no broker is named"
    )
    return f"backend: results are kept on the broker's own server, and {why}: leave backend out (this App uses {where})"
