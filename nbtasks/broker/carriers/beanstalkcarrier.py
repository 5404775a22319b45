"""Beanstalk as a carrier, through greenstalk: a tube for each address, and references that are deleted at once."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import greenstalk

from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.unreachable import explain
from nbtasks.broker.verbs.carrier import MOST_REFERENCES

from .beanstalkurl import BeanstalkUrl
from .carriername import carrier_name

T = TypeVar("T")

_CONNECT_S = 2.5
#: Seconds for an answer, beyond those for which it is asked to wait.
_ANSWER_S = 4.0
#: Seconds of one wait in the server at most: that it has fallen silent is noticed that much later.
_WAIT_S = 5
#: Seconds between two looks where less than a second is left: the server waits for whole seconds.
_LOOK_S = 0.05
#: Seconds until a reference that was taken goes to somebody else: it is deleted a moment after it was taken.
_HELD_S = 30
#: Seconds for which it is not tried again to reach a server that could not be reached.
_REST_S = 1.0
_LETTERS, _LONGEST = "A-Za-z0-9+/;.$_()-", 200


class _AwayStill(ConnectionError):
    """It was not even tried: whoever asks again and again would put off the next try for ever."""


class BeanstalkCarrier:
    """One connection. Whatever goes wrong, it is dropped, and what was not settled goes to others.

    Args:
        namespace: whatever is kept there belongs to it.
    """

    is_exact = True

    def __init__(self, url: BeanstalkUrl, namespace: str) -> None:
        self._url = url
        self._namespace = namespace
        self._socket: socket.socket | None = None
        self._client: greenstalk.Client[str] | None = None
        #: Addresses that it listens to.
        self._watched: set[str] = set()
        self._taken: greenstalk.Job[str] | None = None
        self._away_until = 0.0

    # -- verbs

    def check(self) -> None:
        """See that the carrier is there."""
        self._away_until = 0.0
        self._guarded(lambda client: client.using())

    def put(self, numbers: Mapping[str, int]) -> None:
        """Put references; it answers each of them."""

        def put(client: greenstalk.Client[str]) -> None:
            for address, number in numbers.items():
                client.use(self._name(address))
                for _ in range(min(number, MOST_REFERENCES)):
                    client.put(address, ttr=_HELD_S)

        self._guarded(put)

    def take(self, addresses: Sequence[str], within_s: float) -> str | None:
        """Wait for a reference to one of these addresses, and return which; None where none came in time."""

        def take(client: greenstalk.Client[str]) -> str | None:
            self._watch(client, addresses)
            deadline = time.monotonic() + within_s
            while (left_s := deadline - time.monotonic()) > 0:
                if (job := self._reserved(client, left_s)) is None:
                    continue
                if job.body in self._watched:
                    self._taken = job
                    return job.body
                # Nobody needs what somebody else has put there.
                client.delete(job)
            return None

        return self._guarded(take)

    def settle(self, served: bool, back: bool = False) -> None:
        """Be rid of the reference that was taken."""
        job, self._taken = self._taken, None
        if job is not None:
            self._guarded(lambda client: _rid(client, job, back))

    def length(self, address: str) -> int:
        """Return how many references to an address wait there."""

        def length(client: greenstalk.Client[str]) -> int:
            try:
                return client.stats_tube(self._name(address))["current-jobs-ready"]
            except greenstalk.NotFoundError:
                # A tube is there as long as something is in it, or somebody looks.
                return 0

        return self._guarded(length)

    # -- the connection

    def close(self) -> None:
        """Close the connection; what is done next opens a new one."""
        self._drop()

    def drop(self) -> None:
        """Let go of the connection."""
        self.close()

    def abort(self) -> None:
        """Cut the connection under what another thread does over it."""
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # what is None has nothing to cut

    def forsake(self) -> None:
        """Let go of the connection in a process that was forked off."""
        sock, self._socket, self._client = self._socket, None, None
        if sock is not None:
            with contextlib.suppress(OSError):
                os.close(sock.detach())
        self._forget()

    def _guarded(self, action: Callable[[greenstalk.Client[str]], T]) -> T:
        """Do something over the connection, which is dropped if anything goes wrong."""
        try:
            return action(self._open())
        except (greenstalk.Error, OSError, AssertionError, ValueError) as error:
            # What greenstalk makes of an answer that is cut off, or of one that is none of a beanstalkd's.
            self._drop()
            if not isinstance(error, _AwayStill):
                self._away_until = time.monotonic() + _REST_S
            reason, step = explain(error, self._url.shown)
            if isinstance(error, (greenstalk.UnknownResponseError, AssertionError)):
                reason = "what answers there is no beanstalkd"
            raise CarrierAway(
                f"the carrier at {self._url.shown} cannot be reached ({reason}); {step}"
            ) from error
        except BaseException:
            # What comes between a question and its answer would give the answer to the next question.
            self._drop()
            raise

    def _open(self) -> greenstalk.Client[str]:
        if self._client is not None:
            return self._client
        if time.monotonic() < self._away_until:
            raise _AwayStill("it could not be reached a moment ago")
        self._forget()
        self._socket = sock = socket.create_connection((self._url.host, self._url.port), _CONNECT_S)
        sock.settimeout(_ANSWER_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = greenstalk.Client(sock)
        return self._client

    def _drop(self) -> None:
        client, self._client, self._socket = self._client, None, None
        if client is not None:
            with contextlib.suppress(OSError):
                client.close()
        self._forget()

    def _forget(self) -> None:
        self._watched.clear()
        self._taken = None

    # -- tubes

    def _name(self, address: str) -> str:
        return carrier_name(self._namespace, address, _LETTERS, _LONGEST)

    def _watch(self, client: greenstalk.Client[str], addresses: Sequence[str]) -> None:
        wanted = set(addresses)
        for address in wanted - self._watched:
            client.watch(self._name(address))
        if not self._watched:
            client.ignore(greenstalk.DEFAULT_TUBE)
        for address in self._watched - wanted:
            client.ignore(self._name(address))
        self._watched = wanted

    def _reserved(self, client: greenstalk.Client[str], within_s: float) -> greenstalk.Job[str] | None:
        """Wait for what is first; where less than a second is left, for a moment only. None where nothing came."""
        seconds = min(math.floor(within_s), _WAIT_S)
        assert self._socket is not None
        self._socket.settimeout(seconds + _ANSWER_S)
        try:
            return client.reserve(seconds)
        except greenstalk.TimedOutError:
            if not seconds:
                time.sleep(min(within_s, _LOOK_S))
            return None
        finally:
            self._socket.settimeout(_ANSWER_S)


def _rid(client: greenstalk.Client[str], job: greenstalk.Job[str], back: bool) -> None:
    # Where it is somebody else's by now, that one is rid of it.
    with contextlib.suppress(greenstalk.NotFoundError):
        if back:
            client.release(job)
        else:
            client.delete(job)
