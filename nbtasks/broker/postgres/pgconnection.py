"""A connection of psycopg's that waits for no answer longer than it is told to, and can be let go of."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.types.numeric import Int8BinaryDumper

from nbtasks.broker.pgurl import PgUrl

#: Seconds until a connection is given up, for each host.
CONNECT_S = 3
#: Seconds until a verb is given up. Together with the pause before the next try it is less than five, as for Redis.
ANSWER_S = 3.5
#: Events of psycopg's waiting, as numbers.
_READ, _WRITE = 1, 2


class PgConnection(psycopg.Connection[Any]):
    """One that any thread may use, one at a time.

    Attributes:
        limit_s: seconds for which an answer is waited for.
        told: somebody has woken this connection since this was last set to False.
        listens: it can be woken.
    """

    limit_s = ANSWER_S
    told = False
    listens = False

    @classmethod
    def to(cls, url: PgUrl) -> PgConnection:
        """Connect.

        Raises:
            psycopg.Error, OSError: that was not possible.
        """
        found = cls.connect(
            **{"application_name": "nbtasks", **url.options},  # type: ignore[arg-type]  # names are libpq's
            autocommit=True,
            connect_timeout=CONNECT_S,
            # The other end's kernel answers these, however slow the server is.
            keepalives_idle=2,
            keepalives_interval=1,
            keepalives_count=3,
            tcp_user_timeout=round(ANSWER_S * 1000),
            client_encoding="utf-8",
        )
        # All whole numbers go as bigint: so each verb is prepared once, and not once for each size of its numbers.
        found.adapters.register_dumper(int, Int8BinaryDumper)
        found.add_notify_handler(found._note)
        return found

    def _note(self, _: Any) -> None:
        self.told = True

    def wait(self, gen: Any, interval: float = 0.0, timeout: float | None = None) -> Any:
        """Run one of psycopg's generators to its end. Interrupted, the connection is in the middle of something.

        Raises:
            TimeoutError: there was no answer in time.
        """
        limit_s = self.limit_s if timeout is None else timeout
        deadline = time.monotonic() + limit_s
        try:
            asked = next(gen)
            while True:
                ready = self._awaited(asked, deadline)
                if timeout is None:
                    # While bytes go to the server or come from there, it is there.
                    deadline = time.monotonic() + limit_s
                if not ready:
                    # Whoever has it drops it; a pipeline would wait as long again for the same answer when it ends.
                    self.limit_s = 0.0
                    raise TimeoutError(f"no answer within {limit_s:g} s")
                asked = gen.send(ready)
        except StopIteration as end:
            return end.value
        finally:
            _close(gen)

    def _awaited(self, asked: int, deadline: float) -> int:
        """Return for which of what was asked the socket is ready; 0 where it is for nothing in time."""
        while True:
            # In a pipeline, psycopg waits for the answer to what it has not sent yet, where that is much.
            unsent = asked == _READ and self.pgconn.flush() == 1
            ready = _ready(
                self.pgconn.socket, asked | _WRITE if unsent else asked, deadline - time.monotonic()
            )
            if not unsent or ready != _WRITE:
                return ready & asked
            deadline = max(deadline, time.monotonic() + self.limit_s)

    @contextlib.contextmanager
    def allowing(self, seconds: float) -> Iterator[None]:
        """Wait for answers for so many seconds more."""
        self.limit_s += seconds
        try:
            yield
        finally:
            # One of which an answer did not come in time waits for no other one.
            self.limit_s = max(0.0, self.limit_s - seconds)

    def wait_to_be_told(self, within_s: float) -> bool:
        """Wait until somebody wakes this connection; False where nobody does in time."""
        deadline = time.monotonic() + within_s
        while True:
            if self.told or self.pgconn.notifies() is not None:
                return True
            if not _ready(self.pgconn.socket, _READ, deadline - time.monotonic()):
                return False
            self.pgconn.consume_input()

    def cut(self) -> None:
        """Have whoever waits for an answer find that there is none."""
        with contextlib.suppress(Exception):
            own = socket.socket(fileno=os.dup(self.pgconn.socket))
            with own:
                own.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """Let go in a forked copy of the process: not a word to the server, for whom the connection goes on."""
        with contextlib.suppress(Exception):
            os.close(self.pgconn.socket)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether psycopg logs what is not about a connection of ours: what becomes of those, we say ourselves."""
    about = record.args[0] if isinstance(record.args, tuple) and record.args else None
    return not isinstance(getattr(about, "_conn", None), PgConnection)


logging.getLogger("psycopg").addFilter(_is_news)


def _close(gen: Any) -> None:
    """End a generator, whatever it would wait for while it ends; one that has ended is none to end."""
    for _ in range(5):
        with contextlib.suppress(Exception):
            gen.close()
            return


def _ready(fd: int, asked: int, within_s: float) -> int:
    """Return for which of what was asked a socket is ready; 0 where it is for nothing in time."""
    poll = select.poll()
    poll.register(fd, (select.POLLIN if asked & _READ else 0) | (select.POLLOUT if asked & _WRITE else 0))
    for _, events in poll.poll(max(0.0, within_s) * 1000):
        # An error or an end is read like an answer.
        read = _READ if events & ~select.POLLOUT else 0
        return (read & asked) | (_WRITE & asked if events & select.POLLOUT else 0) or asked
    return 0
