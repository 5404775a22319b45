"""``python -m tests.servers postgresql rabbitmq``: servers to try things on, which end with this program's input.

Each is an empty one of its own, on loopback. When all answer, a line of the output says where they are: a JSON object
of name -> URL. From the checkout's folder, with the packages of the group ``test``. ``NAME=VALUE`` behind a server is
one of its settings, as ``postgresql shared_buffers=128MB``.
"""

from __future__ import annotations

import contextlib
import json
import sys

from .cache import Missing


def main(given: list[str]) -> None:
    """Start what is named, say where it is, and wait until nobody needs it."""
    wanted: dict[str, dict[str, str]] = {}
    for word in given:
        name, is_setting, value = word.partition("=")
        if is_setting and wanted:
            wanted[list(wanted)[-1]][name] = value
        elif word in _STARTS:
            wanted[word] = {}
        else:
            raise SystemExit(f"{__doc__}\nThere are: {', '.join(_STARTS)}")
    with contextlib.ExitStack() as stack:
        print(
            json.dumps({name: _STARTS[name](stack, settings) for name, settings in wanted.items()}),
            flush=True,
        )
        sys.stdin.read()


def _postgresql(stack: contextlib.ExitStack, settings: dict[str, str]) -> str:
    from .postgresql import PostgreSQL

    server = stack.enter_context(PostgreSQL(settings))
    server.start()
    return server.url(stack.enter_context(server.database()))


def _rabbitmq(stack: contextlib.ExitStack, settings: dict[str, str]) -> str:
    from .rabbitmq import RabbitMQ

    server = stack.enter_context(RabbitMQ(settings))
    server.start()
    return server.url()


def _mariadb(stack: contextlib.ExitStack, settings: dict[str, str]) -> str:
    from .mariadb import MariaDB

    server = stack.enter_context(MariaDB(settings))
    server.start()
    return server.url(stack.enter_context(server.database()))


def _beanstalk(stack: contextlib.ExitStack, settings: dict[str, str]) -> str:
    from .beanstalk import Beanstalk

    if settings:
        raise SystemExit("beanstalk has no settings here")
    server = stack.enter_context(Beanstalk())
    server.start()
    return server.url()


_STARTS = {"postgresql": _postgresql, "rabbitmq": _rabbitmq, "mariadb": _mariadb, "beanstalk": _beanstalk}


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Missing as reason:
        raise SystemExit(str(reason)) from None
