"""One connection to the server, made on demand, with one command or one pipeline in flight.

redis-py would send whole pipelines again whenever a connection is lost. Here nothing is, unless the caller says that
it may be sent twice.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    InvalidResponse,
    MasterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from nbtasks.broker.brokererrors import BrokerLoading, LoginRefused, NewsUnreadable, unavailable
from nbtasks.broker.patience import patiently
from nbtasks.broker.silence import has_fallen_silent, note_silence
from nbtasks.broker.unreachable import plain
from nbtasks.broker.url import parse
from nbtasks.core.errors import BackPressure, BrokerUnavailable, ConfigError, OperationalError
from nbtasks.core.unsendable import refuse_to_travel

from .channel import Argument, Channel, Command
from .connecting import Connector, login_refused
from .scripts import SCRIPTS
from .untrusted import is_of_another_type, or_nothing

#: Seconds after which a connection is looked at before it is used: a server or a balancer may have cut it.
_IDLE_S = 0.5
#: Seconds until a command is given up. Together with the pause before the next try it is less than five, the time
#: within which both ends go on after a network has fallen silent and come back.
_TIMEOUT_S = 3.5
#: Seconds that a command which waits on the server may wait there, and in which the reply must come after that.
BLOCK_S = 2.5
#: The same where no network lies between: a server that dies there closes the connection, and it is heard at once.
_LOCAL_BLOCK_S = 30.0
_SLACK_S = 1.5
#: What a server says that cannot write for the moment: another one, or the same one later, can.
_PASSING = ("READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "BUSY")

#: Codes that redis-py turns into classes.
_KNOWN_CODES: dict[type[Exception], str] = {
    ClusterDownError: "CLUSTERDOWN ",
    MasterDownError: "MASTERDOWN ",
    OutOfMemoryError: "OOM ",
    ReadOnlyError: "READONLY ",
    TryAgainError: "TRYAGAIN ",
}


T = TypeVar("T")


class Link:
    """A connection that any thread may use, one at a time.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        label: the URL without its password, for messages.

    Attributes:
        block_s: seconds that a command may wait on the server.
        patience_s: seconds for which a command is sent again after its connection was lost; only for commands that
            may be applied twice.
        connections: how many connections were made so far. Where it has grown, the server may be another one, or
            the same one with older data.
    """

    __stays_here__ = (
        "it knows its server's password. In a task, nbtasks.App.current() has a connection of its own"
    )
    __reduce_ex__ = refuse_to_travel

    def __init__(self, url: str, label: str) -> None:
        self.label = label
        self._connector = Connector(parse(url))
        self.block_s = _LOCAL_BLOCK_S if self._connector.url.scheme == "unix" else BLOCK_S
        self.connections = 0
        self.patience_s = 0.0
        self._url = url
        self._lock = threading.Lock()
        self._channel: Channel | None = None
        #: When the server was last heard on this connection (monotonic).
        self._heard_at = 0.0
        #: When what was asked is answered at the latest (monotonic); None where nothing is asked.
        self._answer_by: float | None = None

    @property
    def connected(self) -> bool:
        """Whether the last command left a usable connection."""
        return self._channel is not None

    def call(self, *args: Argument, timeout_s: float | None = None) -> Any:
        """Send one command and return its reply; a reply that is an error raises."""
        reply = self.pipeline([args], timeout_s)[0]
        if isinstance(reply, Exception):
            raise translated(reply, self.label)
        return reply

    def call_or_nothing(self, command: Command, nothing: Any) -> Any:
        """As :meth:`call`; ``nothing`` where somebody has put something else in the place of the key."""
        return self.several_or_nothing([command], nothing)[0]

    def several_or_nothing(self, commands: Sequence[Command], nothing: Any) -> list[Any]:
        """As :meth:`call_or_nothing` does it, of several in one write."""
        replies = [or_nothing(reply, nothing) for reply in self.pipeline(commands)]
        for reply in replies:
            if isinstance(reply, Exception):
                raise translated(reply, self.label)
        return replies

    def waiting_pipeline(
        self,
        commands: Sequence[Command],
        block_ms: int,
        on_first: Callable[[Any], None] | None = None,
    ) -> list[Any]:
        """Send commands of which one waits on the server; those after it follow when it is done. Tried once.

        Args:
            on_first: called with the first reply, before the others are waited for.
        """
        return self._exchange(commands, block_ms / 1000 + _SLACK_S, on_first)

    @staticmethod
    def script_command(name: str, keys: Sequence[Argument], args: Sequence[Argument]) -> Sequence[Argument]:
        """Return the command that runs one of our scripts, for a pipeline; the server may not know it yet."""
        return ("EVALSHA", SCRIPTS[name].sha, len(keys), *keys, *args)

    def script(
        self, name: str, keys: Sequence[Argument], args: Sequence[Argument], eager: bool = False
    ) -> Any:
        """Run one of our scripts; it is loaded when the server does not know it."""
        script = SCRIPTS[name]
        reply = self.pipeline([self.script_command(name, keys, args)], eager=eager)[0]
        if isinstance(reply, NoScriptError):
            reply = self.pipeline([("EVAL", script.source, len(keys), *keys, *args)])[0]
        if isinstance(reply, Exception):
            raise translated(reply, self.label)
        return reply

    def pipeline(
        self,
        commands: Sequence[Command],
        timeout_s: float | None = None,
        eager: bool = False,
    ) -> list[Any]:
        """Send commands in one write; return the replies, errors among them as exceptions.

        Args:
            eager: as in :meth:`Channel.has_come`.

        Raises:
            BrokerUnavailable: the connection could not be made or was lost; nothing is known about the commands.
        """
        if not commands:
            # Nobody would answer.
            return []
        return patiently(self.patience_s, lambda: self._exchange(commands, timeout_s, eager=eager))

    def fetch(self, key: str, target: memoryview) -> int | None:
        """Return the length of a key's string, or None where there is none; its bytes are in ``target`` if they fit."""

        def get() -> Any:
            channel = self._open()
            channel.send([("GET", key)], _TIMEOUT_S)
            return channel.read_into(target)

        reply = patiently(self.patience_s, lambda: self._guarded(get))
        if isinstance(reply, Exception):
            raise translated(reply, self.label)
        return len(reply) if isinstance(reply, bytes) else reply

    def _exchange(
        self,
        commands: Sequence[Command],
        timeout_s: float | None,
        on_first: Callable[[Any], None] | None = None,
        eager: bool = False,
    ) -> list[Any]:
        def talk() -> list[Any]:
            channel, most_s = self._open(), timeout_s or _TIMEOUT_S
            channel.send(commands, most_s)
            if eager and channel.is_plain and not channel.has_come(most_s, eager=True):
                raise RedisTimeoutError("Timeout reading from socket")
            replies = [channel.read()]
            if on_first is not None:
                on_first(replies[0])
            replies += [channel.read() for _ in commands[1:]]
            errors = [reply for reply in replies if isinstance(reply, ResponseError)]
            if errors and any(_says(error, ("READONLY",)) for error in errors):
                # It is a replica now; a new connection finds the server that has taken over.
                self._drop()
            return replies

        return self._guarded(talk)

    # -- a question that stands

    @property
    def asked(self) -> bool:
        """Whether there is a question whose answer nobody has taken yet; nothing else may be sent before."""
        return self._answer_by is not None

    @property
    def is_prompt(self) -> bool:
        """Whether :meth:`answer` never waits for longer than it is told to: not so with TLS."""
        channel = self._channel
        return channel is not None and channel.is_plain

    def ask(self, stream: str, after: bytes, most: int, block_ms: int) -> None:
        """Ask for entries of a stream later than ``after``, for which the server waits; not if that is asked already.

        Any thread may take the answer.
        """
        if self.asked:
            return

        def send() -> None:
            timeout_s = block_ms / 1000 + _SLACK_S
            command = ("XREAD", "COUNT", most, "BLOCK", block_ms, "STREAMS", stream, after)
            self._open().send([command], timeout_s)
            self._answer_by = time.monotonic() + timeout_s

        self._guarded(send)

    def answer(self, within_s: float, eager: bool = False) -> list[tuple[bytes, Any]] | None:
        """Return the (id, fields) that were asked for, none where the server has waited in vain.

        Returns None where no answer has come in time; the question stands then.

        Args:
            eager: as in :meth:`Channel.has_come`.

        Raises:
            BrokerUnavailable: the connection was lost, and the question with it.
            NewsUnreadable: what stands there is no stream.
        """
        channel, answer_by = self._channel, self._answer_by
        if channel is not None and answer_by is not None:
            left_s = answer_by - time.monotonic()
            # Outside of what drops the connection: who is interrupted here has taken nothing.
            if not channel.has_come(max(0.0, min(within_s, left_s)), eager) and within_s < left_s:
                return None

        def receive() -> Any:
            if self._channel is None or self._answer_by is None:
                raise ConnectionError("the connection was closed")
            if not self._channel.has_come(0.0):
                raise RedisTimeoutError("Timeout reading from socket")
            reply = self._channel.read()
            self._answer_by = None
            return reply

        reply = self._guarded(receive)
        if is_of_another_type(reply):
            raise NewsUnreadable("something else stands where it belongs")
        if isinstance(reply, Exception):
            raise translated(reply, self.label)
        entries: list[tuple[bytes, Any]] = reply[0][1] if reply else []
        return entries

    def _guarded(self, action: Callable[[], T]) -> T:
        """Do something with the connection, which is dropped if anything goes wrong."""
        with self._lock:
            try:
                result = action()
            except BusyLoadingError as error:
                self._drop()
                raise BrokerLoading(
                    f"the broker at {self.label} is still loading its data from disk"
                ) from error
            except AuthenticationError as error:
                self._drop()
                raise ConfigError(login_refused(self._connector.url, error)) from None
            except (ConnectionError, RedisTimeoutError, OSError) as error:
                if self._channel is None or isinstance(error, (RedisTimeoutError, TimeoutError)):
                    note_silence(self._url)
                self._drop()
                raise unavailable(self.label, error) from error
            except InvalidResponse as error:
                self._drop()
                raise unavailable(self.label, ValueError("what answers there is no Redis")) from error
            except BaseException:
                # Anything that comes between a command and its reply would give the reply to the next command.
                self._drop()
                raise
            self._heard_at = time.monotonic()
            return result

    def close(self) -> None:
        """Close the connection; the next command opens a new one."""
        with self._lock:
            self._drop()

    def disown(self) -> None:
        """Let go of the connection in a process that was forked off: the parent's goes on."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.socket.close()

    def abort(self) -> None:
        """Cut the connection under a command that another thread waits for."""
        channel = self._channel
        if channel is not None:
            # No more than that: the thread that reads finds the end, and cleans up.
            with contextlib.suppress(OSError):
                channel.socket.shutdown(socket.SHUT_RDWR)
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def forsake(self) -> None:
        """Let go of the connection in a forked copy of the process; it stays open for the process itself."""
        channel, self._channel, self._lock = self._channel, None, threading.Lock()
        if channel is not None:
            # No word to the server, not even a good-bye of TLS.
            with contextlib.suppress(OSError):
                os.close(channel.socket.detach())

    def _open(self) -> Channel:
        if self._channel is not None and self._is_doubtful(self._channel):
            self._drop()
        if self._channel is None:
            self._channel = Channel(self._connect())
            self.connections += 1
        return self._channel

    def _connect(self) -> Any:
        try:
            return self._connector.connect()
        except ConfigError as error:
            # It was right before: the server's settings are being changed, or another server has its place.
            if self.connections:
                raise LoginRefused(str(error)) from None
            raise
        except ResponseError as error:
            raise translated(error, self.label) from error

    def _is_doubtful(self, channel: Channel) -> bool:
        if has_fallen_silent(self._url, self._heard_at):
            return True
        return time.monotonic() - self._heard_at > _IDLE_S and channel.is_stale()

    def _drop(self) -> None:
        channel, self._channel, self._answer_by = self._channel, None, None
        if channel is not None:
            channel.close()


def _says(reply: Any, codes: tuple[str, ...]) -> bool:
    """Whether a reply is an error with one of these codes, from a command or from inside a script."""
    if not isinstance(reply, ResponseError):
        return False
    # redis-py cuts off the codes that it knows; servers before 7.0 put them into the middle when a script fails.
    text = _KNOWN_CODES.get(type(reply), "") + str(reply)
    return any(text.startswith(f"{code} ") or f"-{code} " in text for code in codes)


def translated(error: Exception, label: str) -> Exception:
    """Return what a reply that is an error means here."""
    if isinstance(error, NoPermissionError):
        return ConfigError(
            f"the broker at {label} does not allow a command that nbtasks needs: {plain(error)}; "
            "docs/security.md has the line that gives a user what is needed"
        )
    if _says(error, ("OOM",)):
        return BackPressure(
            f"the memory of the broker at {label} is full ({plain(error)}); calls that it has go on and make room: "
            "submit again later, or fetch and forget() old results, or raise the server's maxmemory"
        )
    if _says(error, _PASSING):
        return BrokerUnavailable(f"the broker at {label} does not take writes at the moment: {plain(error)}")
    if isinstance(error, (MovedError, AskError)):
        return OperationalError(
            f"the broker at {label} is a node of a cluster, and this namespace's keys are on "
            f"{error.host}:{error.port}: name that one as broker, or better a server that is "
            "no cluster, for all calls are on one node"
        )
    if isinstance(error, RedisError):
        return OperationalError(f"the broker at {label} refused a command: {plain(error)}")
    return error
