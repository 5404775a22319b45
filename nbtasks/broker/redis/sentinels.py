"""Sentinels: before each connection they are asked which server is the master, and what they name is looked at.

A sentinel may be wrong: it has not heard of a fail-over yet, or is cut off from the others. So a server that does not
say itself that it is a master is not used, and the next sentinel is asked; it may know better.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from nbtasks.broker.sentinelurl import WatchedServer
from nbtasks.broker.unreachable import explain, plain
from nbtasks.core.errors import ConfigError

from .inside import inside

#: Seconds in which one sentinel answers, and after which no other one is asked any more.
_ANSWER_S = 1.0
_ALL_S = 3.0
Place = tuple[str, int]

#: Seconds for which it is believed whether one of them answers.
_BELIEVED_S = 5.0

#: The sentinels of a URL -> the one that was right last, in this process.
_right_last: dict[tuple[Place, ...], Place] = {}
#: The same -> when they were asked last whether one of them answers (monotonic), and what none has said.
_answered: dict[tuple[Place, ...], tuple[float, str | None]] = {}


class Sentinels:
    """The sentinels that watch one master."""

    def __init__(self, watched: WatchedServer) -> None:
        self._watched = watched

    def lead(self, connect: Callable[[str, int], Any]) -> Any:
        """Return a connection to the master.

        Args:
            connect: makes one to host and port, logged in.

        Raises:
            ConfigError: no sentinel knows the master by this name, or takes the login; or the master does not.
            redis.RedisError: no sentinel names a server that is the master, or it still loads its data.
        """
        said: list[str] = []
        wrong: list[ConfigError] = []
        #: What counts more than all that is said by those who name nothing.
        final: list[Exception] = []
        tried: set[Place] = set()
        give_up_at = time.monotonic() + _ALL_S
        for sentinel in self._in_order():
            if said and time.monotonic() > give_up_at:
                break
            try:
                place = self._named_by(sentinel)
            except ConfigError as error:
                wrong.append(error)
                continue
            except (RedisError, OSError) as error:
                said.append(str(error))
                continue
            if place in tried:
                continue
            tried.add(place)
            try:
                connection = _master(connect, place, sentinel)
            except (ConfigError, BusyLoadingError, ResponseError) as error:
                final.append(error)
            except (RedisError, OSError) as error:
                said.append(str(error))
            else:
                _right_last[self._watched.places] = sentinel
                return connection
        if final or (wrong and not tried):
            raise [*final, *wrong][0]
        raise ConnectionError("; ".join([*said, *map(str, wrong)]))

    def problem(self) -> str | None:
        """Return that none of them answers, for people; None where one does."""
        asked_at, found = _answered.get(self._watched.places, (-_BELIEVED_S, None))
        if time.monotonic() - asked_at > _BELIEVED_S:
            found = self._look()
            _answered[self._watched.places] = time.monotonic(), found
        return found

    def _look(self) -> str | None:
        said: list[str] = []
        give_up_at = time.monotonic() + _ALL_S
        for sentinel in self._in_order():
            if said and time.monotonic() > give_up_at:
                break
            try:
                self._named_by(sentinel)
            except (ConfigError, RedisError, OSError) as error:
                said.append(str(error))
            else:
                return None
        return (
            "no sentinel says where the master is, so what is connected goes on, and nothing can connect anew, neither "
            f"workers nor submits ({'; '.join(said)}): start the sentinels, or see why they do not answer"
        )

    def _in_order(self) -> Iterator[Place]:
        first = _right_last.get(self._watched.places)
        if first is not None:
            yield first
        yield from (place for place in self._watched.places if place != first)

    def _named_by(self, sentinel: Place) -> Place:
        """Return host and port of the master, as one sentinel knows them."""
        shown = _shown(sentinel)
        try:
            connection = self._connection(sentinel)
            with contextlib.closing(_Closing(connection)):
                connection.connect()
                return self._ask(connection, shown)
        except ConfigError:
            raise
        except (AuthenticationError, NoPermissionError) as error:
            raise ConfigError(
                f"the sentinel at {shown} refused the login: {plain(error)}; its own user and password stand behind "
                "the URL's ?, sentinel_username=...&sentinel_password=... (sentinel_kwargs in Celery's settings), for "
                "those before the @ are the server's"
            ) from None
        except ResponseError as error:
            if "unknown command" in str(error).lower():
                raise ConfigError(
                    f"what answers at {shown} is no sentinel, but a server itself: name the sentinels' port, mostly "
                    f"26379, or the server itself, redis://{shown}"
                ) from None
            raise ConnectionError(f"the sentinel at {shown} says: {plain(error)}") from None
        except (RedisError, OSError) as error:
            reason, _ = explain(error, shown)
            raise ConnectionError(f"the sentinel at {shown} does not answer ({reason})") from None

    def _ask(self, connection: Any, shown: str) -> Place:
        name = self._watched.master
        answer = _asked(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        if not answer:
            raise ConfigError(
                f"the sentinel at {shown} watches no master of the name {name!r}{_names(connection)}: check "
                "master_name (in the URL, or in broker_transport_options)"
            )
        if self._watched.others:
            _check_others(_asked(connection, "SENTINEL", "MASTER", name), self._watched.others, shown)
        host, port = answer[0].decode(), int(answer[1])
        _check_reach(host, connection, shown)
        return host, port

    def _connection(self, sentinel: Place) -> Any:
        watched, (host, port) = self._watched, sentinel
        kind: Any = redis.Connection
        more: dict[str, Any] = dict(watched.options)
        if watched.tls:
            kind = redis.SSLConnection
            more = {"ssl_cert_reqs": "required", "ssl_check_hostname": True, "ssl_password": "", **more}
        return kind(
            host=host, port=port, username=watched.user, password=watched.password, protocol=2,
            retry=Retry(NoBackoff(), 0), retry_on_timeout=False, health_check_interval=0,
            socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S, decode_responses=False, **more,
        )  # fmt: skip


class _Closing:
    """Ends a connection of redis-py's, however far it has come."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def close(self) -> None:
        """Do it."""
        with contextlib.suppress(Exception):
            self._connection.disconnect()


def _asked(connection: Any, *command: str) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _check_others(facts: Any, least: int, shown: str) -> None:
    """Raise where a sentinel knows of too few others to be believed."""
    known = dict(zip(facts[::2], facts[1::2], strict=False)).get(b"num-other-sentinels", b"0")
    if int(known) < least:
        raise ConnectionError(
            f"the sentinel at {shown} knows of {int(known)} others, and min_other_sentinels is {least}"
        )


def _names(connection: Any) -> str:
    """Return the names that a sentinel does know, for a message."""
    try:
        masters = _asked(connection, "SENTINEL", "MASTERS")
        found = [dict(zip(one[::2], one[1::2], strict=False))[b"name"].decode() for one in masters]
    except (RedisError, OSError, KeyError, TypeError, UnicodeError):
        return ""
    return f", but {', '.join(sorted(found))}" if found else ""


def _check_reach(host: str, connection: Any, shown: str) -> None:
    """Refuse an address that means another machine here than it does where the sentinel is."""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    socket = inside(connection).socket
    if is_loopback and socket.getpeername()[0] != socket.getsockname()[0]:
        raise ConfigError(
            f"the sentinel at {shown} says that the master is at {host}, which is that machine itself and not this "
            "one: have the sentinels monitor it by its address in the network (sentinel monitor NAME ADDRESS ...; "
            "bind and replica-announce-ip of the servers, too)"
        )


def _master(connect: Callable[[str, int], Any], place: Place, sentinel: Place) -> Any:
    """Return a connection to what a sentinel has named, if it is a master."""
    shown = _shown(place)
    try:
        connection = connect(*place)
    except (BusyLoadingError, ResponseError):
        raise
    except (RedisError, OSError) as error:
        reason, _ = explain(error, shown)
        raise ConnectionError(
            f"the master is at {shown}, says the sentinel at {_shown(sentinel)}, and it cannot be reached ({reason})"
        ) from None
    try:
        # Which no right is needed for that nbtasks does not need anyway.
        if b"role:master" in _asked(connection, "INFO", "replication"):
            return connection
    except BaseException:
        _Closing(connection).close()
        raise
    _Closing(connection).close()
    raise ConnectionError(
        f"the master is at {shown}, says the sentinel at {_shown(sentinel)}, and that is a replica: a fail-over is "
        "under way, it seems"
    )


def _shown(place: Place) -> str:
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
