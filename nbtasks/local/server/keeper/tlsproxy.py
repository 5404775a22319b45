"""Lets other machines reach the embedded server: TLS and a password outside, the server's unix socket inside.

The bundled server speaks no TLS, so this process stands in front of it. Started by the keeper, with the standard
library only. Standard input is its life line: it ends with the keeper. Standard output gets one line, either
``listening <host> <port>`` or ``deaf <reason>``.

A connection may say nothing but AUTH (or HELLO with AUTH) until the one user and password were right; what follows
goes to the server as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hmac
import os
import resource
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator

USER = "nbtasks"
#: Private key and certificate, PEM.
CERTIFICATE_FILE = "certificate.pem"
PASSWORD_FILE = "password"  # noqa: S105 - a file's name

#: Seconds that a connection has to prove that it belongs here.
LOGIN_S = 10.0
#: Connections that are about to log in, in all and from one machine: each takes up to a megabyte.
MOST_NEWCOMERS = 64
MOST_NEWCOMERS_OF_ONE = 16
#: Those from one machine that wait for that, for which nothing is spent but a descriptor.
MOST_WAITING_OF_ONE = 512
ACCEPT_AGAIN_S = 0.1
#: Wrong words before the right ones.
LOGIN_TRIES = 3
#: HELLO 3 AUTH user password SETNAME name.
MOST_WORDS = 8
MOST_WORD_BYTES = 1024
CHUNK_BYTES = 1 << 18
#: Seconds of silence after which a peer is asked whether it lives, between two questions, and how many are asked.
KEEPALIVE = (15, 5, 3)
#: A port that the proxy before this one held may be free only in a moment.
BIND_TRIES = 20
BIND_PAUSE_S = 0.1
MOST_DESCRIPTORS = 65536
#: Refused logins that are written to the log; a stranger shall not fill the disk.
MOST_NOTES = 100


class _Rejected(Exception):
    """A connection that does not belong here."""


class Newcomers:
    """Connections that have not proved yet that they belong here: few at a time, so that they take little memory.

    Those of one machine wait for each other, so they hold up nobody else. Where there are too many of many machines,
    the oldest has to go: who belongs here needs only a moment. Who has logged in is none any more.
    """

    def __init__(self) -> None:
        #: Machine -> how many of it there are, waiting ones included, and the room for those that do not wait.
        self._known: dict[str, tuple[int, asyncio.Semaphore]] = {}
        self._inside: dict[asyncio.Task[None], None] = {}
        self._sent_away = 0

    @contextlib.asynccontextmanager
    async def admitted(self, machine: str) -> AsyncIterator[None]:
        """Let the connection in that the current task serves.

        Raises:
            _Rejected: too many of this machine wait.
        """
        count, room = self._known.get(machine, (0, None))
        room = room or asyncio.Semaphore(MOST_NEWCOMERS_OF_ONE)
        if count >= MOST_NEWCOMERS_OF_ONE + MOST_WAITING_OF_ONE:
            raise _Rejected("too many connections without a login")
        self._known[machine] = count + 1, room
        try:
            async with room:
                with self._place():
                    yield
        finally:
            left = self._known[machine][0] - 1
            self._known[machine] = left, room
            if not left:
                del self._known[machine]

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        if len(self._inside) >= MOST_NEWCOMERS:
            oldest = next(iter(self._inside))
            del self._inside[oldest]
            oldest.cancel()
            self._sent_away += 1
            if not self._sent_away % MOST_NEWCOMERS_OF_ONE:
                # What belongs to a connection refers to itself in circles.
                gc.collect()
        self._inside[task] = None
        try:
            yield
        finally:
            self._inside.pop(task, None)


class Proxy:
    """Takes connections in, and hands bytes on in both directions."""

    def __init__(self, server_socket: str, password: str, context: ssl.SSLContext) -> None:
        self._server_socket = server_socket
        self._context = context
        self._newcomers = Newcomers()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = f"{USER}\0{password}".encode()
        self._notes = 0

    async def accept(self, listening: socket.socket) -> None:
        """Take in whoever comes, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:
                # It has gone already; or there are no descriptors left for now.
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            task = loop.create_task(self.serve(connection, str(address[0])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            # While somebody is at the door, sock_accept() lets nobody else run: those inside would wait for a crowd.
            await asyncio.sleep(0)

    async def serve(self, connection: socket.socket, machine: str) -> None:
        """Serve one connection to its end."""
        writer = None
        try:
            watch_for_silence(connection)
            reader, writer, greeting = await asyncio.wait_for(self._receive(connection, machine), LOGIN_S)
            await self._connect(reader, writer, greeting)
        except (_Rejected, asyncio.LimitOverrunError) as problem:
            self._note(f"{machine}: {problem}")
        except (OSError, EOFError, asyncio.TimeoutError):
            # It has gone, or it said nothing; or the server is being started again, and it may try once more.
            return
        finally:
            if writer is not None:
                await _close(writer)

    async def _receive(
        self, connection: socket.socket, machine: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """Hear whether a connection belongs here; return its streams, and what the server has to answer."""
        writer = None
        try:
            async with self._newcomers.admitted(machine):
                reader, writer = await shake_hands(connection, self._context)
                return reader, writer, await self._log_in(reader, writer)
        except BaseException:
            if writer is not None:
                await _close(writer)
            else:
                # What had begun of TLS is over by now.
                connection.close()
            raise

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(
            self._server_socket, limit=CHUNK_BYTES
        )
        if greeting:
            inner_writer.write(greeting)
        else:
            writer.write(b"+OK\r\n")
        await join((reader, inner_writer), (inner_reader, writer))

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Hear AUTH or HELLO; return what of it the server has to answer, which is nothing for AUTH."""
        for _ in range(LOGIN_TRIES):
            words = await read_command(reader)
            credentials, rest = split_login(words)
            if credentials is None:
                writer.write(b"-NOAUTH Authentication required.\r\n")
            elif hmac.compare_digest(b"\0".join(credentials), self._wanted):
                return pack_command(rest) if rest else b""
            else:
                writer.write(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
                await writer.drain()
                raise _Rejected("wrong user or password")
            await writer.drain()
        raise _Rejected("no login")

    def _note(self, text: str) -> None:
        self._notes += 1
        if self._notes <= MOST_NOTES:
            sys.stderr.write(f"refused: {text}\n")
            sys.stderr.flush()


async def shake_hands(
    connection: socket.socket, context: ssl.SSLContext
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin TLS on a connection that was accepted."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=CHUNK_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol, connection, ssl=context, ssl_handshake_timeout=LOGIN_S
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def split_login(words: list[bytes]) -> tuple[list[bytes] | None, list[bytes]]:
    """Return the credentials of a command, None if it has none, and the command without them."""
    if words[0].upper() == b"AUTH":
        return words[1:], []
    if words[0].upper() == b"HELLO" and len(words) >= 5 and words[2].upper() == b"AUTH":
        return words[3:5], words[:2] + words[5:]
    return None, words


def pack_command(words: list[bytes]) -> bytes:
    """Return a command as clients send it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


async def read_command(reader: asyncio.StreamReader) -> list[bytes]:
    """Read one command, as clients send them.

    Raises:
        _Rejected: it is none, or it is longer than a login.
    """
    n = await _number(reader, b"*", MOST_WORDS)
    if n == 0:
        raise _Rejected("an empty command")
    words = []
    for _ in range(n):
        size = await _number(reader, b"$", MOST_WORD_BYTES)
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


async def _number(reader: asyncio.StreamReader, mark: bytes, most: int) -> int:
    line = await reader.readuntil(b"\r\n")
    digits = line[1:-2]
    if line[:1] != mark or not digits.isdigit() or len(digits) > 4 or int(digits) > most:
        raise _Rejected("what it says is no login")
    return int(digits)


Way = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def join(one: Way, other: Way) -> None:
    """Hand bytes on in both directions until one of them ends; then both have ended."""
    pumps = [asyncio.ensure_future(_pump(*way)) for way in (one, other)]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for _, writer in (one, other):
            await _close(writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        # Waits where the other side is slower: what is under way is bounded.
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, asyncio.TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 1.0)


def watch_for_silence(connection: socket.socket) -> None:
    """Have a connection ended whose other machine has vanished without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle, pause, count = KEEPALIVE
    options = {"TCP_KEEPIDLE": idle, "TCP_KEEPALIVE": idle, "TCP_KEEPINTVL": pause, "TCP_KEEPCNT": count}
    # Keepalive says nothing while sent bytes wait for their acknowledgement; this does.
    options["TCP_USER_TIMEOUT"] = (idle + pause * count) * 1000
    for name, value in options.items():
        number = getattr(socket, name, None)
        if number is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, number, value)


async def listen(host: str, port: int) -> list[socket.socket]:
    """Open the port; 0 is any that is free. There is a socket for each address of the host.

    Raises:
        OSError: the address is not one of this machine's, or the port is taken.
    """
    for patience in reversed(range(BIND_TRIES)):
        try:
            server = await asyncio.start_server(lambda *_: None, host, port, start_serving=False)
            # Accepted here, and not by asyncio, which would begin with TLS for everybody.
            found = [each.dup() for each in server.sockets]
            for each in found:
                each.setblocking(False)
                each.listen(socket.SOMAXCONN)
            return found
        except OSError:
            if not patience or port == 0:
                raise
            await asyncio.sleep(BIND_PAUSE_S)
    raise AssertionError("not reached")


async def run(proxy: Proxy, host: str, port: int) -> None:
    """Listen, say where, and serve until the life line ends."""
    loop = asyncio.get_running_loop()
    # A stranger's broken handshake is no news.
    loop.set_exception_handler(lambda *_: None)
    over = asyncio.Event()
    loop.add_reader(0, over.set)
    try:
        sockets = await listen(host, port)
    except OSError as error:
        tell(f"deaf {error.strerror or error}")
        return
    tell(f"listening {host} {sockets[0].getsockname()[1]}")
    accepting = [loop.create_task(proxy.accept(each)) for each in sockets]
    await over.wait()
    for task in accepting:
        task.cancel()


def allow_many_descriptors() -> None:
    """Each connection takes two descriptors, and a worker with many children has many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tell(line: str) -> None:
    """Say a line to the keeper."""
    os.write(1, line.encode("utf-8", "replace").replace(b"\n", b" ") + b"\n")


def main() -> None:
    """Run a proxy; folder, server socket, host and port are the arguments."""
    folder, server_socket, host, port = sys.argv[1:5]
    allow_many_descriptors()
    # What is loaded stays: see Newcomers, which has rubbish collected while others wait.
    gc.collect()
    gc.freeze()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, CERTIFICATE_FILE))
    with open(os.path.join(folder, PASSWORD_FILE), encoding="ascii") as file:
        proxy = Proxy(server_socket, file.read().strip(), context)
    asyncio.run(run(proxy, host, int(port)))
    # Connections that are still open end with the process.
    os._exit(0)
