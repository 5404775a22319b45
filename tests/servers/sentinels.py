"""A server with replicas, and the sentinels that watch it: real processes on loopback, of one flavour."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from tests.chaos.servers import Flavour

from .server import Server

#: How sentinels call the server.
MASTER = "mymaster"
_SOON = 60.0


class KeyServer(Server):
    """A Redis or Valkey on a port of loopback.

    Args:
        flavour: which program it is.
        settings: of its configuration, as on the command line.
        password: of the server, and of the one that it follows.
    """

    #: It lies where the user of the tests has it.
    served = False

    def __init__(self, flavour: Flavour, *settings: str, password: str = "") -> None:
        self.flavour, self.settings, self.password = flavour, settings, password
        super().__init__(Path(sys.prefix))

    def command(self) -> list[str]:
        """Return how it is started."""
        given = ["--requirepass", self.password, "--masterauth", self.password] if self.password else []
        return [
            *(
                str(self.flavour.binary),
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--dir",
                str(self.disk),
            ),
            *("--save", "", "--repl-diskless-sync-delay", "0", *given, *self.settings),
        ]

    def environment(self) -> dict[str, str]:
        """Return what it is started with."""
        return {**super().environment(), "LD_LIBRARY_PATH": self.flavour.libraries}

    def ask(self) -> None:
        """Ask it for a sign of life."""
        with self.client() as client:
            client.ping()

    @contextlib.contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A plain client, as an operator has."""
        client = redis.Redis(port=self.port, password=self.password or None, single_connection_client=True)
        try:
            yield client
        finally:
            client.close()

    def info(self) -> dict[str, Any]:
        """Return what it says of replication."""
        with self.client() as client:
            return dict(client.info("replication"))


class Sentinel(KeyServer):
    """A sentinel; ``password`` is its own.

    Args:
        watched: the server, as it is known in the beginning.
        quorum: how many of them must agree that it is down.
        port: of the server, as others are told it; its own if None.
        lines: more of its configuration.
    """

    def __init__(
        self,
        flavour: Flavour,
        watched: KeyServer,
        quorum: int,
        password: str = "",
        port: int | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        super().__init__(flavour, password=password)
        self._watched, self._quorum, self._lines = watched, quorum, lines
        self._at = port or watched.port

    def prepare(self) -> None:
        """Write its configuration, which it keeps up itself from then on."""
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.disk}",
            *self._lines,
            f"sentinel monitor {MASTER} 127.0.0.1 {self._at} {self._quorum}",
            f"sentinel down-after-milliseconds {MASTER} 600",
            f"sentinel failover-timeout {MASTER} 6000",
        ]
        if self._watched.password:
            lines.append(f"sentinel auth-pass {MASTER} {self._watched.password}")
        if self.password:
            lines += [f"requirepass {self.password}", f"sentinel sentinel-pass {self.password}"]
        (self.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        """Return how it is started."""
        return [str(self.flavour.binary), str(self.folder / "sentinel.conf"), "--sentinel"]

    def master(self) -> int:
        """Return the port of the server that it takes for the master."""
        with self.client() as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])

    def others(self) -> tuple[int, int]:
        """Return how many replicas and other sentinels it knows of."""
        with self.client() as client:
            facts = client.execute_command("SENTINEL", "MASTER", MASTER)
        if not isinstance(facts, dict):
            facts = dict(zip(facts[::2], facts[1::2], strict=True))
        told = {_text(name): _text(value) for name, value in facts.items()}
        return int(told["num-slaves"]), int(told["num-other-sentinels"])


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class WatchedPair:
    """A master, its replicas and its sentinels, all started and known to each other."""

    def __init__(self, servers: list[KeyServer], sentinels: list[Sentinel]) -> None:
        self.servers, self.sentinels = servers, sentinels

    @property
    def places(self) -> str:
        """The sentinels, as a URL has them."""
        return ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)

    @property
    def url(self) -> str:
        """How it is named to an App."""
        password = self.servers[0].password
        login = f":{password}@" if password else ""
        own = f"&sentinel_password={self.sentinels[0].password}" if self.sentinels[0].password else ""
        return f"sentinel://{login}{self.places}/0?master_name={MASTER}{own}"

    @property
    def master(self) -> KeyServer:
        """The server that the first sentinel takes for the master."""
        port = self.sentinels[0].master()
        return next(one for one in self.servers if one.port == port)

    def await_known(self) -> None:
        """Return when each knows all others, and the replicas have what the master has."""
        replicas, others = len(self.servers) - 1, len(self.sentinels) - 1
        _until(
            lambda: (
                all(one.others() == (replicas, others) for one in self.sentinels)
                and all(one.info().get("master_link_status") == "up" for one in self.servers[1:])
            ),
            "sentinels and servers know each other",
        )

    def fail_over(self) -> None:
        """Kill the master, and return when all sentinels know another one that says itself that it is."""
        old = self.master
        old.kill()
        _until(lambda: self._has_followed(old), "another server is the master")

    def _has_followed(self, old: KeyServer) -> bool:
        ports = {one.master() for one in self.sentinels}
        return len(ports) == 1 and old.port not in ports and self.master.info()["role"] == "master"


def _until(condition: Any, what: str) -> None:
    end = time.monotonic() + _SOON
    while not condition():
        assert time.monotonic() < end, f"not so in {_SOON} s: {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def watched(
    flavour: Flavour, replicas: int = 1, sentinels: int = 3, *settings: str, password: str = "", own: str = ""
) -> Iterator[WatchedPair]:
    """Start them; they end with the block.

    Args:
        password: of the servers.
        own: password of the sentinels.
    """
    with contextlib.ExitStack() as stack:

        def start(server: Any) -> Any:
            stack.callback(server.close)
            return server.start()

        master = start(KeyServer(flavour, *settings, password=password))
        follow = ("--replicaof", "127.0.0.1", str(master.port))
        servers = [
            master,
            *(start(KeyServer(flavour, *settings, *follow, password=password)) for _ in range(replicas)),
        ]
        watching = [start(Sentinel(flavour, master, sentinels // 2 + 1, own)) for _ in range(sentinels)]
        made = WatchedPair(servers, watching)
        made.await_known()
        yield made
