"""beanstalkd, from Debian's package."""

from __future__ import annotations

import contextlib
from pathlib import Path

import greenstalk

from .debian import unpacked
from .server import Server


class Beanstalk(Server):
    """A beanstalkd on a port of loopback; tests have tubes of their own.

    Args:
        durable: False where nothing is looked at after a power failure: it does not wait for the disk.
        disk_mb: have its data on a disk of this size, which can be filled.
        folder: to be made for it, by this name.
    """

    def __init__(
        self, *, durable: bool = True, disk_mb: int | None = None, folder: Path | None = None
    ) -> None:
        super().__init__(unpacked("beanstalk", "beanstalkd"), disk_mb, folder)
        self._durable = durable

    def url(self) -> str:
        """Return its URL."""
        return f"beanstalk://127.0.0.1:{self.port}"

    def client(self, tube: str = "default") -> greenstalk.Client:
        """Return a client of greenstalk that puts into a tube and takes from it."""
        return greenstalk.Client(("127.0.0.1", self.port), use=tube, watch=tube)

    def command(self) -> list[str]:
        """Return how it is started."""
        flush = ["-f0"] if self._durable else ["-F"]
        program = str(self.root / "usr/bin/beanstalkd")
        return [
            program,
            "-l",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-b",
            str(self.disk),
            "-s",
            "1048576",
            *flush,
        ]

    def ask(self) -> None:
        """Ask it for a sign of life."""
        with contextlib.closing(self.client()) as client:
            client.stats()
