"""RabbitMQ 3.10 with its Erlang, from Debian's packages; without plugins."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import amqp

from .cache import template
from .debian import unpacked
from .server import Server, free_port, give
from .tls import Certificates

#: A user with all rights, but not to other vhosts than it is given.
USER, PASSWORD = "nbtasks", "secret"
_COOKIE = "of-the-tests"
_numbers = itertools.count(1)

#: Erlang's own start script holds the place where Debian installs it.
_ERL = """#!/bin/sh
export ROOTDIR='{home}' BINDIR='{programs}' EMU=beam PROGNAME=erl
exec "$BINDIR/erlexec" "$@"
"""


def packages() -> Path:
    """Return the folder with RabbitMQ and Erlang.

    Raises:
        Missing: they cannot be had.
    """
    parts = "base asn1 crypto public-key mnesia runtime-tools ssl eldap ftp tftp inets snmp os-mon parsetools"
    parts += " syntax-tools tools xmerl"
    erlang = [f"erlang-{part}" for part in parts.split()]
    return unpacked("rabbitmq", "rabbitmq-server", *erlang, "libssl3")


class RabbitMQ(Server):
    """A RabbitMQ node on a port of loopback.

    Args:
        settings: lines of rabbitmq.conf, as ``{"vm_memory_high_watermark.relative": 0.2}``.
        consumer_timeout_s: how long a consumer may hold a message; the server looks once a minute.
        tls: encrypted connections only, with a certificate of an authority of its own.
        folder: to be made for it, by this name.
        copied: False to make its data anew, which takes twice as long as to copy them.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        consumer_timeout_s: float = 1800.0,
        tls: bool = False,
        folder: Path | None = None,
        copied: bool = True,
    ) -> None:
        super().__init__(packages(), folder=folder)
        self._copied = copied
        self.certificates = Certificates(self.folder) if tls else None
        self._ports = {"dist": free_port(), "epmd": free_port()}
        self._erlang = self.root / "usr/lib/erlang"
        self._programs = next(self._erlang.glob("erts-*/bin"))
        self.settings = {
            "default_user": USER,
            "default_pass": PASSWORD,
            "consumer_timeout": round(consumer_timeout_s * 1000),
            "disk_free_limit.absolute": "1MB",
            "log.file": "false",
            "log.console": "true",
            **self._listeners(),
            **(settings or {}),
        }

    def url(self, vhost: str = "/", user: str = USER, password: str = PASSWORD, **options: str) -> str:
        """Return the URL of a vhost."""
        scheme = "amqp"
        if self.certificates is not None:
            scheme, options = "amqps", {"cacertfile": str(self.certificates.authority), **options}
        query = f"?{urlencode(options)}" if options else ""
        return f"{scheme}://{user}:{password}@127.0.0.1:{self.port}/{quote(vhost, safe='')}{query}"

    def connect(
        self, vhost: str = "/", user: str = USER, password: str = PASSWORD, **options: Any
    ) -> amqp.Connection:
        """Return a connection of py-amqp, not yet open: ``with server.connect() as connection``."""
        ssl: Any = False
        if self.certificates is not None:
            ssl = {"ca_certs": str(self.certificates.authority), "server_hostname": "localhost"}
        around = {"virtual_host": vhost, "ssl": ssl, "connect_timeout": 10}
        return amqp.Connection(f"127.0.0.1:{self.port}", user, password, **{**around, **options})

    @contextlib.contextmanager
    def vhost(self) -> Iterator[tuple[str, str]]:
        """A vhost with nothing in it, and a user who may do all there, and nothing elsewhere; both go after the block.

        Yields:
            Their names. The user's password is that of every user here.
        """
        name = user = f"t{os.getpid()}-{next(_numbers)}"
        self.erlang(f'rabbit_vhost:add(<<"{name}">>, <<"tests">>)')
        self.erlang(f'rabbit_auth_backend_internal:add_user(<<"{user}">>, <<"{PASSWORD}">>, <<"tests">>)')
        rights = ", ".join(['<<".*">>'] * 3)
        for one in (user, USER):
            self.erlang(
                "rabbit_auth_backend_internal:set_permissions("
                f'<<"{one}">>, <<"{name}">>, {rights}, <<"tests">>)'
            )
        try:
            yield name, user
        finally:
            if self.running:
                self.erlang(f'rabbit_vhost:delete(<<"{name}">>, <<"tests">>)')
                self.erlang(f'rabbit_auth_backend_internal:delete_user(<<"{user}">>, <<"tests">>)')

    def sync(self) -> None:
        """Have it write which queues it has.

        By itself it does so within three seconds; a quorum queue that is younger is lost by ``kill`` with the messages
        that were confirmed, and answers no more (seen with 3.10).
        """
        self.erlang("lists:foreach(fun dets:sync/1, dets:all())")

    def erlang(self, expression: str) -> str:
        """Evaluate an expression inside the node, which is quicker than rabbitmqctl by seconds."""
        done = subprocess.run(
            [
                str(self._erlang / "bin/erl_call"),
                *("-address", f"localhost:{self._ports['dist']}", "-c", _COOKIE, "-R", "-timeout", "60", "-e"),
            ],
            input=f"{expression}.\n", env=self.environment(),
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        said = re.fullmatch(r"\{ok, (.*)\}\s*", done.stdout, re.DOTALL)
        assert said, f"{expression}: {done.stdout}{done.stderr}"
        return said[1]

    # --- how it is started ------------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Return what it and its tools are started with."""
        around = super().environment()
        folder = self.folder
        return {
            **around,
            "PATH": f"{folder}/bin:{around['PATH']}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._ports["epmd"]),
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/no-environment",
            "RABBITMQ_DIST_PORT": str(self._ports["dist"]),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_MNESIA_BASE": str(self.disk),
            "RABBITMQ_NODENAME": "rabbit@localhost",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"-setcookie {_COOKIE} -kernel inet_dist_use_interface {{127,0,0,1}} +S 2:2 +sbwt none"
            ),
            # The signals of tests go to the node itself, without a shell between.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def prepare(self) -> None:
        """Write its configuration, and copy the template."""
        (self.folder / "bin").mkdir(exist_ok=True)
        text = "".join(f"{name} = {value}\n" for name, value in self.settings.items())
        files = {
            "bin/erl": _ERL.format(home=self._erlang, programs=self._programs),
            "rabbitmq.conf": text,
            "plugins": "[].\n",
        }
        for name, content in files.items():
            (self.folder / name).write_text(content)
            give(self.folder / name)
        (self.folder / "bin").chmod(0o755)
        (self.folder / "bin/erl").chmod(0o755)
        if self._copied:
            self.run("cp", "-r", f"{template(self.root, _made)}/.", str(self.disk))

    def command(self) -> list[str]:
        """Return how it is started."""
        # It would start the names' daemon by a script that holds the place where Debian installs it.
        programs = [str(self._programs / "epmd"), str(self.root / "usr/lib/rabbitmq/bin/rabbitmq-server")]
        return ["sh", "-c", '"$0" -daemon && exec "$1"', *programs]

    def ask(self) -> None:
        """Ask for a connection."""
        with self.connect():
            pass

    def _listeners(self) -> dict[str, Any]:
        if self.certificates is None:
            return {"listeners.tcp.1": f"127.0.0.1:{self.port}"}
        return {
            "listeners.tcp": "none",
            "listeners.ssl.1": f"127.0.0.1:{self.port}",
            "ssl_options.cacertfile": self.certificates.authority,
            "ssl_options.certfile": self.certificates.chain,
            "ssl_options.keyfile": self.certificates.key,
        }


@contextlib.contextmanager
def _made(_: Path) -> Iterator[Path]:
    """The data of a node that has been started and stopped."""
    with RabbitMQ(copied=False) as server:
        server.start()
        server.stop()
        yield server.disk
