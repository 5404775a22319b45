"""RabbitMQ as a carrier, through py-amqp: a quorum queue for each address, and references that it confirms."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import amqp
from amqp import exceptions

from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.unreachable import explain, plain
from nbtasks.broker.verbs.carrier import MOST_REFERENCES
from nbtasks.core.errors import ConfigError

from .amqpurl import AmqpUrl

T = TypeVar("T")

_CONNECT_S = 2.5
_ANSWER_S = 15.0
#: Seconds for a confirmation. RabbitMQ 3.10 loses a quorum queue that is younger than three seconds when it is killed:
#: it is there then, and confirms nothing any more.
_CONFIRM_S = 4.0
#: A connection that nothing has come over for twice as long is dead; the server thinks so, too.
_HEARTBEAT_S = 30
#: Milliseconds until a queue goes that nobody has looked into, and to which nobody listens.
_EXPIRES_MS = 24 * 3600 * 1000
#: Seconds for which it is not tried again to reach a server that could not be reached.
_REST_S = 1.0
#: Bytes of an AMQP name, at most.
_LONGEST_NAME = 255
_TRUST = "name its authority in the URL: amqps://...?cacertfile=/path/to/ca.pem"


class _AwayStill(ConnectionError):
    """It was not even tried: whoever asks again and again would put off the next try for ever."""


class AmqpCarrier:
    """One connection with one channel. Whatever goes wrong, it is dropped, and what was not settled goes to others.

    Args:
        namespace: whatever is kept there belongs to it.
    """

    is_exact = True

    def __init__(self, url: AmqpUrl, namespace: str) -> None:
        self._url = url
        self._namespace = namespace
        self._connection: Any = None
        self._channel: Any = None
        #: Addresses whose queue is known to be there, on this connection.
        self._declared: set[str] = set()
        #: Those that it listens to: by the consumer's tag.
        self._tags: dict[str, str] = {}
        #: (delivery's number, address) of what has come and is not settled, the first of it as what was taken.
        self._brought: deque[tuple[int, str]] = deque()
        self._unconfirmed: set[int] = set()
        self._refused = False
        self._is_full = False
        self._away_until = 0.0
        #: Addresses whose queue did not confirm what was put there.
        self._doubtful: set[str] = set()

    # -- verbs

    def check(self) -> None:
        """See that the carrier is there and lets us in."""
        self._away_until = 0.0
        self._guarded(lambda _: None)

    def put(self, numbers: Mapping[str, int]) -> None:
        """Put references, and wait until all of them are confirmed."""

        def put(channel: Any) -> None:
            self._unconfirmed.clear()
            self._refused = False
            for address, number in numbers.items():
                queue = self._queue(channel, address)
                for _ in range(min(number, MOST_REFERENCES)):
                    message = amqp.Message(address, delivery_mode=2)
                    self._published += 1
                    self._unconfirmed.add(self._published)
                    # Answers are looked at after the last one, or where some have come meanwhile.
                    channel.basic_publish(message, routing_key=queue)
            deadline = time.monotonic() + _CONFIRM_S
            try:
                while self._unconfirmed:
                    if self._is_full:
                        raise CarrierAway(
                            f"the carrier at {self._url.shown} takes nothing at the moment, for its memory or its "
                            "disk is full (connection.blocked); make room, or give it more (vm_memory_high_watermark)"
                        )
                    self._read(deadline - time.monotonic())
            except TimeoutError:
                self._doubtful.update(numbers)
                raise
            if self._refused:
                raise OSError("it did not take what was put there (nack)")

        self._guarded(put)

    def take(self, addresses: Sequence[str], within_s: float) -> str | None:
        """Wait for a reference to one of these addresses, and return which; None where none came in time."""

        def take(channel: Any) -> str | None:
            self._listen(channel, addresses)
            deadline = time.monotonic() + within_s
            while not self._brought:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return None
                with contextlib.suppress(TimeoutError):
                    self._read(min(left_s, _HEARTBEAT_S / 4))
                self._connection.heartbeat_tick()
            return self._brought[0][1]

        return self._guarded(take)

    def settle(self, served: bool, back: bool = False) -> None:
        """Be rid of the reference that was taken."""

        def settle(channel: Any) -> None:
            number, _ = self._brought.popleft()
            if served:
                self._listen_no_more(channel)
            if back:
                channel.basic_reject(number, requeue=True)
            else:
                channel.basic_ack(number)
            while served and self._brought:
                # It would wait here until this worker is free again.
                channel.basic_reject(self._brought.popleft()[0], requeue=True)

        if self._brought:
            self._guarded(settle)

    def length(self, address: str) -> int:
        """Return how many references to an address wait there."""

        def length(channel: Any) -> int:
            # Also so that the server sees that the queue is in use.
            return int(self._declare(channel, address).message_count)

        return self._guarded(length)

    # -- the connection

    def close(self) -> None:
        """Close the connection; what is done next opens a new one."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()
        self._drop()

    def drop(self) -> None:
        """Let go of the connection without a word."""
        self._drop()

    def abort(self) -> None:
        """Cut the connection under what another thread does over it."""
        with contextlib.suppress(Exception):
            self._connection.transport.sock.shutdown(2)

    def forsake(self) -> None:
        """Let go of the connection in a process that was forked off."""
        connection, self._connection = self._connection, None
        with contextlib.suppress(Exception):
            # No word to the server, not even a good-bye of TLS.
            os.close(connection.transport.sock.detach())
        self._forget()

    def _guarded(self, action: Callable[[Any], T]) -> T:
        """Do something with the channel; the connection is dropped if anything goes wrong."""
        try:
            if self._connection is None:
                self._connect()
            return action(self._channel)
        except (exceptions.AccessRefused, exceptions.NotAllowed) as error:
            self._drop()
            raise ConfigError(
                f"the carrier at {self._url.shown} does not let us in, or refuses what is needed: {_said(error)}; "
                "check user, password and vhost of the URL, and that the user may configure, write and read nbtasks.*"
            ) from None
        except exceptions.PreconditionFailed as error:
            self._drop()
            if "timeout" in str(error):
                raise self._unavailable(error) from error
            raise ConfigError(
                f"a queue at {self._url.shown} is there already and is another one than ours: {plain(error)}; delete "
                "it, or use another vhost"
            ) from None
        except CarrierAway:
            self._drop()
            self._away_until = time.monotonic() + _REST_S
            raise
        except (exceptions.AMQPError, OSError) as error:
            self._drop()
            if not isinstance(error, _AwayStill):
                self._away_until = time.monotonic() + _REST_S
            raise self._unavailable(error) from error
        except BaseException:
            # What comes between a question and its answer would give the answer to the next question.
            self._drop()
            raise

    def _unavailable(self, error: Exception) -> CarrierAway:
        reason, step = explain(error, self._url.shown)
        if isinstance(error, ssl.SSLCertVerificationError):
            step = _TRUST
        elif isinstance(error, ssl.SSLError):
            step = "for a server without TLS the URL begins with amqp://"
        elif isinstance(error, ConnectionResetError):
            reason = "what answers there has hung up"
            step = (
                "check that it is RabbitMQ, and its port; where it speaks TLS, the URL begins with amqps://"
            )
        return CarrierAway(f"the carrier at {self._url.shown} cannot be reached ({reason}); {step}")

    def _connect(self) -> None:
        if time.monotonic() < self._away_until:
            raise _AwayStill("it could not be reached a moment ago")
        url = self._url
        host = f"[{url.host}]" if ":" in url.host else url.host
        connection = amqp.Connection(
            f"{host}:{url.port}", url.user, url.password, login_method="PLAIN", virtual_host=url.vhost, ssl=_tls(url),
            connect_timeout=_CONNECT_S, read_timeout=_ANSWER_S, write_timeout=_ANSWER_S, heartbeat=_HEARTBEAT_S,
            client_properties={"connection_name": f"nbtasks {self._namespace}"}, on_blocked=self._on_full,
        )  # fmt: skip
        self._forget()
        self._connection = connection
        try:
            connection.connect()
        except exceptions.AccessRefused:
            raise
        except (IndexError, exceptions.RecoverableConnectionError) as error:
            # What py-amqp makes of a server that ends the connection in the middle of the greeting.
            raise ConnectionResetError(f"it ended the connection: {plain(error)}") from error
        self._channel = channel = connection.channel()
        channel.confirm_select()
        channel.basic_qos(0, 1, False)
        channel.events["basic_ack"].add(self._on_confirmed)
        channel.events["basic_nack"].add(self._on_refused)

    def _read(self, within_s: float) -> None:
        """Read one frame. What py-amqp has for more begins to wait anew with each heartbeat.

        Raises:
            TimeoutError: none came in time.
        """
        if within_s <= 0:
            raise TimeoutError("no answer in time")
        self._connection.blocking_read(within_s)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.collect()
        self._forget()

    def _forget(self) -> None:
        self._channel = None
        self._declared.clear()
        self._tags.clear()
        self._brought.clear()
        self._unconfirmed.clear()
        self._is_full = False
        self._published = 0

    # -- queues

    def _queue(self, channel: Any, address: str) -> str:
        if address not in self._declared:
            self._declare(channel, address)
        return self._name(address)

    def _declare(self, channel: Any, address: str) -> Any:
        if address in self._doubtful:
            channel.queue_delete(self._name(address))
            self._doubtful.discard(address)
            # What lay in it is put again by who compares; who listens to it hears that it is gone, and comes again. But
            # where it is there again at once, RabbitMQ 3.10 tells them nothing, and brings them nothing any more.
            raise CarrierAway(
                f"the carrier at {self._url.shown} did not confirm what was put into one of our queues, which is made "
                "anew; if this comes again and again, look into its log"
            )
        found = channel.queue_declare(
            self._name(address), durable=True, auto_delete=False,
            arguments={
                "x-queue-type": "quorum", "x-expires": _EXPIRES_MS,
                "x-max-length": MOST_REFERENCES, "x-overflow": "drop-head",
            },
        )  # fmt: skip
        self._declared.add(address)
        return found

    def _name(self, address: str) -> str:
        name = f"nbtasks.{self._namespace}.{address}"
        if len(name.encode()) <= _LONGEST_NAME:
            return name
        return f"nbtasks.{hashlib.sha256(name.encode()).hexdigest()}"

    def _listen(self, channel: Any, addresses: Sequence[str]) -> None:
        wanted = set(addresses)
        if self._tags.keys() - wanted:
            self._listen_no_more(channel)
        for address in addresses:
            if address not in self._tags:
                queue = self._queue(channel, address)
                tag = f"n{len(self._tags)}"
                self._tags[address] = tag
                # One that is not answered takes no time; a second one with the same tag is the first one's successor.
                channel.basic_consume(queue, consumer_tag=tag, callback=self._hearer(address), nowait=True)

    def _listen_no_more(self, channel: Any) -> None:
        # Of several queues one may have brought something more; the answer comes after it.
        nowait = len(self._tags) == 1
        for tag in self._tags.values():
            channel.basic_cancel(tag, nowait=nowait)
        self._tags.clear()

    def _hearer(self, address: str) -> Callable[[Any], None]:
        return lambda message: self._brought.append((message.delivery_tag, address))

    def _on_confirmed(self, number: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed = {one for one in self._unconfirmed if one > number}
        else:
            self._unconfirmed.discard(number)

    def _on_full(self, _: str) -> None:
        self._is_full = True

    def _on_refused(self, number: int, multiple: bool) -> None:
        self._refused = True
        self._on_confirmed(number, multiple)


def _tls(url: AmqpUrl) -> Any:
    """Return what py-amqp takes for an encrypted connection; False for one that is not."""
    if not url.tls:
        return False
    options = url.options
    if not url.verifies:
        return {"cert_reqs": ssl.CERT_NONE}
    found: dict[str, Any] = {
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": options.get("server_name_indication", url.host),
    }
    names = {"cacertfile": "ca_certs", "certfile": "certfile", "keyfile": "keyfile"}
    return found | {names[name]: options[name] for name in names if name in options}


def _said(error: exceptions.AMQPError) -> str:
    """Return the server's own words."""
    return plain(getattr(error, "reply_text", None) or error)
