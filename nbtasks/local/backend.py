"""``backend=``, the server of results: where a broker keeps them itself, it is that one, and needs not be named."""

from __future__ import annotations

import os
import re

from nbtasks.broker.carriers.carriage import is_carrier, parse_carrier
from nbtasks.broker.mysqlurl import is_mysql, parse_mysql
from nbtasks.broker.othersystems import KEEPERS, for_results
from nbtasks.broker.pgurl import is_pg, parse_pg
from nbtasks.broker.sqliteurl import is_sqlite
from nbtasks.broker.url import is_redis, parse
from nbtasks.core import context
from nbtasks.core.errors import ConfigError
from nbtasks.core.warning import warn

BACKEND_VARIABLE = "NBTASKS_BACKEND"
#: What is to be written where a broker keeps nothing itself.
BESIDE = f"name one of {KEEPERS} beside it, backend='redis://localhost:6379/0' or {BACKEND_VARIABLE}"
#: Celery's words for: through the broker.
_THROUGH_THE_BROKER = re.compile(r"rpc(://.*)?")
#: What has been said in this process.
_said: set[str] = set()


def check_form(backend: object, what: str = "backend") -> None:
    """Refuse what can be no broker's server, whichever that is.

    Args:
        what: names the argument, for messages.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(backend, str):
        raise ConfigError(f"{what}: a URL is a text, not {type(backend).__name__}; leave {what} out")
    if _keeps_results(backend):
        parse(backend, what)
    elif not _THROUGH_THE_BROKER.fullmatch(backend):
        named, step = for_results(backend)
        raise ConfigError(
            f"{what}: results are kept on the broker's own server, and {named} is no {KEEPERS}: "
            f"{step}leave {what} out"
        )


def check_backend(backend: object, broker: str) -> None:
    """Refuse a place for results that is not the broker's own server.

    Args:
        broker: its URL; empty for the embedded server.

    Raises:
        ConfigError: it is another one.
    """
    if not isinstance(backend, str):
        step = BESIDE if is_carrier(broker) else "leave backend out"
        raise ConfigError(f"backend: a URL is a text, not {type(backend).__name__}; {step}")
    if is_carrier(broker):
        ledger_of(broker, backend)
        return
    if _THROUGH_THE_BROKER.fullmatch(backend):
        return
    if not _keeps_results(backend):
        named, step = for_results(backend)
        raise ConfigError(_refusal(f"{named} is no {KEEPERS}", broker, step))
    wanted = parse(backend, "backend")
    if not broker:
        step = "to have both there, name it as broker=, too, or else "
        raise ConfigError(_refusal(f"{wanted.shown} is another one", broker, step))
    used = parse(broker)
    if not used.names_server_of(wanted):
        raise ConfigError(_refusal(f"{wanted.shown} is another one", broker))
    if wanted.scheme != used.scheme:
        step = "say the same for both (rediss:// where the server speaks TLS), or "
        raise ConfigError(_refusal(f"{wanted.shown} goes another way there", broker, step))
    databases = [_database(url) for url in (broker, backend)]
    if databases[0] != databases[1]:
        _say_once(
            f"backend: results are kept in the broker's database, {databases[0]}, and not in {databases[1]}, as the "
            "backend says: leave backend out"
        )


def _keeps_results(url: str) -> bool:
    """Whether a URL is that of a broker which keeps results itself, well formed or not."""
    return is_redis(url) or is_pg(url) or is_sqlite(url) or is_mysql(url)


def _database(url: str) -> str | int:
    """Return which database of its server a URL names."""
    if is_pg(url):
        return parse_pg(url).database
    return parse_mysql(url).database if is_mysql(url) else parse(url).db


def _say_once(sentence: str) -> None:
    # In a worker nobody can do anything about it.
    if sentence not in _said and not context.serving:
        _said.add(sentence)
        warn(sentence)


def ledger_of(broker: str, backend: str | None) -> str:
    """Return the URL of the server that keeps calls and results for a broker that only carries references to them.

    Args:
        backend: None: what NBTASKS_BACKEND says.

    Raises:
        ConfigError: nothing says which it is, or it is none that can.
    """
    shown = parse_carrier(broker).shown
    found = backend or os.environ.get(BACKEND_VARIABLE)
    if not found:
        raise ConfigError(f"broker: {shown} brings calls to workers and keeps no results: {BESIDE}")
    if not _keeps_results(found):
        named, _ = for_results(found)
        raise ConfigError(
            f"backend: beside {shown} there must be a server that keeps calls and results, and {named} is none that "
            f"can: {BESIDE}"
        )
    parse(found, "backend")
    return found


def _refusal(why: str, broker: str, step: str = "") -> str:
    where = (
        f"the broker at {parse(broker).shown}" if broker else "the embedded server, for no broker is named"
    )
    return (
        f"backend: results are kept on the broker's own server, and {why}: {step}leave backend out "
        f"(this App uses {where})"
    )
