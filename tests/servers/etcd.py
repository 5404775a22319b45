"""etcd 3.4, from Debian's package, with the old interface that kombu speaks."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from .debian import unpacked
from .server import Server, free_port


class Etcd(Server):
    """An etcd on a port of loopback.

    Args:
        folder: to be made for it, by this name.
    """

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(unpacked("etcd", "etcd-server"), folder=folder)
        self._peers = free_port()

    def url(self) -> str:
        """Return its URL."""
        return f"etcd://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return how it is started."""
        here, peers = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self._peers}"
        return [
            str(self.root / "usr/bin/etcd"), "--enable-v2", "--data-dir", str(self.disk / "data"),
            "--listen-client-urls", here, "--advertise-client-urls", here,
            "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
            "--initial-cluster", f"default={peers}",
        ]  # fmt: skip

    def ask(self) -> None:
        """Ask it for a sign of life."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/keys/", timeout=5):
            pass
