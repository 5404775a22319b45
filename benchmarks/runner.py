"""Runs cells, one at a time: a fresh server, a process in the peer's environment, a time limit, a clean end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import environments, peers, processes, works
from benchmarks.cell import ORDER_VARIABLE
from benchmarks.otherservers import OtherServers
from benchmarks.server import Server, find_binary

END_S = 20.0


@dataclass(frozen=True)
class Cell:
    """One peer doing one work, in one round."""

    peer: str
    work: str
    round: int


class CellFailed(Exception):
    """A cell has no figure; the text says why."""


def plan(names: Iterable[str], wanted: Iterable[str], rounds: int) -> Iterator[Cell]:
    """Yield the cells: in each round every work, in each work every peer, another one first each time."""
    names = list(names)
    for number in range(rounds):
        for work in wanted:
            first = number % len(names)
            for peer in names[first:] + names[:first]:
                if works.find(work).suits(peers.find(peer)):
                    yield Cell(peer, work, number)


class Runner:
    """Runs cells with the Pythons of the peers' environments."""

    def __init__(self, pythons: dict[str, Path], quick: bool, logs: Path) -> None:
        self._pythons = pythons
        self._quick = quick
        self._logs = logs
        self._binary = find_binary()
        logs.mkdir(parents=True, exist_ok=True)
        processes.adopt_orphans()
        # So that an end by TERM, too, leaves nothing of the running cell.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def run(self, cell: Cell) -> dict:
        """Run a cell; return what it says: ``measured`` and ``versions``, or ``error``."""
        try:
            with self._place(cell) as setting:
                return self._run(cell, setting)
        except CellFailed as failure:
            return {"error": str(failure)}

    @contextlib.contextmanager
    def _place(self, cell: Cell):
        """Make what a cell needs, and leave nothing of it."""
        work, peer = works.find(cell.work), peers.find(cell.peer)
        folder = tempfile.mkdtemp(prefix="nbb-", dir="/tmp")
        server = Server(self._binary) if peer.on_redis else None
        others = OtherServers(peer.servers) if peer.servers else None
        try:
            urls = {}
            if server:
                server.start()
                urls = {"socket_url": server.socket_url, "tcp_url": server.tcp_url}
            if others:
                urls |= others.start()
            yield work.setting(peer, folder=folder, **urls)
        finally:
            if others:
                others.stop()
            processes.end_descendants()
            if server:
                server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, cell: Cell, setting) -> dict:
        ours, theirs = socket.socketpair()
        log = self._logs / f"{cell.work}-{cell.peer}-{cell.round}.log"
        with ours, log.open("wb") as output:
            order = {
                "peer": cell.peer,
                "work": cell.work,
                "setting": setting.to_json(),
                "quick": self._quick,
                "descriptor": theirs.fileno(),
                "started_at": time.time(),
            }
            process = subprocess.Popen(
                [str(self._pythons[cell.peer]), "-m", "benchmarks.cell"],
                env=_environment(order),
                cwd=setting.folder,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            theirs.close()
            outcome = Listener(cell, process.pid, ours).listen()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
        return outcome


def _environment(order: dict) -> dict[str, str]:
    # A benchmark of one set of figures must not depend on who runs it.
    foreign = ("NBTASKS_", "CELERY_", "RQ_", "DASK_", "RAY_", "VIRTUAL_ENV", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "PYTHONPATH": str(environments.import_path()),
        # The libraries that multiply matrices would otherwise fight for the cores.
        "OMP_NUM_THREADS": "1",
        ORDER_VARIABLE: json.dumps(order),
    }


class Listener:
    """The other side of a cell's socket: hears marks, looks at CPU times, hears the outcome."""

    def __init__(self, cell: Cell, pid: int, connection: socket.socket) -> None:
        self._peer = peers.find(cell.peer)
        self._pid = pid
        self._connection = connection
        self._limit_s = works.find(cell.work).limit_s
        self._before: dict[str, float] = {}

    def listen(self) -> dict:
        """Return the cell's last message.

        Raises:
            CellFailed: it ended without one, or its time was over.
        """
        end = time.monotonic() + self._limit_s
        lines = self._connection.makefile("r", encoding="utf-8")
        while True:
            self._connection.settimeout(max(0.1, end - time.monotonic()))
            try:
                line = lines.readline()
            except TimeoutError:
                raise CellFailed(f"not done within {self._limit_s:g} s") from None
            if not line:
                raise CellFailed("its process ended before it had a figure")
            message = json.loads(line)
            if "mark" not in message:
                return message
            self._answer(message["mark"])

    def _answer(self, mark: str) -> None:
        now = processes.cpu_by_role(self._pid, self._peer.role_of)
        used = {role: seconds - self._before.get(role, 0.0) for role, seconds in now.items()}
        self._before = now
        self._connection.sendall(json.dumps(used if mark == "end" else {}).encode() + b"\n")
