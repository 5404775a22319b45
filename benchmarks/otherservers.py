"""PostgreSQL, RabbitMQ, MariaDB and Beanstalk for one cell: those of the tests, in a program of their own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

from benchmarks.environments import ROOT

#: What is not as it is by default: the tests' server has little memory, for there are many of them.
SETTINGS = {
    "postgresql": ("shared_buffers=128MB", "max_wal_size=1GB"),
    "rabbitmq": (),
    "mariadb": ("innodb_buffer_pool_size=128M",),
    "beanstalk": (),
}
#: Where a cell is told of it.
NAMES = {
    "postgresql": "postgres_url",
    "rabbitmq": "rabbitmq_url",
    "mariadb": "mariadb_url",
    "beanstalk": "beanstalk_url",
}
END_S = 30.0


class OtherServers:
    """They run from ``start()`` to ``stop()``."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self._kinds = kinds
        self._process: subprocess.Popen | None = None

    def start(self) -> dict[str, str]:
        """Return their URLs, as a Setting has them."""
        words = [word for kind in self._kinds for word in (kind, *SETTINGS[kind])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers", *words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"no {' and '.join(self._kinds)}: see what was written above")
        return {NAMES[kind]: url for kind, url in json.loads(line).items()}

    def stop(self) -> None:
        if self._process is not None:
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
