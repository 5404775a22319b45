"""What lies there for Celery, and says where its calls go: nbtasks does not read it unasked, and says so."""

from __future__ import annotations

import os
from collections.abc import Iterator

from nbtasks.broker import url as urls
from nbtasks.broker.carriers.carriage import is_carrier, parse_carrier
from nbtasks.core.errors import ConfigError
from nbtasks.local.backend import BACKEND_VARIABLE
from nbtasks.local.connection import CONFIG_VARIABLE, Connection

from .settingsources import is_there

_MODULE = "celeryconfig"
#: Celery's other variables that say where something goes, and what to do.
_VARIABLES = {
    "CELERY_BROKER_READ_URL": "there is one server, for what is put and what is taken: set NBTASKS_BROKER instead",
    "CELERY_BROKER_WRITE_URL": "there is one server, for what is put and what is taken: set NBTASKS_BROKER instead",
    "CELERY_RESULT_BACKEND": "results are kept on that server, too, and nowhere else",
}
_said: set[str] = set()


def unread(used: Connection, read: frozenset[str]) -> Iterator[str]:
    """Yield a sentence for each setting of Celery's that lies there and is not followed, once in a process.

    Args:
        used: where calls go.
        read: names of what the App has read its settings from.
    """
    for what, sentence in _found(used, read):
        if what not in _said:
            _said.add(what)
            yield sentence


def _found(used: Connection, read: frozenset[str]) -> Iterator[tuple[str, str]]:
    but = f"and calls go to {used.title}"
    url, module = os.environ.get("CELERY_BROKER_URL"), os.environ.get("CELERY_CONFIG_MODULE")
    if url and not _is_same(url, used):
        advice = 'set NBTASKS_BROKER instead, or say App(broker=os.environ["CELERY_BROKER_URL"])'
        yield "CELERY_BROKER_URL", f"CELERY_BROKER_URL is not read, {but}: {advice}"
    for name, step in _VARIABLES.items():
        value = os.environ.get(name, "")
        if value and value.partition(":")[0] != "rpc" and not _is_same(value, used):
            yield name, f"{name} is not read, {but}: {step}"
    backend = os.environ.get(BACKEND_VARIABLE, "")
    if backend and not used.carrier and not backend.startswith("rpc") and not _is_same(backend, used):
        advice = "it counts beside a broker that keeps no results, such as a RabbitMQ; unset it, or set NBTASKS_BROKER"
        yield (
            BACKEND_VARIABLE,
            f"{BACKEND_VARIABLE} is not followed, {but}, which keeps results, too: {advice}",
        )
    if module and module not in read:
        advice = f"set {CONFIG_VARIABLE}={module}, or call app.config_from_object({module!r})"
        yield "CELERY_CONFIG_MODULE", f"CELERY_CONFIG_MODULE={module} is not read, {but}: {advice}"
    elif not module and not read and is_there(_MODULE):
        advice = f"call app.config_from_object({_MODULE!r}), or set {CONFIG_VARIABLE}={_MODULE}"
        yield _MODULE, f"{_MODULE}.py lies here and is not read, {but}: {advice}"


def _is_same(one: str, used: Connection) -> bool:
    """Whether a URL names where calls go, or what keeps them."""
    try:
        if is_carrier(one):
            return bool(used.carrier) and parse_carrier(one).shown == parse_carrier(used.carrier).shown
        return urls.parse(one).names_server_of(urls.parse(used.url))
    except ConfigError:
        return False
