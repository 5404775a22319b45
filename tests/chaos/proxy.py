"""A proxy in front of a server that can do what networks do: cut, fall silent, be slow, reset, lose one reply.

It knows which process is at the other end of each connection, and when each of them connected and sent something.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What a server says when a wait was over without anything.
_NOTHING = (b"*-1\r\n", b"$-1\r\n", b"*0\r\n", b"_\r\n")
_REPLY_BYTES = 1 << 16


@dataclass
class Loss:
    """One reply to lose: that to the ``nth`` command whose bytes match, provided that it brings something."""

    pattern: re.Pattern[bytes]
    nth: int = 1
    happened: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class _Connection:
    pid: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    silent: bool = False
    awaits_loss: Loss | None = None


class Proxy:
    """Listens on a unix socket, or on a TCP port of loopback; runs on a thread of its own.

    Attributes:
        target: the unix socket, or the TCP port of loopback, that it leads to.
        delay_s: seconds that each packet takes, in each direction.
        reset_rate: share of packets to the server at which the connection is reset instead.
    """

    def __init__(self, target: Path | int, folder: Path, tcp: bool = False, seed: int = 0) -> None:
        self.target = target
        self.delay_s = 0.0
        self.reset_rate = 0.0
        self.resets = 0
        self._random = random.Random(seed)
        self._mode = "pass"
        self._losses: list[Loss] = []
        self._connections: set[_Connection] = set()
        self._traffic: list[tuple[float, int, str]] = []
        self._socket = _listen(folder / "p", tcp)
        host = self._socket.getsockname()
        self.url = f"redis://127.0.0.1:{host[1]}/0" if tcp else f"unix://{host}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    # -- what a test does

    def cut(self) -> None:
        """Close every connection, and every new one at once, until ``heal``."""
        self._mode = "cut"
        self._on_loop(self._drop_all)

    def go_silent(self) -> None:
        """Swallow everything, also on new connections, until ``heal``; what was open stays silent for ever."""
        self._mode = "silent"
        for connection in list(self._connections):
            connection.silent = True

    def heal(self) -> None:
        """Pass new connections again."""
        self._mode = "pass"

    def reconnect(self) -> None:
        """Close every connection; new ones pass."""
        self._on_loop(self._drop_all)

    def lose_reply(self, pattern: bytes, nth: int = 1) -> Loss:
        """Have one reply lost, and its connection with it; returns what tells when that happened."""
        loss = Loss(re.compile(pattern), nth)
        self._losses.append(loss)
        return loss

    def forget_losses(self) -> None:
        """Lose no reply any more."""
        self._losses.clear()

    def traffic(self, since: float, until: float) -> Counter[int]:
        """Return pid -> connections made and packets sent between two moments (monotonic)."""
        return Counter(pid for at, pid, _ in list(self._traffic) if since <= at < until)

    def forget_traffic(self) -> None:
        """Begin the list of it anew: in a long run it would be what grows most."""
        self._traffic.clear()

    def close(self) -> None:
        """End it."""
        self._mode = "cut"
        self._on_loop(self._drop_all)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._socket.close()

    # -- the loop

    def _on_loop(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        done.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        accepting = self._loop.create_task(asyncio.start_server(self._serve, sock=self._socket))
        self._loop.run_forever()
        if accepting.done():
            accepting.result().close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def _drop_all(self) -> None:
        for connection in list(self._connections):
            _abort(connection)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(_peer(writer), [writer], self._mode == "silent")
        self._note(connection, "connect")
        if self._mode == "cut":
            writer.transport.abort()
            return
        self._connections.add(connection)
        try:
            up_reader, up_writer = await _opened(self.target)
        except OSError:
            if connection.silent:
                await self._pump(connection, reader, writer, self._forward)
            self._connections.discard(connection)
            writer.transport.abort()
            return
        connection.writers.append(up_writer)
        pumps: list[Coroutine[Any, Any, None]] = [
            self._pump(connection, reader, up_writer, self._forward),
            self._pump(connection, up_reader, writer, self._answer),
        ]
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(*pumps)
        self._connections.discard(connection)
        _abort(connection)

    async def _pump(
        self,
        connection: _Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        look: Callable[[_Connection, bytes], bool],
    ) -> None:
        """Pass packets on; each one is late, but they do not wait for each other."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not connection.silent:
                    writer.write(data)
                    await writer.drain()

        deliverer = asyncio.create_task(deliver())
        try:
            while data := await reader.read(_REPLY_BYTES):
                if not look(connection, data):
                    break
                if self.delay_s or not waiting.empty():
                    waiting.put_nowait((time.monotonic() + self.delay_s, data))
                elif not connection.silent:
                    writer.write(data)
                    await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            deliverer.cancel()
            _abort(connection)

    def _forward(self, connection: _Connection, data: bytes) -> bool:
        self._note(connection, "send")
        if connection.silent:
            return True
        for loss in list(self._losses):
            if loss.pattern.search(data):
                loss.nth -= 1
                if loss.nth <= 0:
                    connection.awaits_loss = loss
        if self.reset_rate and self._random.random() < self.reset_rate:
            self.resets += 1
            return False
        return True

    def _answer(self, connection: _Connection, data: bytes) -> bool:
        loss, connection.awaits_loss = connection.awaits_loss, None
        if loss is None or loss not in self._losses or data in _NOTHING:
            return True
        self._losses.remove(loss)
        loss.happened.set()
        return False

    def _note(self, connection: _Connection, what: str) -> None:
        self._traffic.append((time.monotonic(), connection.pid, what))


async def _opened(target: Path | int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(target, int):
        return await asyncio.open_connection("127.0.0.1", target)
    return await asyncio.open_unix_connection(str(target))


def _listen(path: Path, tcp: bool) -> socket.socket:
    if tcp:
        listener = socket.socket(socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
    listener.listen(512)
    listener.setblocking(False)
    return listener


_numbers = itertools.count(-1, -1)


def _peer(writer: asyncio.StreamWriter) -> int:
    """Return the pid at the other end; a negative number where the system does not tell."""
    peer = writer.get_extra_info("socket")
    if sys.platform.startswith("linux") and peer.family == socket.AF_UNIX:
        size = struct.calcsize("3i")
        found: int = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0]
        return found
    return next(_numbers)


def _abort(connection: _Connection) -> None:
    for writer in connection.writers:
        writer.transport.abort()
