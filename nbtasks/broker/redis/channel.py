"""The bytes on one connection: commands go out, replies come in.

redis-py makes the connection, with TLS and login, and knows what errors mean. What it does for every single command
after that takes longer than the command.
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import hiredis
from redis.exceptions import ConnectionError, InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

from nbtasks.core.cpus import usable_cpus

from .inside import inside

#: A socket's timeout is for one write as a whole, so large values are written in pieces.
_WRITE_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
#: The first line of a string's reply is shorter; another reply may have a longer one.
_HEAD_BYTES = 32
_END = b"\r\n"
#: Seconds for which a short answer is looked for again and again instead of being slept for: to be woken up takes a
#: thread as long as half of the rest of a call. Not where that would take the only CPU from who is to answer.
_EAGER_S = 0.000_5 if usable_cpus() > 1 else 0.0
#: Larger arguments are sent from where they are.
_UNCOPIED_BYTES = 256 * 1024

#: What making an object of bytes raises that are no reply of a server.
NOT_REPLIES = (TypeError, ValueError, OverflowError, MemoryError, RecursionError)

Argument = str | bytes | memoryview | int | float


class Packed(bytes):
    """A command as the protocol has it: made once, for what is said again and again."""


Command = Sequence[Argument] | Packed


def packed(command: Sequence[Argument]) -> Packed:
    """Return a command ready to be sent."""
    return Packed(_pack(command))


class Channel:
    """A connection that was just made by the library, from here on written and read without it.

    Raises:
        ConfigError: this redis-py is another one inside.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._socket, error = inside(connection)
        self._timeout_s = self._socket.gettimeout()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._eager_s = _EAGER_S
        self._buffer = bytearray(_READ_BYTES)
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=error,
            notEnoughData=_NOT_YET,
        )

    @property
    def socket(self) -> Any:
        """The socket."""
        return self._socket

    def send(self, commands: Sequence[Command], timeout_s: float) -> None:
        """Write commands.

        Args:
            timeout_s: seconds for each write, and for each part of a reply after it.
        """
        if timeout_s != self._timeout_s:
            self._socket.settimeout(timeout_s)
            self._timeout_s = timeout_s
        try:
            for piece in _in_pieces(_joined(commands)):
                self._socket.sendall(piece)
        except TimeoutError as error:
            raise RedisTimeoutError("Timeout writing to socket") from error

    def read(self) -> Any:
        """Return the next reply; one that is an error is returned as an exception.

        Raises:
            ConnectionError: the connection has ended, or the server refuses to serve it.
        InvalidResponse: what has come is no reply.
        """
        try:
            reply = self._reader.gets()
            while reply is _NOT_YET:
                self._receive()
                reply = self._reader.gets()
        except NOT_REPLIES as error:
            raise InvalidResponse(str(error)) from error
        if isinstance(reply, ConnectionError):
            raise reply
        return reply

    def read_into(self, target: memoryview) -> Any:
        """Return the next reply; of a string that fits into ``target``, put it there and return its length.

        The library would copy a large one three times on its way. To be called while nothing else is asked.
        """
        n = self._receive_raw()
        while self._buffer.find(_END, 0, n) < 0 and n < _HEAD_BYTES:
            n += self._receive_raw(n)
        kind, length, start = _head_of(self._buffer, n)
        if kind != b"$" or not 0 <= length <= len(target):
            self._reader.feed(self._buffer, 0, n)  # type: ignore[arg-type]
            return self.read()
        have = min(n - start, length)
        target[:have] = memoryview(self._buffer)[start : start + have]
        end = n - start - have
        while have < length:
            have += self._received(self._socket.recv_into, target[have:length])
        while end < len(_END):
            end += self._receive_raw()
        return length

    @property
    def is_plain(self) -> bool:
        """Whether what comes in is what the server sends: with TLS, there may be something in between."""
        return not isinstance(self._socket, ssl.SSLSocket)

    def has_come(self, within_s: float, eager: bool = False) -> bool:
        """Wait until something comes in.

        Args:
            eager: somebody waits for a short answer; where answers have taken longer lately, it makes no difference.
        """
        if not eager:
            return bool(self._poll.poll(within_s * 1000))
        began = time.perf_counter()
        come = self._comes_by(began + min(within_s, self._eager_s)) or bool(self._poll.poll(within_s * 1000))
        self._eager_s = _EAGER_S if time.perf_counter() - began < _EAGER_S else self._eager_s / 2
        return come

    def _comes_by(self, deadline: float) -> bool:
        poll, clock = self._poll.poll, time.perf_counter
        while clock() < deadline:
            # Other threads get their turn with each of these.
            if poll(0):
                return True
        return False

    def is_stale(self) -> bool:
        """Whether something has come in while nothing was asked: the connection was cut."""
        self._socket.settimeout(0.0)
        self._timeout_s = 0.0
        try:
            self._receive()
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except (ConnectionError, OSError):
            pass
        return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _receive(self) -> None:
        n = self._receive_raw()
        # Any buffer will do, whatever its type hints say.
        self._reader.feed(self._buffer, 0, n)  # type: ignore[arg-type]

    def _receive_raw(self, at: int = 0) -> int:
        """Read into the buffer, from a place on; return the number of bytes."""
        return self._received(self._socket.recv_into, memoryview(self._buffer)[at:] if at else self._buffer)

    def _received(self, receive: Callable[[Any], int], target: Any) -> int:
        try:
            n = receive(target)
        except TimeoutError as error:
            raise RedisTimeoutError("Timeout reading from socket") from error
        if n == 0:
            raise ConnectionError("Connection closed by server.")
        return n


_NOT_YET = object()


def _head_of(buffer: bytearray, n: int) -> tuple[bytes, int, int]:
    """Return the kind of a reply, the length that it announces (-1: none), and where it begins."""
    end = buffer.find(_END, 0, n)
    digits = bytes(buffer[1:end])
    return bytes(buffer[:1]), int(digits) if end > 0 and digits.isdigit() else -1, end + len(_END)


def _joined(commands: Sequence[Command]) -> Iterable[bytes | memoryview]:
    packs = []
    for command in commands:
        if _has_large(command):
            return (part for command in commands for part in _parts(command))
        packs.append(_pack(command))
    return (b"".join(packs),)


def _pack(command: Command) -> bytes:
    if type(command) is Packed:
        return command
    # Its type hints mean a tuple of one item.
    data: bytes = hiredis.pack_command(tuple(command))  # type: ignore[arg-type]
    return data


def _has_large(command: Command) -> bool:
    if type(command) is Packed:
        return False
    for argument in command:
        kind = type(argument)
        if (kind is bytes or kind is memoryview) and len(argument) > _UNCOPIED_BYTES:  # type: ignore[arg-type]
            return True
    return False


def _parts(command: Command) -> Iterator[bytes | memoryview]:
    """Write a command as the protocol has it, without copying large arguments."""
    if type(command) is Packed:
        yield command
        return
    yield b"*%d\r\n" % len(command)
    for argument in command:
        if isinstance(argument, (bytes, memoryview)):
            data = argument if isinstance(argument, bytes) else argument.cast("B")
        else:
            data = str(argument).encode()
        yield b"$%d\r\n" % len(data)
        yield data
        yield b"\r\n"


def _in_pieces(parts: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    for part in parts:
        if len(part) <= _WRITE_BYTES:
            yield part
            continue
        whole = memoryview(part).cast("B")
        for start in range(0, len(whole), _WRITE_BYTES):
            yield whole[start : start + _WRITE_BYTES]
