"""What kombu brings messages through, as a carrier: looked into again and again, for most of it tells nobody."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kombu.connection import Connection
from kombu.exceptions import ChannelError

from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.unreachable import explain
from nbtasks.broker.verbs.carrier import MOST_REFERENCES
from nbtasks.core.backoff import Backoff
from nbtasks.core.errors import ConfigError

from .besidethread import BesideThread
from .carriername import plain_name
from .kombuurl import KombuUrl

T = TypeVar("T")
#: kombu's types are half told.
_connection: Any = Connection

#: Seconds for one action, and for the first one, which connects: what takes longer is given up with the connection.
_ANSWER_S = 5.0
_CONNECT_S = 10.0
#: Seconds for which references are put at a time, each of which may take a while, and how many are put in one action.
_PUT_S = 2.0
_MOST_AT_ONCE = 10
#: Seconds between two looks, growing while nothing comes.
_LOOKS = Backoff(0.05, 1.0)
#: Seconds for which it is not tried again to reach a server that could not be reached.
_REST_S = 1.0


class KombuCarrier:
    """One connection with one channel, used on a thread of its own; whatever goes wrong, it is dropped.

    What was taken and not settled may be lost then. That is for the sweep.

    Args:
        namespace: whatever is kept there belongs to it.
    """

    #: Some count with a delay, and some not at all.
    is_exact = False

    def __init__(self, url: KombuUrl, namespace: str) -> None:
        self._url = url
        self._namespace = namespace
        self._thread: BesideThread | None = None
        self._connection: Any = None
        self._channel: Any = None
        self._declared: set[str] = set()
        self._taken: Any = None
        #: Looks in vain since something came.
        self._vain = 0
        self._cut = threading.Event()
        self._away_until = 0.0

    # -- verbs

    def check(self) -> None:
        """See that the carrier is there and lets us in."""
        self._away_until = 0.0

        def check(channel: Any) -> None:
            # That there is no such queue is an answer, too.
            with contextlib.suppress(ChannelError):
                channel.queue_declare(self._name("check"), passive=True)

        self._guarded(check)

    def put(self, numbers: Mapping[str, int]) -> None:
        """Put references, one after the other; those for which there is no time are found by who compares."""
        deadline = time.monotonic() + _PUT_S
        for address, number in numbers.items():
            left = min(number, MOST_REFERENCES)
            while left > 0:
                self._guarded(self._putting(address, min(left, _MOST_AT_ONCE)))
                left -= _MOST_AT_ONCE
                if time.monotonic() > deadline:
                    break

    def _putting(self, address: str, number: int) -> Callable[[Any], None]:
        def put(channel: Any) -> None:
            queue = self._queue(channel, address)
            for _ in range(number):
                message = channel.prepare_message(
                    address, None, "text/plain", "utf-8", {}, {"delivery_mode": 2}
                )
                channel.basic_publish(message, exchange="", routing_key=queue)

        return put

    def take(self, addresses: Sequence[str], within_s: float) -> str | None:
        """Look for a reference to one of these addresses until there is one, and return which; None: none in time."""
        deadline = time.monotonic() + within_s
        while True:
            for address in list(addresses):
                if self._guarded(self._looking(address)):
                    self._vain = 0
                    return address
            self._vain += 1
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            if self._cut.wait(min(left_s, _LOOKS.after(self._vain))):
                raise self._away(ConnectionAbortedError("the connection was closed"))

    def _looking(self, address: str) -> Callable[[Any], bool]:
        def looked(channel: Any) -> bool:
            message = channel.basic_get(self._queue(channel, address))
            if message is None:
                return False
            self._taken = message.delivery_tag
            return True

        return looked

    def settle(self, served: bool, back: bool = False) -> None:
        """Be rid of the reference that was taken."""
        tag, self._taken = self._taken, None
        if tag is None:
            return
        if back:
            self._guarded(lambda channel: channel.basic_reject(tag, requeue=True))
        else:
            self._guarded(lambda channel: channel.basic_ack(tag))

    def length(self, address: str) -> int:
        """Return how many references to an address wait there, as far as it knows."""

        def length(channel: Any) -> int:
            return int(channel.queue_declare(self._queue(channel, address), passive=True).message_count or 0)

        return self._guarded(length)

    # -- the connection

    def close(self) -> None:
        """Close the connection; what is done next opens a new one."""
        self._drop()

    def drop(self) -> None:
        """Let go of the connection."""
        self.close()

    def abort(self) -> None:
        """End what another thread waits for; no action takes longer than some seconds."""
        self._cut.set()

    def forsake(self) -> None:
        """Let go of the connection in a process that was forked off, which has none of its threads."""
        self._thread = self._connection = self._channel = None
        self._cut = threading.Event()
        self._forget()

    def _guarded(self, action: Callable[[Any], T]) -> T:
        """Do something with the channel; all is dropped if anything goes wrong."""
        if time.monotonic() < self._away_until:
            raise self._away(ConnectionError("it could not be reached a moment ago"))
        is_new = self._thread is None
        if self._thread is None:
            self._cut.clear()
            self._thread = BesideThread("nbtasks-kombu")

        def done() -> T:
            if is_new:
                self._connect()
            return action(self._channel)

        try:
            return self._thread.do(done, _CONNECT_S if is_new else _ANSWER_S)
        except ImportError as error:
            self._drop()
            raise ConfigError(
                f"a broker at {self._url.shown} needs another library beside kombu ({error}): install that, too"
            ) from None
        except Exception as error:
            # Each library that kombu stands on has errors of its own.
            self._drop()
            self._away_until = time.monotonic() + _REST_S
            raise self._away(error) from error
        except BaseException:
            self._drop()
            raise

    def _away(self, error: Exception) -> CarrierAway:
        reason, step = explain(error, self._url.shown)
        return CarrierAway(f"the carrier at {self._url.shown} cannot be reached ({reason}); {step}")

    def _connect(self) -> None:
        self._connection = connection = _connection(self._url.url, connect_timeout=2.5)
        self._channel = connection.channel()

    def _drop(self) -> None:
        thread, self._thread = self._thread, None
        connection, self._connection = self._connection, None
        channel, self._channel = self._channel, None
        if thread is not None and connection is not None:
            # Where it does not answer, it is forgotten.
            with contextlib.suppress(Exception):
                thread.do(lambda: _released(connection, channel), 1.0)
        if thread is not None:
            thread.end()
        self._forget()

    def _forget(self) -> None:
        self._declared.clear()
        self._taken = None

    # -- queues

    def _name(self, address: str) -> str:
        return plain_name(self._namespace, address)

    def _queue(self, channel: Any, address: str) -> str:
        name = self._name(address)
        if name not in self._declared:
            channel.queue_declare(name, durable=True, auto_delete=False)
            self._declared.add(name)
        return name


def _released(connection: Any, channel: Any) -> None:
    try:
        connection.release()
    finally:
        # ZooKeeper's client would go on for ever, on threads of its own.
        stop = getattr(getattr(channel, "_client", None), "stop", None)
        if callable(stop):
            stop()
