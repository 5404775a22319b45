"""An attacker's tools: a plain client to the server, without the key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import redis

from nbtasks import App

#: Seconds within which what is promised at once must be seen.
SOON = 60.0


class Attacker:
    """Somebody who can read and write everything on the server, and has no key."""

    def __init__(self, app: App) -> None:
        self.keys = app.session.line.keys  # starts the server
        self.redis = redis.Redis.from_url(app.connection.url, single_connection_client=True)
        self.over, self.threads = threading.Event(), []
        self._app = app

    def lane(self, queue: str = "default", lane: str = "m") -> str:
        """Name of a queue's stream."""
        return self.keys.lane(self._app.session.address(queue), lane)

    def entries(self, queue: str = "default", lane: str = "m") -> list[tuple[bytes, dict[bytes, bytes]]]:
        """What lies in a queue."""
        self._app.session.flush()
        return self.redis.xrange(self.lane(queue, lane))

    def replace(self, queue: str, entry_id: bytes, **fields: object) -> None:
        """Put another entry in the place of one."""
        ((_, old),) = self.redis.xrange(self.lane(queue), entry_id, entry_id)
        self.redis.xdel(self.lane(queue), entry_id)
        self.redis.xadd(self.lane(queue), {**old, **{name.encode(): value for name, value in fields.items()}})

    def records(self, batch: str) -> dict[bytes, bytes]:
        """A batch's result records."""
        return self.redis.hgetall(self.keys.records(batch))

    def events(self, batch: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """What was told to a batch's client."""
        return self.redis.xrange(self.events_name(batch))

    def events_name(self, batch: str) -> str:
        """Name of the stream of what is told to a batch's client."""
        return self.keys.events(self.redis.hget(self.keys.batch(batch), "s").decode())

    def listen(self, app: App) -> list[dict[bytes, bytes]]:
        """Return a list that fills with what the App's session is told from now on."""
        handle = app.task(len).delay("ab")
        handle.get(timeout=SOON)
        stream, heard = self.events_name(handle.id), []
        ((last, _),) = self.redis.xrevrange(stream, count=1) or [("0-0", {})]

        def follow() -> None:
            after = last
            with redis.Redis.from_url(app.connection.url, single_connection_client=True) as client:
                while not self.over.is_set():
                    for _, items in client.xread({stream: after}, block=50):
                        after = items[-1][0]
                        heard.extend(fields for _, fields in items)

        self.threads.append(threading.Thread(target=follow))
        self.threads[-1].start()
        return heard

    def close(self) -> None:
        """Stop listening and disconnect."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        self.redis.close()


def flipped(data: bytes, place: int = -40) -> bytes:
    """The same with one bit changed."""
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


@pytest.fixture
def attack() -> Iterator[Callable[[App], Attacker]]:
    """``attack(app)`` returns an attacker on the App's server."""
    made: list[Attacker] = []

    def on(app: App) -> Attacker:
        made.append(Attacker(app))
        return made[-1]

    yield on
    for one in made:
        one.close()


@pytest.fixture
def flip() -> Callable[..., bytes]:
    """``flip(data)`` returns data with one bit changed."""
    return flipped


@pytest.fixture
def worker_on() -> Callable[..., AbstractContextManager[App]]:
    """``with worker_on(app, "queue") as other`` has a worker of its own listen there."""

    @contextmanager
    def run(app: App, queue: str) -> Iterator[App]:
        with App(connection=app.connection) as other:
            other.start_workers(1, queues=queue)
            yield other

    return run


@pytest.fixture
def restarted() -> Iterator[Callable[[App], App]]:
    """``restarted(app)`` returns an App as another kernel has it: it knows what the server has, and the key."""
    made: list[App] = []

    def again(app: App) -> App:
        made.append(App(connection=app.connection))
        return made[-1]

    yield again
    for one in made:
        one.close()
